"""The queue's words as types: jobs, datasets, progress, artefacts. Plain values without behaviour of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from lorabot.locale import Message

JsonObject = Mapping[str, object]


class JobState(StrEnum):
    """Where a job stands. ``final`` states never change again."""

    HELD = "held"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Stage(StrEnum):
    """What an attempt is doing, in the order it happens."""

    PREPARING = "preparing"
    CAPTIONING = "captioning"
    PLANNING = "planning"
    TRAINING = "training"
    EVALUATING = "evaluating"
    EXPORTING = "exporting"


ArtefactKind = Literal["lora", "plot", "grid", "report", "report_json", "tensorboard", "sample", "log"]


@dataclass(frozen=True, slots=True)
class Address:
    """A conversation on a platform, to which a job's news go. ``channel`` is the platform's own name for it."""

    platform: str
    channel: str

    def __str__(self) -> str:
        return f"{self.platform}:{self.channel}"

    @property
    def scope(self) -> str:
        """The community it belongs to: ``platform:`` and the part of the channel before the first slash."""
        return f"{self.platform}:{self.channel.partition('/')[0]}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address that ``str`` wrote; raises ``ValueError`` on anything else."""
        platform, colon, channel = text.partition(":")
        if not (platform and colon and channel):
            raise ValueError(f"not an address: {text!r}")
        return cls(platform, channel)


@dataclass(frozen=True, slots=True)
class Image:
    """A clean image in the blobs. ``name`` is what its owner called it; ``size`` is in bytes, the sides in pixels.

    ``caption`` is what its owner wrote about it (``NAME.txt`` beside it in the zip).
    """

    name: str
    key: str
    sha256: str
    width: int
    height: int
    size: int
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """Images an owner has collected in a conversation and not yet asked to train on."""

    owner: str
    address: Address
    images: tuple[Image, ...]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Dataset:
    """The images a job trains on. Never changed."""

    id: str
    owner: str
    images: tuple[Image, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Returned:
    """What became of the photos of a job that made nothing: so many are in the draft again, and so many are not because
    of others that are in it.
    """

    kept: int = 0
    displaced: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture the model made while it was learning."""

    step: int
    key: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What can be seen of a running attempt.

    ``rate`` is in steps per second and ``eta_s`` in seconds, both without the time that saving and sampling take.
    ``loss`` and ``validation`` are ``(step, value)`` points, smoothed for people, at most a few hundred.
    """

    stage: Stage
    step: int = 0
    total_steps: int = 0
    rate: float | None = None
    eta_s: float | None = None
    loss: tuple[tuple[int, float], ...] = ()
    validation: tuple[tuple[int, float], ...] = ()
    samples: tuple[Sample, ...] = ()
    note: Message | None = None


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file a job made, in the blobs under ``key``. ``size`` is in bytes."""

    kind: ArtefactKind
    filename: str
    key: str
    size: int
    content_type: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job that succeeded leaves: its files, and the numbers that the chat shows."""

    artefacts: tuple[Artefact, ...]
    summary: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where the next attempt goes on: the blob ``key`` of the state after ``step``."""

    step: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A request to train one LoRA. ``preset`` and ``vocabulary`` are snapshots: later edits don't touch the job."""

    name: str
    owner: str
    address: Address
    language: str
    preset: JsonObject
    vocabulary: JsonObject | None
    trigger: str
    base: str
    dataset_id: str
    seed: int
    options: JsonObject = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """The community it was asked for in."""
        return self.address.scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(NewJob):
    """A job as the store knows it. ``version`` grows with every change that a person could see."""

    id: str
    state: JobState
    priority: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    crashes: int
    cancel_requested: bool
    version: int
    progress: Progress | None
    outcome: Outcome | None
    failure: Message | None
    resume: ResumePoint | None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a job's audit log. ``actor`` is an owner, ``worker:NAME`` or ``queue``."""

    job_id: str
    at: datetime
    kind: str
    attempt: int
    actor: str
    details: JsonObject


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """Something that must reach a conversation once: a notice while a job runs, or its end.

    The front end's idempotency key is ``outbox:<id>``. ``tries`` counts failed deliveries.
    """

    id: int
    job_id: str
    address: Address
    kind: Literal["notice", "outcome"]
    message: Message | None
    created_at: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class Card:
    """The one message that shows a job: the platform's reference to it, and the job's version it shows."""

    job_id: str
    ref: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a conversation. Ids grow in the order of speaking; ``revision`` is renewed when the line changes."""

    id: int
    conversation: str
    key: str | None
    author: str
    at: datetime
    revision: int
    payload: JsonObject


@dataclass(frozen=True, slots=True)
class Person:
    """What is remembered of somebody, beside jobs and photos. ``unreachable_at``: the platform refused our messages."""

    owner: str
    language: str | None = None
    consented_at: datetime | None = None
    unreachable_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A job that somebody was asked to confirm. ``digest`` is that of the draft's images; ``job`` what came of it.

    Without a ``dataset`` it trains on the draft of ``owner`` in ``address``.
    """

    id: str
    owner: str
    address: Address
    request: JsonObject
    digest: str
    dataset: str | None
    job: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UploadLink:
    """An upload page made for ``owner`` in ``address``; closed when they were done with it."""

    id: str
    owner: str
    address: Address
    language: str
    created_at: datetime
    closed: bool


@dataclass(frozen=True, slots=True)
class Act:
    """A line of the moderators' log: ``actor`` did ``action``. Without a ``scope`` it held for everything."""

    at: datetime
    actor: str
    action: str
    scope: str | None
    job: str | None


@dataclass(frozen=True, slots=True)
class CardState:
    """A trainer's card; memory in bytes, 0 as ``total`` where it can't be measured.

    ``own`` is what the trainer itself holds of it, ``holders`` says who else does, by program and largest first;
    ``unnamed`` is held by programs that can't be named.
    """

    name: str
    total: int
    free: int
    own: int
    holders: tuple[tuple[str, int], ...]
    unnamed: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds of a training step and of a forward pass alone, over ``pixels`` in all: pictures times their area."""

    pixels: int
    step_s: float
    forward_s: float


@dataclass(frozen=True, slots=True)
class TrainerState:
    """What a trainer says of itself: its device as people call it, its card, and speeds it has measured, by base.

    ``bases``: the base models that it has.
    """

    device: str
    card: CardState | None = None
    speeds: Mapping[str, Speed] = field(default_factory=dict)
    bases: tuple[str, ...] = ()
