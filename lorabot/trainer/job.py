"""One job from its images to its files: the stages in their order, from top to bottom."""

import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lorabot.locale import Message, Param
from lorabot.presets import Recipe
from lorabot.trainer import adapter, resume
from lorabot.trainer.bases import BaseModel, TextTower
from lorabot.trainer.buckets import Sorted, sort_in
from lorabot.trainer.captioning import Caption, caption
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.control import Control
from lorabot.trainer.course import KEPT, Course, choose
from lorabot.trainer.denoising import denoiser
from lorabot.trainer.devices import MIB
from lorabot.trainer.encoding import encode, latent_bytes, listening, tell, text_learners
from lorabot.trainer.errors import BadResumeState, DiskFull, NoImages
from lorabot.trainer.export import file_bytes, model_hash, rounded
from lorabot.trainer.finishing import Finished, file_name, write_files
from lorabot.trainer.infotext import KEY, Lora, infotext
from lorabot.trainer.latents import place
from lorabot.trainer.loss import forward_process
from lorabot.trainer.models import Models
from lorabot.trainer.offloading import off_card
from lorabot.trainer.optimisers import Moments
from lorabot.trainer.pictures import picture_size
from lorabot.trainer.planning import Plan, megabytes, moved, plan
from lorabot.trainer.preserving import preserve, prompts
from lorabot.trainer.probing import probe
from lorabot.trainer.resume import ResumeState
from lorabot.trainer.sampling import Settings, sample, settings
from lorabot.trainer.shapes import Shapes
from lorabot.trainer.telling import Emit, Stopwatch, Teller
from lorabot.trainer.texts import CHUNK, MOST_CHUNKS, too_long
from lorabot.trainer.training import Setup, Watch, batches_of, train
from lorabot.trainer.wire import CheckpointMade, Done, Notice, SampleMade, TrainingJob

_SPARE = 64 * MIB
_log = logging.getLogger(__name__)


def run(job: TrainingJob, models: Models, config: TrainerConfig, control: Control, emit: Emit) -> Done:
    """Do ``job`` and return what it made; everything lies in ``job.folder``.

    Raises ``TrainerError`` with a sentence for the person, ``Cancelled`` or ``Suspended`` as ``control`` was told.
    """
    started = datetime.now(UTC)
    teller = Teller(emit, job.id, config.progress_s)
    saved = _saved(job, emit)
    if saved:
        teller.known(saved.course, saved.plan.steps)
    teller.stage("preparing")
    if not job.images:
        raise NoImages
    recipe = job.recipe
    began = time.perf_counter()
    base = models.base(job.base)
    if saved and saved.base != base.identity:
        _begin_anew(job, emit, "the saved state was trained on another base model")
        saved = None
        teller.known(Course(), 0)
    clock = Stopwatch(dict(saved.seconds) if saved else None, began)
    clock.add("preparing", time.perf_counter() - began)

    control.check()
    teller.stage("captioning")
    with clock.running("captioning"):
        captions = saved.captions if saved else _captions(job, models, control, recipe.caption.method)

    base = replace(base, scheduler=forward_process(base.scheduler, recipe))
    towers = listening(base, recipe)
    _say_what_is_cut(job, towers, captions, emit)
    learners = text_learners(base, recipe)
    off_card(base.vae, *(tower.encoder for tower in towers if tower.encoder not in learners.values()))
    hardware = models.hardware()
    modules: adapter.Modules = {"unet": base.unet, **learners}
    with (
        adapter.attached(modules, recipe, job.seed),
        denoiser(base.unet, hardware.precision, recipe.checkpointing, recipe.dropout > 0) as denoise,
    ):
        control.check()
        teller.stage("planning")
        size = file_bytes(adapter.read(modules), base.family, base.unet, recipe.save_precision)
        with clock.running("encoding"):
            told = tell(towers, captions, recipe, job.seed, base.unet.device)
        with clock.running("planning"):
            sizes = [picture_size(image) for image in job.images]
            sorted_in = sort_in(sizes, recipe.resolution, Shapes.of(base).grain)
            measure = probe(base, denoise, _dearest(sorted_in, recipe), told.probed)
            if saved:
                chosen_plan = moved(saved.plan, hardware, measure)
            else:
                chosen_plan = plan(recipe, sorted_in, job.seed, hardware, config, measure, size)
            large = latent_bytes(base, sorted_in.buckets, recipe)
            where = place(large, base.unet.device)
            _check_disk(modules, job.folder, large if where == "disk" else 0)

        teller.stage("training", "training-note-encoding", megabytes=megabytes(size))
        with clock.running("encoding"):
            cache = job.cache or job.folder / "latents"
            encoded = encode(base, job.images, sorted_in.buckets, told, recipe, job.seed, where, cache, control)
            wanted = settings(base, towers, recipe, base.scheduler, job.trigger, job.seed)

        preserved = None
        if recipe.preserve:
            teller.stage("training", "training-note-preserving")
            with clock.running("preserving"):
                texts = [each.text for each in captions]
                drawn = prompts(recipe.preserve, texts, job.trigger, job.seed)
                steps = recipe.preserve.steps
                preserved = preserve(base, towers, modules, denoise, recipe, drawn, steps, job.seed, control.check)

        batches = batches_of(encoded, chosen_plan, job.seed)
        setup = Setup(base, modules, denoise, encoded, batches, chosen_plan, recipe, job.seed, preserved)
        course = saved.course if saved else Course()
        if saved:
            adapter.write(modules, saved.adapter)
            for step, pictures in sorted(course.pictures.items()):
                _show(job, step, pictures, wanted, emit)
        saver = _Saver(job, base, modules, captions, chosen_plan, config.checkpoint_s, clock, emit)

        def pictures_of(step: int) -> tuple[bytes, ...]:
            teller.stage("training", "training-note-sampling")
            with clock.running("sampling"):
                return _pictures(job, setup, wanted, step, control, emit)

        watch = Watch(
            check=control.check,
            progress=lambda now, rate: teller.training(now, chosen_plan.steps, rate),
            pictures=pictures_of,
            saving_due=saver.due,
            save=saver.save,
            timed=clock.add,
        )
        teller.training(course, chosen_plan.steps, None)
        going_on = saved is not None and saved.plan.optimiser == chosen_plan.optimiser
        train(setup, course, saved.moments if saved and going_on else None, watch)

        teller.stage("evaluating", "evaluating-note-sampling")
        best = choose(course)
        best_state = rounded(best.state, recipe.save_precision)
        adapter.write(modules, best_state)
        with clock.running("sampling"):
            digest = model_hash(best_state, base.family, base.unet, chosen_plan.alpha, recipe.save_precision)
            lora = Lora(file_name(job.name), digest)
            last = _pictures(job, setup, wanted, chosen_plan.steps, control, emit, lora)

    control.check_cancel()
    teller.stage("exporting")
    finished = Finished(
        job=job,
        base=base,
        plan=chosen_plan,
        captions=captions,
        course=course,
        chosen=best.step,
        state=best_state,
        last_pictures=last,
        prompts=tuple(prompt.text for prompt in wanted.prompts),
        started=started,
        clock=clock,
    )
    return write_files(finished)


def _saved(job: TrainingJob, emit: Emit) -> ResumeState | None:
    """What to go on from, if there is something of this job."""
    if job.resume is None:
        return None
    try:
        state = resume.read(job.resume)
    except BadResumeState as error:
        _begin_anew(job, emit, f"the saved state can't be read: {error}")
        return None
    if state.job != job.id or len(state.captions) != len(job.images):
        _begin_anew(job, emit, "the saved state belongs to something else")
        return None
    return state


def _begin_anew(job: TrainingJob, emit: Emit, why: str) -> None:
    _log.error("job %s: %s", job.id, why)
    emit(Notice(job=job.id, message=Message("training-notice-begun-anew")))


def _captions(
    job: TrainingJob, models: Models, control: Control, method: Literal["zero-shot", "none"]
) -> tuple[Caption, ...]:
    vocabulary = job.vocabulary if method == "zero-shot" else None
    wanted = vocabulary is not None and any(not image.caption for image in job.images)
    return caption(job.images, job.trigger, vocabulary, models.clip() if wanted else None, control)


def _say_what_is_cut(job: TrainingJob, towers: Sequence[TextTower], captions: Sequence[Caption], emit: Emit) -> None:
    """Name the first image whose caption is too long to be heard to its end, and say how many there are."""
    cut = [image.name for image, each in zip(job.images, captions, strict=True) if too_long(towers, each.text)]
    if cut:
        params: dict[str, Param] = {"count": len(cut), "image": cut[0], "most": MOST_CHUNKS * CHUNK}
        emit(Notice(job=job.id, message=Message("training-notice-captions-cut", params)))


def _dearest(sorted_in: Sorted, recipe: Recipe) -> tuple[int, int]:
    """The width and height of the dearest pictures that go through the model."""
    if recipe.preserve:
        return recipe.resolution, recipe.resolution
    return sorted_in.largest.width, sorted_in.largest.height


def _check_disk(modules: adapter.Modules, folder: Path, latents: int) -> None:
    """Raise ``DiskFull`` where saved states, results and ``latents``, in bytes, would not find room."""
    weights = sum(parameter.numel() for _, parameter in adapter.parameters(modules)) * 4
    # A saved state holds the adapter, up to four moments (Prodigy's) and the candidates; two may lie there at once.
    needed = 2 * weights * (1 + 4 + KEPT) + latents + _SPARE
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(needed // MIB, free // MIB)


def _pictures(
    job: TrainingJob, setup: Setup, wanted: Settings, step: int, control: Control, emit: Emit, lora: Lora | None = None
) -> tuple[bytes, ...]:
    """Draw the sample pictures after ``step`` and show them; before the first step, those of the base model alone.

    ``lora``: the file that they will be drawn with elsewhere, once there is one.
    """
    with adapter.switched_off(setup.modules) if step == 0 else nullcontext():
        drawn = sample(setup.base, setup.denoise, wanted, control.check)
    files = tuple(
        _png(picture, infotext(wanted.drawn(prompt), lora))
        for picture, prompt in zip(drawn, wanted.prompts, strict=True)
    )
    _show(job, step, files, wanted, emit)
    return files


def _show(job: TrainingJob, step: int, files: tuple[bytes, ...], wanted: Settings, emit: Emit) -> None:
    folder = job.folder / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    for index, (content, prompt) in enumerate(zip(files, wanted.prompts, strict=True)):
        path = folder / f"{step:06d}-{index + 1}.png"
        path.write_bytes(content)
        emit(SampleMade(job=job.id, step=step, index=index, prompt=prompt.text, path=path))


def _png(picture: Image.Image, text: str) -> bytes:
    content, about = BytesIO(), PngInfo()
    about.add_text(KEY, text)
    picture.save(content, format="PNG", pnginfo=about)
    return content.getvalue()


class _Saver:
    """Saves the state at an interval, and whenever the training says so."""

    def __init__(
        self,
        job: TrainingJob,
        base: BaseModel,
        modules: adapter.Modules,
        captions: tuple[Caption, ...],
        chosen_plan: Plan,
        interval_s: float,
        clock: Stopwatch,
        emit: Emit,
    ) -> None:
        self._job, self._base, self._modules = job, base, modules
        self._captions, self._plan = captions, chosen_plan
        self._interval_s, self._clock, self._emit = interval_s, clock, emit
        self._next = time.monotonic() + interval_s

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def save(self, course: Course, moments: Moments) -> None:
        path = self._job.folder / "resume" / f"{course.step:06d}.safetensors"
        with self._clock.running("saving"):
            state = ResumeState(
                job=self._job.id,
                base=self._base.identity,
                plan=self._plan,
                captions=self._captions,
                course=course,
                adapter=adapter.read(self._modules),
                moments=moments,
                seconds=self._clock.seconds,
            )
            resume.write(path, state)
        self._next = time.monotonic() + self._interval_s
        self._emit(CheckpointMade(job=self._job.id, step=course.step, path=path))
