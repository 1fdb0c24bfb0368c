"""One job from its images to its files: the stages in their order, from top to bottom."""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal, TypeVar

from lorabot.locale import Message, Param
from lorabot.trainer import resume
from lorabot.trainer.attempt import Attempt
from lorabot.trainer.bases import TextTower
from lorabot.trainer.captioning import Caption, caption
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.control import Control
from lorabot.trainer.course import Course
from lorabot.trainer.devices import MIB
from lorabot.trainer.disk import disk_is_full
from lorabot.trainer.encoding import listening
from lorabot.trainer.errors import BadResumeState, DiskTakesNoMore, NoImages, OutOfMemory
from lorabot.trainer.finishing import Finished, write_files
from lorabot.trainer.learning import Learnt, learn
from lorabot.trainer.loss import forward_process
from lorabot.trainer.lowering import as_planned, lower, wait_for_room
from lorabot.trainer.memory import ran_out_of_memory
from lorabot.trainer.models import Models
from lorabot.trainer.optimisers import has_8bit
from lorabot.trainer.resume import ResumeState
from lorabot.trainer.saving import Saver
from lorabot.trainer.telling import Emit, Stopwatch, Teller
from lorabot.trainer.texts import CHUNK, MOST_CHUNKS, too_long
from lorabot.trainer.wire import Done, Notice, TrainingJob

T = TypeVar("T")
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
    clock = Stopwatch()
    patience = Patience(job, models, config, control, emit, clock)
    base = patience.through("preparing", lambda: models.base(job.base))
    if saved and saved.base != base.identity:
        _begin_anew(job, emit, "the saved state was trained on another base model")
        saved = None
        teller.known(Course(), 0)
    if saved:
        clock.go_on(saved.seconds)

    control.check()
    teller.stage("captioning")
    method = recipe.caption.method
    look = partial(_captions, job, models, control, method)
    captions = saved.captions if saved else patience.through("captioning", look)

    base = replace(base, scheduler=forward_process(base.scheduler, recipe))
    towers = listening(base, recipe)
    _say_what_is_cut(job, towers, captions, emit)
    saver = Saver(job, base, captions, config.checkpoint_s, clock, emit)
    attempt = Attempt(job, models, config, control, emit, teller, clock, base, towers, captions, saver)
    learnt = _learnt(attempt, saved, patience)

    control.check_cancel()
    teller.stage("exporting")
    finished = Finished(
        job=job,
        base=base,
        plan=learnt.descent.plan,
        captions=captions,
        course=learnt.course,
        chosen=learnt.chosen,
        state=learnt.state,
        last_pictures=learnt.last_pictures,
        prompts=learnt.prompts,
        started=started,
        clock=clock,
        peak=learnt.peak,
    )
    return patience.written(lambda: write_files(finished))


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits for a card whose memory others hold or a disk that others fill, and tells the person."""

    job: TrainingJob
    models: Models
    config: TrainerConfig
    control: Control
    emit: Emit
    clock: Stopwatch

    def wait(self) -> None:
        """Until there is more room than now. Raises ``OutOfMemory`` when it took too long."""
        with self.clock.running("waiting"):
            wait_for_room(
                self.models.hardware,
                self.config.memory_wait_s,
                self.control.check,
                lambda message: self.emit(Notice(job=self.job.id, message=message)),
            )

    def through(self, name: str, do: Callable[[], T]) -> T:
        """What ``do`` returns, which is timed by ``name`` and done again as often as there was no room for it."""
        while True:
            try:
                with self.clock.running(name):
                    return do()
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
                _log.warning("job %s: no room for %s: %s", self.job.id, name, error)
            self.wait()

    def written(self, write: Callable[[], T], look_s: float = 5.0) -> T:
        """What ``write`` returns, which is done again every ``look_s`` seconds while the disk takes no more.

        Raises ``DiskTakesNoMore`` when it took too long.
        """
        until: float | None = None
        while True:
            try:
                return write()
            except Exception as error:
                if not disk_is_full(error):
                    raise
                _log.warning("job %s: the disk takes no more: %s", self.job.id, error)
            now = time.monotonic()
            if until is None:
                until = now + self.config.memory_wait_s
                minutes = round(self.config.memory_wait_s / 60)
                self.emit(Notice(job=self.job.id, message=Message("training-notice-disk", {"minutes": minutes})))
            if now >= until:
                raise DiskTakesNoMore(shutil.disk_usage(self.job.folder).free // MIB)
            with self.clock.running("waiting"):
                self.control.check()
                time.sleep(min(look_s, until - now))


def _learnt(attempt: Attempt, saved: ResumeState | None, patience: Patience) -> Learnt:
    """What comes of the training, in as many tries as it takes to fit; each goes on where the one before ended."""
    full = attempt.job.recipe
    recipe = as_planned(full, saved.plan) if saved else full
    given_up: list[Message] = []
    while True:
        try:
            return learn(attempt, recipe, saved, given_up)
        except Exception as error:
            if not isinstance(error, OutOfMemory) and not ran_out_of_memory(error):
                raise
            _log.warning("job %s: nothing fits: %s", attempt.job.id, error)
        saved = attempt.saver.last or saved
        begun = saved is not None and saved.course.step > 0
        over = saved is not None and saved.course.step >= saved.plan.steps
        # What was learnt to its end at one resolution is not drawn at another: there is only to wait for the card.
        found = None if over else lower(recipe, full, begun, has_8bit(attempt.models.hardware().device))
        if found is not None:
            recipe, message = found
            given_up.append(message)
            attempt.emit(Notice(job=attempt.job.id, message=message))
            if saved:
                saved.course.candidates.clear()  # their losses are those of pictures of another size
            continue
        patience.wait()
        if not begun:
            recipe, given_up = full, []


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
