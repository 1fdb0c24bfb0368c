"""Values that live as JSON in the database: written without surprises, checked when read."""

from dataclasses import replace
from math import isfinite
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypeForm

from lorabot.locale import Message
from lorabot.queue.model import Image, Outcome, Progress, ResumePoint, TrainerState

T = TypeVar("T")


class BadPayload(ValueError):
    """A row holds JSON that is not what its column is for: another version's, or a hand's."""


class Payload(Generic[T]):
    """JSON of one type. ``read`` raises ``BadPayload``."""

    def __init__(self, type_: TypeForm[T]) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(type_)

    def write(self, value: T) -> object:
        return finite(self._adapter.dump_python(value, mode="json"))

    def read(self, stored: object) -> T:
        try:
            return self._adapter.validate_python(stored, strict=False)
        except ValidationError as error:
            raise BadPayload(str(error)) from None


IMAGES: Payload[tuple[Image, ...]] = Payload(tuple[Image, ...])
PROGRESS: Payload[Progress] = Payload(Progress)
OUTCOME: Payload[Outcome] = Payload(Outcome)
RESUME: Payload[ResumePoint] = Payload(ResumePoint)
MESSAGE: Payload[Message] = Payload(Message)
TRAINER: Payload[TrainerState] = Payload(TrainerState)
OBJECT: Payload[dict[str, object]] = Payload(dict[str, object])


def finite(value: object) -> object:
    """The same JSON with None for NaN and infinity, which JSON and PostgreSQL don't know."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def presentable(progress: Progress) -> Progress:
    """``progress`` without the points of a curve that are not numbers: a diverged loss must not end a heartbeat."""
    return replace(
        progress,
        loss=tuple(point for point in progress.loss if isfinite(point[1])),
        validation=tuple(point for point in progress.validation if isfinite(point[1])),
    )
