"""Stage: trains the adapter, step by step, measuring, drawing and saving on the way."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import torch

from lorabot.presets import Recipe
from lorabot.trainer import adapter
from lorabot.trainer.batches import Batches
from lorabot.trainer.buckets import together
from lorabot.trainer.course import Candidate, Course, candidate_from
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.draws import Draw, draw, measure
from lorabot.trainer.encoding import Encoded
from lorabot.trainer.errors import Diverged, NotFinite, OutOfMemory, Suspended
from lorabot.trainer.loss import Rows, Schedule, losses, rows, schedule
from lorabot.trainer.memory import ran_out_of_memory
from lorabot.trainer.optimisers import Moments, Optimiser
from lorabot.trainer.planning import Plan
from lorabot.trainer.preserving import Preserved
from lorabot.trainer.rates import share

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel

T = TypeVar("T")

GRADIENT_NORM = 1.0
"""Longer gradients are shortened to this norm; the value of every public Stable Diffusion recipe."""
MEASURED_PAIRS = 16
"""Images x timesteps of one fixed loss: 16 even steps through the noise levels."""
_MOST_SKIPPED = 20
_RUNAWAY = 2.0
_RATE_OVER = 20


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
    ``make_room`` is asked for a smaller plan of the same training when memory runs out after so many steps, and may
    raise where there is none. ``stepped`` hears after how many steps how many seconds the last one took, and says by
    which plan of the same training to go on.
    """

    check: Callable[[], None]
    progress: Callable[[Course, float | None], None]
    pictures: Callable[[int], tuple[bytes, ...]]
    saving_due: Callable[[], bool]
    save: Callable[[Course, Moments], None]
    timed: Callable[[str, float], None]
    make_room: Callable[[int], Plan]
    stepped: Callable[[int, float], Plan]


def train(setup: Setup, course: Course, moments: Moments | None, watch: Watch) -> Course:
    """Go on from ``course`` (a new one, or a saved one with its ``moments`` and the adapter written) to the last step.

    Raises ``Diverged``, ``NotFinite`` and what ``watch.check`` raises; before ``Suspended`` or ``OutOfMemory`` leaves,
    the state is saved.
    """
    plan = setup.plan
    optimiser = Optimiser(plan.optimiser, setup.recipe, adapter.parameters(setup.modules))
    optimiser.zero_grad()  # the step that was tried for the plan may have left some in the text encoders
    begun_at, ahead = course.step, _Ahead()
    looked_at = {0, plan.steps, *plan.validate_at, *plan.sample_at}
    waiting: deque[_Taken] = deque()
    since = 0.0

    def done() -> int:
        return course.step + len(waiting)

    def settle(but: int = 0) -> None:
        """Put down what became of the steps that are waited for, ``but`` so many."""
        nonlocal setup, since
        while len(waiting) > but:
            taken = waiting.popleft()
            course.losses.append(taken.loss())
            course.rates.append(taken.rate)
            before, since = since, time.perf_counter()
            course.durations.append(since - before)
            watch.timed("training", course.durations[-1])
            setup = replace(setup, plan=watch.stepped(course.step, course.durations[-1]))
            if course.skipped_in_a_row() >= _MOST_SKIPPED:
                raise NotFinite(course.step, course.skipped)
            watch.progress(course, _rate(course, begun_at))

    def fitted(do: Callable[[Setup], T]) -> T:
        """What ``do`` returns, done again by smaller plans until it fits: nothing it does lasts unless it comes to its
        end, and all chance is of the step."""
        nonlocal setup
        while True:
            try:
                return do(setup)
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
            optimiser.zero_grad()
            setup = replace(setup, plan=watch.make_room(done()))

    def evaluated(do: Callable[[Setup], T]) -> T:
        """What ``do`` returns, with the adapter as it is to be used."""

        def evaluating(setup: Setup) -> T:
            with optimiser.evaluating():
                return do(setup)

        return fitted(evaluating)

    def save(_: Setup) -> None:
        watch.save(course, optimiser.moments())

    process = fitted(lambda setup: schedule(setup.base.scheduler, setup.recipe, setup.base.device))
    if moments is not None:
        fitted(lambda _: optimiser.restore(moments))
    try:
        if course.step == 0 and plan.peak_bytes is not None:
            began = time.perf_counter()
            fitted(lambda setup: _rehearse(setup, optimiser, process, watch.check))
            watch.timed("opening", time.perf_counter() - began)
        while True:
            watch.check()
            saving = watch.saving_due()
            if saving or done() in looked_at:
                settle()
            if course.step == 0 or course.step in plan.validate_at:
                evaluated(lambda setup: _measure(setup, course, process, watch))
            if course.step not in course.pictures and (course.step == 0 or course.step in plan.sample_at):
                course.pictures[course.step] = evaluated(lambda _: watch.pictures(course.step))
            if course.step >= plan.steps:
                if begun_at < plan.steps:
                    fitted(save)
                watch.progress(course, _rate(course, begun_at))
                return course
            if course.step and saving:
                fitted(save)
            # A card that has told how a step went is idle until it has the next one: that comes first.
            if not waiting:
                since = time.perf_counter()
            waiting.append(fitted(lambda setup: _step(setup, done(), optimiser, process, ahead)))
            settle(but=1)
            fitted(lambda setup: ahead.look(setup, done(), process))
            if waiting[0].known():
                settle()
    except (Suspended, OutOfMemory):
        settle()
        if course.step:
            save(setup)
        raise


def _rate(course: Course, begun_at: int) -> float | None:
    """Steps per second lately, of this attempt alone: the one before may have been made on another device."""
    lately = course.durations[max(begun_at, course.step - _RATE_OVER) :]
    return len(lately) / sum(lately) if lately else None


class _Ahead:
    """What a step draws, made while a card works on the step before; pure chance by its number, made when or where."""

    def __init__(self) -> None:
        self._drawn: tuple[int, Draw] | None = None

    def look(self, setup: Setup, step: int, process: Schedule) -> None:
        """Draw for ``step``, if there is one."""
        self._drawn = (step, _draw(setup, step, process)) if step < setup.plan.steps else None

    def take(self, setup: Setup, step: int, process: Schedule) -> Draw:
        """The draw for ``step``."""
        if self._drawn is not None and self._drawn[0] == step:
            return self._drawn[1]
        return _draw(setup, step, process)


class _Taken:
    """A step that was taken at a ``rate``, and whose outcome a card may still be working on.

    ``sums``: those of the losses of its parts; ``finite``: whether it was one to learn from; both on the device.
    """

    def __init__(self, rate: float, images: int, finite: torch.Tensor, sums: list[torch.Tensor]) -> None:
        self.rate, self._images = rate, images
        self._values = torch.stack([finite.float(), *sums]).to("cpu", non_blocking=True)
        self._there: torch.cuda.Event | None = None
        if finite.device.type == "cuda":
            self._there = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._there.record()

    def known(self) -> bool:
        """Whether ``loss`` need not wait; it never need on a CPU."""
        return self._there is None or self._there.query()  # type: ignore[no-untyped-call]

    def loss(self) -> float | None:
        """The mean over the step's images, or None when it was skipped for not being finite; waits for it."""
        if self._there is not None:
            self._there.synchronize()
        good, *sums = self._values.tolist()
        return math.fsum(sums) / self._images if good else None


def _step(setup: Setup, step: int, optimiser: Optimiser, process: Schedule, ahead: _Ahead) -> _Taken:
    """One optimiser step."""
    plan = setup.plan
    rate = optimiser.set_rate(share(plan, step))
    sums = []
    with adapter.dropping_out(setup.modules, setup.seed, step):
        for part, images in _parts(setup, ahead.take(setup, step, process), step, process):
            each = losses(setup.denoise, part, process)
            (each.sum() / plan.effective_batch).backward()  # type: ignore[no-untyped-call]
            sums.append(each.detach()[:images].sum())
    norm = torch.nn.utils.clip_grad_norm_(optimiser.parameters, GRADIENT_NORM)
    finite = torch.stack([*sums, norm]).isfinite().all()
    taken = _Taken(rate, plan.effective_batch, finite, sums)
    # Last of all: what runs out of memory is done again, and this would then have been done twice.
    if optimiser.can_skip:
        optimiser.step(skipped=1 - finite.float())
    elif finite:
        optimiser.step()
    optimiser.zero_grad()
    return taken


def _rehearse(setup: Setup, optimiser: Optimiser, process: Schedule, check: Callable[[], None]) -> None:
    """Go through a step of each size of picture: what a card records for it serves the validation before it too.

    Calls ``check`` before each.
    """
    shapes = setup.encoded.latents.shapes
    new = {shapes[image] for image in setup.plan.split.training}
    try:
        for step in range(setup.plan.steps):
            if not new:
                break
            shape = shapes[int(setup.batches.at(step)[0])]
            if shape in new:
                new.remove(shape)
                check()
                with adapter.dropping_out(setup.modules, setup.seed, step):
                    for part, _ in _parts(setup, _draw(setup, step, process), step, process):
                        losses(setup.denoise, part, process).sum().backward()  # type: ignore[no-untyped-call]
    finally:
        optimiser.zero_grad()  # what is kept for the next job holds on to the parameters of this one


def _parts(setup: Setup, drawn: Draw, step: int, process: Schedule) -> Iterator[tuple[Rows, int]]:
    """What a step learns, in parts that go through the model at once; each with how many of its rows are images."""
    plan = setup.plan
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
        setup.recipe.timestep_bias,
    )


def _measure(setup: Setup, course: Course, process: Schedule, watch: Watch) -> None:
    """Add the fixed losses of this step to ``course``, and the adapter to its candidates where it may be chosen."""
    if course.validation and course.validation[-1][0] == course.step:
        return
    began = time.perf_counter()
    split = setup.plan.split
    value = fixed_loss(setup, split.held_out or split.training, process)
    seen = fixed_loss(setup, split.training, process) if split.held_out else None
    state = adapter.read(setup.modules) if course.step >= candidate_from(setup.plan.steps) else None
    watch.timed("validation", time.perf_counter() - began)
    # Nothing takes memory from here on: what is put down is put down whole.
    if not math.isfinite(value):
        raise NotFinite(course.step, course.skipped)
    if seen is not None:
        course.seen.append((course.step, seen))
    course.validation.append((course.step, value))
    first = course.validation[0][1]
    if value > _RUNAWAY * first:
        raise Diverged(course.step, first, value)
    if state is not None:
        course.propose(Candidate(course.step, value, state))


@torch.no_grad()
def fixed_loss(setup: Setup, members: tuple[int, ...], process: Schedule) -> float:
    """The loss over ``members`` with noise and timesteps that are the same every time."""
    total = 0.0
    at_once = 2 * setup.plan.batch  # without gradients, twice as many need less memory than a training step
    for drawn in measure(setup.seed, members, setup.encoded.latents.shapes, MEASURED_PAIRS, process.timesteps):
        for start in range(0, len(drawn.images), at_once):
            each = losses(setup.denoise, rows(setup.encoded, drawn, slice(start, start + at_once), process), process)
            total += float(each.sum())
    return total / MEASURED_PAIRS
