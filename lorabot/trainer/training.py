"""Stage: trains the adapter, step by step, measuring, drawing and saving on the way."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lorabot.presets import Recipe
from lorabot.trainer import adapter
from lorabot.trainer.batches import Batches
from lorabot.trainer.buckets import together
from lorabot.trainer.course import Candidate, Course, candidate_from
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.draws import Draw, draw, measure
from lorabot.trainer.encoding import Encoded
from lorabot.trainer.errors import Diverged, NotFinite, Suspended
from lorabot.trainer.loss import Rows, Schedule, losses, rows, schedule
from lorabot.trainer.planning import Plan
from lorabot.trainer.preserving import Preserved

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel

GRADIENT_NORM = 1.0
"""Longer gradients are shortened to this norm; the value of every public Stable Diffusion recipe."""
MEASURED_PAIRS = 16
"""Images x timesteps of one fixed loss: 16 even steps through the noise levels."""
_MOST_SKIPPED = 20
_RUNAWAY = 2.0
_RATE_OVER = 20

Moments = dict[str, dict[str, torch.Tensor]]
"""AdamW's state by parameter name: ``step``, ``exp_avg``, ``exp_avg_sq``, on the CPU."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a training consists of; none of it changes while it runs.

    ``modules`` carry the adapter; ``preserved`` is there where the recipe asks for it.
    """

    base: "BaseModel"
    modules: adapter.Modules
    denoise: Denoiser
    encoded: Encoded
    batches: Batches
    plan: Plan
    recipe: Recipe
    seed: int
    preserved: Preserved | None = None


def batches_of(encoded: Encoded, plan: Plan, seed: int) -> Batches:
    """The batches of the training images, by the shapes of their latents."""
    return Batches(seed, together(encoded.latents.shapes, plan.split.training), plan.effective_batch, plan.steps)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on. ``check`` may raise to stop. ``pictures`` draws samples of the step and returns PNG files.

    ``progress`` gets the rate in steps/s, measured on steps alone. ``saving_due`` asks whether to call ``save`` now.
    """

    check: Callable[[], None]
    progress: Callable[[Course, float | None], None]
    pictures: Callable[[int], tuple[bytes, ...]]
    saving_due: Callable[[], bool]
    save: Callable[[Course, Moments], None]
    timed: Callable[[str, float], None]


def train(setup: Setup, course: Course, moments: Moments | None, watch: Watch) -> Course:
    """Go on from ``course`` (a new one, or a saved one with its ``moments`` and the adapter written) to the last step.

    Raises ``Diverged``, ``NotFinite`` and what ``watch.check`` raises; before ``Suspended`` leaves, the state is saved.
    """
    plan = setup.plan
    trained = adapter.parameters(setup.modules)
    optimiser = torch.optim.AdamW([parameter for _, parameter in trained], lr=plan.learning_rate, fused=True)
    if moments is not None:
        _restore(optimiser, trained, moments)
    process = schedule(setup.base.scheduler, setup.recipe.min_snr_gamma, setup.recipe.p2_gamma, setup.base.unet.device)
    durations: deque[float] = deque(maxlen=_RATE_OVER)
    begun_at = course.step
    try:
        while True:
            watch.check()
            if course.step == 0 or course.step in plan.validate_at:
                _measure(setup, course, process, watch)
            if course.step not in course.pictures and (course.step == 0 or course.step in plan.sample_at):
                course.pictures[course.step] = watch.pictures(course.step)
            if course.step >= plan.steps:
                if begun_at < plan.steps:
                    watch.save(course, _moments(optimiser, trained))
                watch.progress(course, _rate(durations))
                return course
            if course.step and watch.saving_due():
                watch.save(course, _moments(optimiser, trained))
            began = time.perf_counter()
            course.losses.append(_step(setup, course.step, optimiser, process))
            durations.append(time.perf_counter() - began)
            watch.timed("training", durations[-1])
            if course.skipped_in_a_row() >= _MOST_SKIPPED:
                raise NotFinite(course.step, course.skipped)
            watch.progress(course, _rate(durations))
    except Suspended:
        if course.step:
            watch.save(course, _moments(optimiser, trained))
        raise


def learning_rate(plan: Plan, step: int) -> float:
    """The rate of step number ``step`` (from 0): a linear rise over the warm-up, then half a cosine towards 0."""
    if step < plan.warmup_steps:
        return plan.learning_rate * (step + 1) / plan.warmup_steps
    share = (step - plan.warmup_steps) / (plan.steps - plan.warmup_steps)
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def _rate(durations: Sequence[float]) -> float | None:
    return len(durations) / sum(durations) if durations else None


def _step(setup: Setup, step: int, optimiser: torch.optim.AdamW, process: Schedule) -> float | None:
    """One optimiser step; its mean loss, or None when it was skipped for not being finite."""
    plan = setup.plan
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(plan, step)
    total = 0.0
    for part, images in _parts(setup, step, process):
        each = losses(setup.denoise, part)
        (each.sum() / plan.effective_batch).backward()  # type: ignore[no-untyped-call]
        total += float(each.detach()[:images].sum())
    norm = torch.nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], GRADIENT_NORM)
    good = math.isfinite(total) and math.isfinite(float(norm))
    if good:
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return total / plan.effective_batch if good else None


def _parts(setup: Setup, step: int, process: Schedule) -> Iterator[tuple[Rows, int]]:
    """What a step learns, in parts that go through the model at once; each with how many of its rows are images."""
    plan = setup.plan
    drawn = _draw(setup, step, process)
    held: Rows | None = None
    if setup.preserved and setup.recipe.preserve:
        held = setup.preserved.rows(setup.seed, step, plan.preserved, setup.recipe.preserve.weight, process)
    for start in range(0, plan.effective_batch, plan.batch):
        part = rows(setup.encoded, drawn, slice(start, start + plan.batch), process)
        images, room = len(part), plan.batch - len(part)
        if held and room and part.joins(held):
            part, held = part.joined(held.part(slice(room))), held.part(slice(room, None))
        yield part, images
    if held:
        for start in range(0, len(held), plan.batch):
            yield held.part(slice(start, start + plan.batch)), 0


def _draw(setup: Setup, step: int, process: Schedule) -> Draw:
    images = setup.batches.at(step)
    return draw(
        setup.seed,
        step,
        images,
        setup.encoded.latents.shapes[int(images[0])],
        setup.encoded.views,
        process.timesteps,
        setup.recipe.noise_offset,
        setup.recipe.caption_dropout,
    )


def _measure(setup: Setup, course: Course, process: Schedule, watch: Watch) -> None:
    """Add the fixed losses of this step to ``course``, and the adapter to its candidates where it may be chosen."""
    if course.validation and course.validation[-1][0] == course.step:
        return
    began = time.perf_counter()
    split = setup.plan.split
    value = fixed_loss(setup, split.held_out or split.training, process)
    if split.held_out:
        course.seen.append((course.step, fixed_loss(setup, split.training, process)))
    watch.timed("validation", time.perf_counter() - began)
    if not math.isfinite(value):
        raise NotFinite(course.step, course.skipped)
    course.validation.append((course.step, value))
    first = course.validation[0][1]
    if value > _RUNAWAY * first:
        raise Diverged(course.step, first, value)
    if course.step >= candidate_from(setup.plan.steps):
        course.propose(Candidate(course.step, value, adapter.read(setup.modules)))


@torch.no_grad()
def fixed_loss(setup: Setup, members: tuple[int, ...], process: Schedule) -> float:
    """The loss over ``members`` with noise and timesteps that are the same every time."""
    total = 0.0
    at_once = 2 * setup.plan.batch  # without gradients, twice as many need less memory than a training step
    for drawn in measure(setup.seed, members, setup.encoded.latents.shapes, MEASURED_PAIRS, process.timesteps):
        for start in range(0, len(drawn.images), at_once):
            each = losses(setup.denoise, rows(setup.encoded, drawn, slice(start, start + at_once), process))
            total += float(each.sum())
    return total / MEASURED_PAIRS


def _moments(optimiser: torch.optim.AdamW, trained: list[tuple[str, torch.nn.Parameter]]) -> Moments:
    moments: Moments = {}
    for name, parameter in trained:
        with suppress(KeyError):  # no step was good yet
            state = dict(optimiser.state)[parameter]
            moments[name] = {key: value.detach().to("cpu", copy=True) for key, value in state.items()}
    return moments


def _restore(optimiser: torch.optim.AdamW, trained: list[tuple[str, torch.nn.Parameter]], moments: Moments) -> None:
    for name, parameter in trained:
        if name in moments:
            state = moments[name]
            optimiser.state[parameter] = {
                "step": state["step"].to(parameter.device),
                "exp_avg": state["exp_avg"].to(parameter.device),
                "exp_avg_sq": state["exp_avg_sq"].to(parameter.device),
            }
