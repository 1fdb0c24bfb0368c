"""Stage: looks at what a job will send through the model, and finds the plan that fits the device at the moment."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil
import torch

from lorabot import __version__
from lorabot.locale import Message
from lorabot.presets import Recipe
from lorabot.trainer import adapter
from lorabot.trainer.attempt import Opened
from lorabot.trainer.autoencoding import together
from lorabot.trainer.buckets import Sorted, filled, sort_in
from lorabot.trainer.compiler import can_compile
from lorabot.trainer.course import KEPT
from lorabot.trainer.denoising import IN_WANT, LOST
from lorabot.trainer.descent import Descent
from lorabot.trainer.devices import MIB
from lorabot.trainer.encoding import Told, latent_bytes, tell
from lorabot.trainer.errors import DiskFull
from lorabot.trainer.export import file_bytes
from lorabot.trainer.fast import front_end, kind_of
from lorabot.trainer.latents import Place, place
from lorabot.trainer.memory import Remembered, Room
from lorabot.trainer.optimisers import moments_bytes
from lorabot.trainer.pictures import picture_size, side_by_side
from lorabot.trainer.planning import Plan, chosen_optimiser, moved, plan
from lorabot.trainer.probing import Probe, fit, rehearsal
from lorabot.trainer.resume import ResumeState
from lorabot.trainer.shapes import Shapes

_SPARE = 64 * MIB
_HOST_SPARE = 2048 * MIB
_NEARLY = 7 / 8
_BYTES_A_PIXEL = 16 * 1024
"""Twice what a row of SDXL takes of a card for each of its pixels going the plain way, four times what SD1.5's does."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a job will send through the model, and how large what it makes is.

    ``numbers`` are learnt, and make a file of ``file_bytes``. ``dearest``: width and height of the dearest pictures;
    ``several``: whether others go through a card as well. The latents, ``latent_bytes``, lie ``where``.
    """

    numbers: int
    file_bytes: int
    told: Told
    sorted_in: Sorted
    dearest: tuple[int, int]
    several: bool
    latent_bytes: int
    where: Place


def look(opened: Opened) -> Outlook:
    """Hear the captions, look at the pictures' sizes, and find a place for the latents. Raises ``DiskFull``."""
    attempt, recipe = opened.attempt, opened.recipe
    job, base, clock = attempt.job, attempt.base, attempt.clock
    fresh = adapter.read(opened.modules)
    numbers = sum(value.numel() for value in fresh.values())
    with clock.running("encoding"):
        told = tell(attempt.towers, attempt.captions, recipe, job.seed, base.device)
        sizes = list(side_by_side(picture_size, job.images))
    with clock.running("planning"):
        sorted_in = sort_in(sizes, recipe.resolution, Shapes.of(base).grain)
        dearest = _dearest(sorted_in, recipe)
        large = latent_bytes(base, sorted_in.buckets, recipe)
        return Outlook(
            numbers=numbers,
            file_bytes=file_bytes(fresh, base.family, base.unet, recipe.save_precision),
            told=told,
            sorted_in=sorted_in,
            dearest=dearest,
            several=opened.hardware.card is not None and _several(sorted_in, recipe, dearest),
            latent_bytes=large,
            where=place(large, base.device, _left_on_disk(numbers, job.folder)),
        )


def plan_to_fit(opened: Opened, outlook: Outlook, saved: ResumeState | None, given_up: Sequence[Message]) -> Descent:
    """Plan the training, or go on with what was ``saved`` by a plan that fits now, and open the way that it takes.

    ``given_up``: what was said about what this recipe has less than the job's. What is not remembered is tried first.
    Raises ``OutOfMemory`` where nothing fits.
    """
    attempt, recipe, denoise, gauge = opened.attempt, opened.recipe, opened.denoise, opened.gauge
    base, clock, warm = attempt.base, attempt.clock, attempt.models.warm
    with clock.running("planning"):
        kind = kind_of(base.unet)
        failed = warm.fails(kind)
        remembered = Remembered(attempt.job.measured, _depends(opened, outlook, failed))
        if remembered.agreed:
            warm.trust(kind)
    said: list[Message] = [*given_up]
    if outlook.where == "nowhere":
        said.append(Message("plan-latents-nowhere"))
    denoise.tell = said.append
    views, samples = _at_once(recipe, outlook.dearest)
    one = several = 0
    row = _BYTES_A_PIXEL * outlook.dearest[0] * outlook.dearest[1]
    with clock.running("opening"):
        card = attempt.models.hardware().card
        if card is not None and Room(card.free, 0).usable < row * (recipe.batch + _held(recipe)):
            warm.keep_only(kind)  # what other jobs have left there is the next to go
        mode = None if opened.plainly else warm.mode(kind)
        if mode is None or remembered.resting(mode) is None:
            denoise.renew()  # it is measured first, as after a start, or nobody knows how much lies there
            warm.make_room(base.device)  # now, and not while something is measured
        gauge.empty()
        denoise.bring_back()
        if opened.hardware.card is not None:
            one = _by_vae(opened, outlook, remembered, 1, 1)
            several = _by_vae(opened, outlook, remembered, views, samples)
        mode = warm.mode(kind)
        kept = mode is not None
        laid = 0 if mode is None else remembered.resting(mode) or 0
    with clock.running("planning"):
        hardware = attempt.models.hardware()
        room = None
        if hardware.card is not None:
            moments = moments_bytes(chosen_optimiser(recipe.optimiser, hardware.device), outlook.numbers)
            # Weights that found no room to come back since they were off the card are counted as if they had.
            # What is held and spare is free for passes only where it is theirs: elsewhere it is holes, too small. And
            # what an earlier job has laid out for them is in what they were measured to take.
            holes, away = 0 if kept else gauge.spare(), denoise.away
            room = Room(
                hardware.card.free - away - holes + laid,
                gauge.held() + away - laid,
                later=moments + (outlook.latent_bytes if outlook.where == "card" else 0),
                one=one,
                several=several,
                pictures=max(views, samples),
                kept=gauge.spare() if kept else 0,
                movable=_host_has_room(base.unet),
                row=row,
            )
        probe = Probe(
            base,
            opened.modules,
            denoise,
            gauge,
            outlook.dearest,
            outlook.told.probed,
            recipe.batch,
            _held(recipe),
            outlook.several,
            lambda: opened.ways[-1:] == [IN_WANT] or warm.fails(kind) != failed,
            attempt.control.check,
        )

        def planned() -> Plan:
            fitted = fit(probe, remembered, room, recipe.checkpointing)
            if saved:
                return moved(saved.plan, hardware, fitted)
            seed, config = attempt.job.seed, attempt.config
            return plan(recipe, outlook.sorted_in, seed, hardware, config, fitted, outlook.file_bytes)

        made = planned()
        if LOST in said:  # some passes that were tried went fast, others plain; now all will
            said.remove(LOST)
            failed = True
            remembered = Remembered(attempt.job.measured, _depends(opened, outlook, failed))
            made = planned()
        made = replace(made, resolution=recipe.resolution, buckets=filled(outlook.sorted_in.buckets))
        made = _with_reasons(made, said)
    with clock.running("opening"):
        if probe.last not in (None, made.fitting):
            denoise.renew()  # passes of another kind were tried last: what they hold is given back
        done = saved.course.step if saved else 0
        descent = Descent(made, denoise, gauge, attempt.models.hardware, attempt.notify, done)
        descent.plan = _with_reasons(descent.plan, opened.ways[-1:])
        if warm.trusts(kind):
            remembered.agree()
            remembered.keep()
        if probe.last is not None or not kept or warm.mode(kind) != mode:
            gauge.empty()
        gauge.reset_peak()
    return descent


def _host_has_room(unet: torch.nn.Module) -> bool:
    """Whether the host's memory takes the weights with some to spare: Linux ends processes rather than refuse."""
    weights = sum(parameter.nbytes for parameter in unet.parameters())
    return int(psutil.virtual_memory().available) > weights + _HOST_SPARE


def _with_reasons(made: Plan, more: Sequence[Message]) -> Plan:
    return replace(made, reasons=(*made.reasons, *(each for each in more if each not in made.reasons)))


def _by_vae(opened: Opened, outlook: Outlook, remembered: Remembered, encoded: int, decoded: int) -> int:
    """The bytes that the VAE takes for so many pictures, ``encoded`` and ``decoded`` at once."""
    side = opened.attempt.job.recipe.resolution
    tried = partial(rehearsal, opened.autoencoder, opened.gauge, outlook.dearest, encoded, side, decoded)
    return remembered.stage(f"{encoded} to and {decoded} from latents", tried)


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


def _held(recipe: Recipe) -> int:
    """The rows of a step that hold on to what the base draws by itself."""
    return recipe.preserve.rows if recipe.preserve else 0


def _at_once(recipe: Recipe, size: tuple[int, int]) -> tuple[int, int]:
    """How many pictures may go through the VAE together: the views of one image, of ``size``, and the samples."""
    views, side = recipe.crops * (2 if recipe.flip else 1), recipe.resolution
    return min(views, together(size[0] * size[1])), min(len(recipe.sample_prompts), together(side**2))


def _depends(opened: Opened, outlook: Outlook, failed: bool) -> Mapping[str, object]:
    """All that the time and the memory of a pass through the model depend on. ``failed``: the fast way."""
    base, recipe = opened.attempt.base, opened.recipe
    return {
        "device": opened.gauge.kind(),
        "versions": (torch.__version__, __version__, front_end() if opened.hardware.card else None),
        "compiles": can_compile(),
        "base": base.identity,
        "precision": opened.hardware.precision,
        "size": outlook.dearest,
        "several": outlook.several,
        "rows": (recipe.batch, _held(recipe)),
        "tokens": outlook.told.probed(1).states.shape[1],
        "adapter": (recipe.rank, recipe.layers, recipe.dora, recipe.dropout > 0),
        "text encoder": recipe.text_encoder_lr > 0,
        "failed": failed,
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
