"""The protocol between daemon and engine: typed messages, one JSON object a line, over pipes."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lorabot.locale import Message
from lorabot.presets import Preset, Recipe, Vocabulary
from lorabot.trainer.bases.located import LocatedBase

VERSION = 2
"""Grows when a message changes; the two ends refuse each other when theirs differ."""

StageName = Literal["preparing", "captioning", "planning", "training", "evaluating", "exporting"]
"""The values of the queue's ``Stage``, which the engine does not import: the queue brings a database along."""

FileKind = Literal["lora", "plot", "grid", "report", "report_json", "tensorboard"]
Points = tuple[tuple[int, float], ...]


class ProtocolError(Exception):
    """A line that is no message of this protocol."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingImage(_Message):
    """One image of the dataset. ``name`` is what its owner called it, ``caption`` what they wrote about it."""

    path: Path
    name: str
    caption: str | None = None


class Expected(_Message):
    """What the person was told before the job began: seconds, most likely ``low`` to ``high``, and bytes, if known."""

    seconds: float = Field(gt=0)
    low: float
    high: float
    basis: Literal["alike", "others", "step"]
    peak_bytes: int | None = None


class TrainingJob(_Message):
    """Everything an engine needs to know about a job. ``folder`` takes all it writes; ``resume`` is where to go on.

    ``cache`` outlives the attempt: latents that are too many for the memory are found there again. ``expected`` is what
    comes true or not. ``measured`` outlives the job: the file of what training steps took on this host.
    """

    id: str
    name: str
    trigger: str
    base: LocatedBase
    language: str
    seed: int = Field(ge=0, lt=2**63)
    preset: Preset
    vocabulary: Vocabulary | None
    images: tuple[TrainingImage, ...]
    folder: Path
    resume: Path | None = None
    cache: Path | None = None
    expected: Expected | None = None
    measured: Path | None = None

    @property
    def recipe(self) -> Recipe:
        """The preset's recipe for the base; raises ``NoRecipe`` when it has none."""
        return self.preset.recipe(self.base.family)


class Train(_Message):
    """Daemon to engine: begin this job. One at a time."""

    type: Literal["train"] = "train"
    job: TrainingJob


class Measure(_Message):
    """Daemon to engine, while no job runs: load this base and time a step by this recipe; answered by ``Measured``."""

    type: Literal["measure"] = "measure"
    base: LocatedBase
    recipe: Recipe


class Cancel(_Message):
    """Daemon to engine: end the job; answered by its terminal event."""

    type: Literal["cancel"] = "cancel"
    job: str


class Suspend(_Message):
    """Daemon to engine: save the job's state and end it; answered by its terminal event."""

    type: Literal["suspend"] = "suspend"
    job: str


class Hello(_Message):
    """Engine to daemon, first: its libraries are loaded and it waits for a job. ``card`` is the uuid of its card."""

    type: Literal["hello"] = "hello"
    version: int
    pid: int
    device: str
    device_name: str
    loading_s: float
    card: str | None = None


class Measured(_Message):
    """Engine to daemon: seconds of a training step and of its forward pass alone, over so many ``pixels``.

    All of them are 0 where it could not be measured.
    """

    type: Literal["measured"] = "measured"
    pixels: int = 0
    step_s: float = 0.0
    forward_s: float = 0.0


class Alive(_Message):
    """Engine to daemon, at an interval: the process lives."""

    type: Literal["alive"] = "alive"


class Progress(_Message):
    """What can be seen of the job. Rate in steps/s and time left exclude saving, validating and sampling."""

    type: Literal["progress"] = "progress"
    job: str
    stage: StageName
    step: int = 0
    total_steps: int = 0
    rate: float | None = None
    eta_s: float | None = None
    loss: Points = ()
    validation: Points = ()
    note: Message | None = None


class SampleMade(_Message):
    """A sample picture was drawn after ``step`` for the prompt number ``index`` and lies at ``path``."""

    type: Literal["sample"] = "sample"
    job: str
    step: int
    index: int
    prompt: str
    path: Path


class CheckpointMade(_Message):
    """The state after ``step`` lies complete at ``path``; the receiver owns the file and deletes it."""

    type: Literal["checkpoint"] = "checkpoint"
    job: str
    step: int
    path: Path


class Notice(_Message):
    """Something the person should know now."""

    type: Literal["notice"] = "notice"
    job: str
    message: Message


class MadeFile(_Message):
    """A file that the job is for."""

    kind: FileKind
    path: Path
    content_type: str


class Done(_Message):
    """Terminal: the files, and the numbers that a chat shows."""

    type: Literal["done"] = "done"
    job: str
    files: tuple[MadeFile, ...]
    summary: dict[str, str | int | float | None]


class Failed(_Message):
    """Terminal: the job can't be done; the person is told why."""

    type: Literal["failed"] = "failed"
    job: str
    message: Message


class Stopped(_Message):
    """Terminal: as it was told. After a suspension a ``CheckpointMade`` came before, if anything was worth saving."""

    type: Literal["stopped"] = "stopped"
    job: str
    how: Literal["cancelled", "suspended"]


class Crashed(_Message):
    """Terminal: an error nobody foresaw. ``signature`` is its type and place; the traceback is in the log only."""

    type: Literal["crashed"] = "crashed"
    job: str
    signature: str


Command = Train | Measure | Cancel | Suspend
Terminal = Done | Failed | Stopped | Crashed
Event = Hello | Measured | Alive | Progress | SampleMade | CheckpointMade | Notice | Terminal

_COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def line(message: Command | Event) -> bytes:
    """``message`` as one line."""
    return message.model_dump_json().encode() + b"\n"


def read_command(text: bytes) -> Command:
    """The command on one line; raises ``ProtocolError``."""
    try:
        return _COMMANDS.validate_json(text)
    except ValidationError as error:
        raise ProtocolError(_brief(error)) from None


def read_event(text: bytes) -> Event:
    """The event on one line; raises ``ProtocolError``."""
    try:
        return _EVENTS.validate_json(text)
    except ValidationError as error:
        raise ProtocolError(_brief(error)) from None


def _brief(error: ValidationError) -> str:
    """What is wrong, without the line itself: it may hold a person's words."""
    return "; ".join(
        f"{'.'.join(map(str, detail['loc'])) or 'line'}: {detail['type']}"
        for detail in error.errors(include_url=False, include_context=False, include_input=False)[:3]
    )
