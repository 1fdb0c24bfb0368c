"""The state a training can be gone on from, as one safetensors file with the rest as JSON in its header."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lorabot.trainer.adapter import State
from lorabot.trainer.captioning import Caption
from lorabot.trainer.course import Candidate, Course
from lorabot.trainer.errors import BadResumeState
from lorabot.trainer.optimisers import Moments
from lorabot.trainer.planning import Plan

VERSION = 3
_KEY = "lorabot"


@dataclass(frozen=True, slots=True)
class ResumeState:
    """All of an attempt that can't be computed again. ``base`` is the identity of the base model's weights.

    ``seconds``: time spent so far by what it was spent on. No random state is kept: see ``draws``.
    """

    job: str
    base: str
    plan: Plan
    captions: tuple[Caption, ...]
    course: Course
    adapter: State
    moments: Moments
    seconds: Mapping[str, float] = field(default_factory=dict)


class _Header(BaseModel):
    """What stands in the file's header. Tensors are named ``adapter/``, ``moments/``, ``candidate/``, ``picture/``."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[3]
    job: str
    base: str
    plan: Plan
    captions: tuple[Caption, ...]
    losses: list[float | None]
    rates: list[float]
    durations: list[float]
    validation: list[tuple[int, float]]
    seen: list[tuple[int, float]]
    candidates: list[tuple[int, float]]
    pictures: dict[int, int]
    seconds: dict[str, float]


_HEADER = TypeAdapter(_Header)


def write(path: Path, state: ResumeState) -> None:
    """Write ``state`` to ``path`` so that the file is there whole or not at all."""
    course = state.course
    header = _Header(
        version=VERSION,
        job=state.job,
        base=state.base,
        plan=state.plan,
        captions=state.captions,
        losses=course.losses,
        rates=course.rates,
        durations=course.durations,
        validation=course.validation,
        seen=course.seen,
        candidates=[(candidate.step, candidate.validation) for candidate in course.candidates],
        pictures={step: len(files) for step, files in course.pictures.items()},
        seconds=dict(state.seconds),
    )
    tensors = {f"adapter/{name}": value for name, value in state.adapter.items()}
    for name, moment in state.moments.items():
        tensors.update({f"moments/{key}/{name}": value for key, value in moment.items()})
    for candidate in course.candidates:
        tensors.update({f"candidate/{candidate.step}/{name}": value for name, value in candidate.state.items()})
    for step, files in course.pictures.items():
        for index, content in enumerate(files):
            tensors[f"picture/{step}/{index}"] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        save_file(tensors, part, metadata={_KEY: _HEADER.dump_json(header).decode()})
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> ResumeState:
    """What ``write`` wrote. Raises ``BadResumeState`` when the file is cut short or of another version."""
    try:
        with safe_open(path, framework="pt") as file:
            header = _HEADER.validate_json((file.metadata() or {}).get(_KEY, ""))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _state(header, tensors)
    except (SafetensorError, OSError, ValidationError, KeyError) as error:
        raise BadResumeState(f"{path.name}: {type(error).__name__}") from error


def _state(header: _Header, tensors: dict[str, torch.Tensor]) -> ResumeState:
    def under(prefix: str) -> State:
        return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}

    moments: Moments = {}
    for name, value in under("moments/").items():
        key, parameter = name.split("/", 1)
        moments.setdefault(parameter, {})[key] = value
    pictures = {
        step: tuple(tensors[f"picture/{step}/{index}"].numpy().tobytes() for index in range(count))
        for step, count in header.pictures.items()
    }
    return ResumeState(
        job=header.job,
        base=header.base,
        plan=header.plan,
        captions=header.captions,
        course=Course(
            losses=header.losses,
            rates=header.rates,
            durations=header.durations,
            validation=header.validation,
            seen=header.seen,
            candidates=[Candidate(step, loss, under(f"candidate/{step}/")) for step, loss in header.candidates],
            pictures=pictures,
        ),
        adapter=under("adapter/"),
        moments=moments,
        seconds=header.seconds,
    )
