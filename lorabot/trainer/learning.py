"""The part of a job that one recipe decides: plan, look at the images, train, draw the last pictures."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from lorabot import __version__
from lorabot.locale import Message
from lorabot.presets import Recipe
from lorabot.trainer import adapter
from lorabot.trainer.autoencoding import Autoencoder, Surroundings, together
from lorabot.trainer.bases import BaseModel, TextTower
from lorabot.trainer.buckets import Sorted, filled, sort_in
from lorabot.trainer.captioning import Caption
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.control import Control
from lorabot.trainer.course import KEPT, Course, choose
from lorabot.trainer.denoising import Denoiser, denoiser
from lorabot.trainer.descent import Descent
from lorabot.trainer.devices import MIB
from lorabot.trainer.encoding import Told, encode, latent_bytes, tell, text_learners
from lorabot.trainer.errors import DiskFull
from lorabot.trainer.export import file_bytes, model_hash, rounded
from lorabot.trainer.finishing import file_name
from lorabot.trainer.infotext import Lora
from lorabot.trainer.latents import place
from lorabot.trainer.memory import Gauge, Remembered, Room
from lorabot.trainer.models import Models
from lorabot.trainer.offloading import off_card
from lorabot.trainer.optimisers import moments_bytes
from lorabot.trainer.pictures import picture_size, side_by_side
from lorabot.trainer.planning import Hardware, chosen_optimiser, megabytes, moved, plan
from lorabot.trainer.preserving import preserve, prompts
from lorabot.trainer.probing import Probe, fit, rehearsal
from lorabot.trainer.resume import ResumeState
from lorabot.trainer.route import Route, route
from lorabot.trainer.sampling import settings
from lorabot.trainer.saving import Saver
from lorabot.trainer.shapes import Shapes
from lorabot.trainer.showing import draw, show
from lorabot.trainer.telling import Emit, Stopwatch, Teller
from lorabot.trainer.training import Setup, Watch, batches_of, train
from lorabot.trainer.wire import Notice, TrainingJob

_SPARE = 64 * MIB
_NEARLY = 7 / 8


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try at a job works with; ``captions`` are those of its images, heard by ``towers``."""

    job: TrainingJob
    models: Models
    config: TrainerConfig
    control: Control
    emit: Emit
    teller: Teller
    clock: Stopwatch
    base: BaseModel
    towers: tuple[TextTower, ...]
    captions: tuple[Caption, ...]
    saver: Saver


@dataclass(frozen=True, slots=True)
class Learnt:
    """A training that came to its end. ``state`` is the adapter after step ``chosen``, ``last_pictures`` are its.

    ``descent`` has the plan as it was in the end. ``peak``: the most that was held of the card since it was planned,
    in bytes; None without one.
    """

    descent: Descent
    course: Course
    chosen: int
    state: adapter.State
    last_pictures: tuple[bytes, ...]
    prompts: tuple[str, ...]
    peak: int | None


def learn(attempt: Attempt, recipe: Recipe, saved: ResumeState | None, given_up: Sequence[Message]) -> Learnt:
    """Train as ``recipe`` says, from the beginning or from what was ``saved``.

    ``given_up``: what was said about what this recipe has less than the job's. Raises ``OutOfMemory`` where no plan of
    this recipe fits; what was learnt until then is in the attempt's saver.
    """
    job, base, towers, captions = attempt.job, attempt.base, attempt.towers, attempt.captions
    control, emit, teller, clock = attempt.control, attempt.emit, attempt.teller, attempt.clock
    learners = text_learners(base, recipe)
    off_card(base.vae, *(tower.encoder for tower in towers if tower.encoder not in learners.values()))
    hardware = attempt.models.hardware()
    gauge = attempt.models.gauge()
    modules: adapter.Modules = {"unet": base.unet, **learners}

    def tell_now(message: Message) -> None:
        emit(Notice(job=job.id, message=message))

    ways: list[Message] = []
    warm = attempt.models.warm

    def opener(checkpointing: bool) -> AbstractContextManager[Denoiser]:
        card = hardware.card is not None
        dropout = recipe.dropout > 0
        return denoiser(base.unet, hardware.precision, checkpointing, dropout, card, warm, ways.append)

    with (
        adapter.attached(modules, recipe, job.seed),
        route(base.unet, gauge, opener, warm) as denoise,
        closing(_autoencoder(attempt, hardware, gauge, denoise)) as autoencoder,
    ):
        control.check()
        teller.stage("planning")
        fresh = adapter.read(modules)
        size = file_bytes(fresh, base.family, base.unet, recipe.save_precision)
        numbers = sum(value.numel() for value in fresh.values())
        with clock.running("encoding"):
            told = tell(towers, captions, recipe, job.seed, base.unet.device)
            sizes = list(side_by_side(picture_size, job.images))
        with clock.running("planning"):
            sorted_in = sort_in(sizes, recipe.resolution, Shapes.of(base).grain)
            dearest = _dearest(sorted_in, recipe)
            large = latent_bytes(base, sorted_in.buckets, recipe)
            where = place(large, base.unet.device, _left_on_disk(numbers, job.folder))
            several = _several(sorted_in, recipe, dearest)
            depends = _depends(gauge.kind(), base, recipe, hardware, dearest, several, told)
            remembered = Remembered(job.measured, depends)
            if remembered.agreed:
                warm.trust(base.unet)
        said: list[Message] = [*given_up]
        if where == "nowhere":
            said.append(Message("plan-latents-nowhere"))
        denoise.tell = said.append
        views, samples = _at_once(recipe, dearest)
        one = several_at_once = 0
        with clock.running("opening"):
            if not remembered.knows:
                denoise.renew()  # it is measured first, as after a start
            gauge.empty()
            denoise.bring_back()
            if hardware.card is not None:

                def by_vae(encoded: int, decoded: int) -> int:
                    tried = partial(rehearsal, autoencoder, gauge, dearest, encoded, job.recipe.resolution, decoded)
                    return remembered.stage(f"{encoded} to and {decoded} from latents", tried)

                one, several_at_once = by_vae(1, 1), by_vae(views, samples)
            kept = warm.holds(base.unet)
        with clock.running("planning"):
            hardware = attempt.models.hardware()
            room = None
            if hardware.card is not None:
                moments = moments_bytes(chosen_optimiser(recipe.optimiser, hardware.device), numbers)
                # Weights that found no room to come back since they were off the card are counted as if they had.
                # What is held and spare is free for passes only where it is theirs: elsewhere it is holes, too small.
                holes = 0 if kept else gauge.spare()
                room = Room(
                    hardware.card.free - denoise.away - holes,
                    gauge.held() + denoise.away,
                    later=moments + (large if where == "card" else 0),
                    one=one,
                    several=several_at_once,
                    pictures=max(views, samples),
                    kept=gauge.spare() if kept else 0,
                )
            probe = Probe(base, modules, denoise, gauge, dearest, told.probed, several)
            fitted = fit(probe, remembered, room, recipe.checkpointing)
            if saved:
                made = moved(saved.plan, hardware, fitted)
            else:
                made = plan(recipe, sorted_in, job.seed, hardware, attempt.config, fitted, size)
            made = replace(made, resolution=recipe.resolution, buckets=filled(sorted_in.buckets))
            made = replace(made, reasons=(*made.reasons, *(each for each in said if each not in made.reasons)))
        with clock.running("opening"):
            if probe.last not in (None, made.fitting):
                denoise.renew()  # passes of another kind were tried last: what they hold is given back
            done = saved.course.step if saved else 0
            descent = Descent(made, denoise, gauge, attempt.models.hardware, tell_now, done)
            new = tuple(way for way in ways[-1:] if way not in made.reasons)
            descent.plan = replace(descent.plan, reasons=(*descent.plan.reasons, *new))
            if warm.trusts(base.unet):
                remembered.agree()
                remembered.keep()
            if probe.last is not None or not kept:
                gauge.empty()
            gauge.reset_peak()

        teller.stage("training", "training-note-encoding", megabytes=megabytes(size))
        with clock.running("encoding"):
            cache = job.cache or job.folder / "latents"
            encoded = descent.through(
                lambda: encode(
                    base, job.images, sorted_in.buckets, told, recipe, job.seed, where, cache, control, autoencoder
                ),
                done,
            )
            wanted = settings(base, towers, job.recipe, base.scheduler, job.trigger, job.seed)

        preserved = None
        if recipe.preserve:
            teller.stage("training", "training-note-preserving")
            with clock.running("preserving"):
                texts = [each.text for each in captions]
                drawn = prompts(recipe.preserve, texts, job.trigger, job.seed)
                steps = recipe.preserve.steps
                preserved = descent.through(
                    lambda: preserve(base, towers, modules, denoise, recipe, drawn, steps, job.seed, control.check),
                    done,
                )

        batches = batches_of(encoded, made, job.seed)
        setup = Setup(base, modules, denoise, encoded, batches, descent.plan, recipe, job.seed, preserved)
        course = saved.course if saved else Course()
        if saved:
            adapter.write(modules, saved.adapter)
            for step, pictures in sorted(course.pictures.items()):
                show(job, step, pictures, wanted, emit)

        def pictures_of(step: int) -> tuple[bytes, ...]:
            teller.stage("training", "training-note-sampling")
            with clock.running("sampling"):
                return draw(job, setup, wanted, step, control, emit, autoencoder)

        watch = Watch(
            check=control.check,
            progress=lambda now, rate: teller.training(now, made.steps, rate),
            pictures=pictures_of,
            saving_due=attempt.saver.due,
            save=lambda now, moments: attempt.saver.save(descent.plan, modules, now, moments),
            timed=clock.add,
            make_room=descent.down,
            stepped=descent.stepped,
        )
        teller.training(course, made.steps, None)
        going_on = saved is not None and saved.plan.optimiser == made.optimiser
        train(setup, course, saved.moments if saved and going_on else None, watch)

        teller.stage("evaluating", "evaluating-note-sampling")
        best = choose(course)
        best_state = rounded(best.state, recipe.save_precision)
        adapter.write(modules, best_state)
        with clock.running("sampling"):
            digest = model_hash(best_state, base.family, base.unet, made.alpha, recipe.save_precision)
            lora = Lora(file_name(job.name), digest)
            last = descent.through(
                lambda: draw(job, setup, wanted, made.steps, control, emit, autoencoder, lora), made.steps
            )
        peak = gauge.peak() if hardware.card is not None else None
    return Learnt(descent, course, best.step, best_state, last, tuple(prompt.text for prompt in wanted.prompts), peak)


def _autoencoder(attempt: Attempt, hardware: Hardware, gauge: Gauge, way: Route) -> Autoencoder:
    if hardware.card is None:
        return Autoencoder(attempt.base, gauge)

    def room() -> int:
        card = attempt.models.hardware().card
        return card.free if card else 0

    return Autoencoder(attempt.base, gauge, Surroundings(room, way.aside, lambda message: way.tell(message)))


def _dearest(sorted_in: Sorted, recipe: Recipe) -> tuple[int, int]:
    """The width and height of the dearest pictures that go through the model.

    That is the square of the resolution for all that are nearly as large: so what was measured for one dataset is known
    for the next, and the pass that is tried is one that sample pictures need.
    """
    largest, side = sorted_in.largest, recipe.resolution
    if recipe.preserve or largest.area > _NEARLY * side**2:
        return side, side
    return largest.width, largest.height


def _several(sorted_in: Sorted, recipe: Recipe, dearest: tuple[int, int]) -> bool:
    """Whether others than the ``dearest`` pictures go through the model: samples are squares of the resolution."""
    return {(recipe.resolution,) * 2, *((each.width, each.height) for each in sorted_in.buckets)} != {dearest}


def _at_once(recipe: Recipe, size: tuple[int, int]) -> tuple[int, int]:
    """How many pictures may go through the VAE together: the views of one image, of ``size``, and the samples."""
    views, side = recipe.crops * (2 if recipe.flip else 1), recipe.resolution
    return min(views, together(size[0] * size[1])), min(len(recipe.sample_prompts), together(side**2))


def _depends(
    kind: str,
    base: BaseModel,
    recipe: Recipe,
    hardware: Hardware,
    size: tuple[int, int],
    several: bool,
    told: Told,
) -> Mapping[str, object]:
    """All that the time and the memory of a pass through the model depend on."""
    return {
        "device": kind,
        "versions": (torch.__version__, __version__),
        "base": base.identity,
        "precision": hardware.precision,
        "size": size,
        "several": several,
        "tokens": told.probed(1).states.shape[1],
        "adapter": (recipe.rank, recipe.layers, recipe.dora, recipe.dropout > 0),
        "text encoder": recipe.text_encoder_lr > 0,
    }


def _left_on_disk(numbers: int, folder: Path) -> int:
    """The bytes that saved states and results of so many ``numbers`` that are learnt leave on the disk.

    Raises ``DiskFull`` where not even these find room.
    """
    weights = 4 * numbers
    # A saved state holds the adapter, up to four moments (Prodigy's) and the candidates; two may lie there at once.
    needed = 2 * weights * (1 + 4 + KEPT) + _SPARE
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(needed // MIB, free // MIB)
    return free - needed
