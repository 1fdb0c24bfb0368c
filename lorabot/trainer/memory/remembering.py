"""Remembers what passes through a model took on this host, so that the next job plans without trying anything.

One JSON file holds the measurements by all that they depend on. It is only ever replaced whole, under a lock, so that
several engines can share it; where it can't be read, it is begun anew.
"""

import fcntl
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lorabot.trainer.memory.choosing import Measure, Measured
from lorabot.trainer.memory.fitting import Fitting

_log = logging.getLogger(__name__)
_MOST = 200
"""Keys that are kept; those that nothing new was measured for the longest go first."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int
    checkpointing: bool
    offloading: bool
    seconds: float
    taken: int
    resting: int
    stays: int


class _Known(BaseModel):
    model_config = ConfigDict(extra="forbid")

    passes: list[_Entry] = []
    stages: dict[str, int] = {}
    agreed: bool = False


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[6] = 6
    measured: dict[str, _Known] = {}


class Remembered:
    """What was measured for one key: ``depends`` names everything that the numbers depend on.

    ``path``: the file; None where nothing is to be kept.
    """

    def __init__(self, path: Path | None, depends: Mapping[str, object]) -> None:
        self._path = path
        self._key = hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()[:32]
        found = (_read(path).measured.get(self._key) if path else None) or _Known()
        self._stages = found.stages
        self._agreed = found.agreed
        self._known = {
            Fitting(entry.batch, entry.checkpointing, entry.offloading): Measured(
                entry.seconds, entry.taken, entry.resting, entry.stays
            )
            for entry in found.passes
        }
        self._news = False

    def resting(self, checkpointing: bool) -> int | None:
        """The bytes that going with ``checkpointing``, or without, was measured to take before the first pass: the
        least, since blocks differ; None where it was not measured."""
        found = [
            each.resting
            for way, each in self._known.items()
            if way.checkpointing == checkpointing and not way.offloading
        ]
        return max(min(found), 0) if found else None

    def or_measured(self, measure: Measure) -> Measure:
        """``measure`` for what is not known yet; what it finds is known from then on, what does not fit is not."""

        def known(fitting: Fitting) -> Measured:
            if fitting not in self._known:
                self._known[fitting] = measure(fitting)
                self._news = True
            return self._known[fitting]

        return known

    def stage(self, name: str, measure: Callable[[], tuple[int, bool]]) -> int:
        """The bytes that the stage ``name`` takes: those that are known, or what ``measure`` finds, which says too
        whether that holds for the next time."""
        if name in self._stages:
            return self._stages[name]
        found, holds = measure()
        if holds:
            self._stages[name] = found
            self._news = True
        return found

    @property
    def agreed(self) -> bool:
        """Whether the fast way was seen to do what the plain one does."""
        return self._agreed

    def agree(self) -> None:
        """Note that it was."""
        self._news |= not self._agreed
        self._agreed = True

    def keep(self) -> None:
        """Write what is new to the file, beside what others have written since; where it can't be written, it is
        measured again another time."""
        if self._path is None or not self._news:
            return
        try:
            self._write(self._path)
        except OSError as error:
            _log.warning("what was measured is not kept: %s", error)
        else:
            self._news = False

    def _write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = _read(path)
            kept.measured.pop(self._key, None)
            passes = [
                _Entry(
                    batch=fitting.batch,
                    checkpointing=fitting.checkpointing,
                    offloading=fitting.offloading,
                    seconds=measured.seconds,
                    taken=measured.taken,
                    resting=measured.resting,
                    stays=measured.stays,
                )
                for fitting, measured in self._known.items()
                if not measured.in_want
            ]
            kept.measured[self._key] = _Known(passes=passes, stages=self._stages, agreed=self._agreed)
            for key in list(kept.measured)[:-_MOST]:
                del kept.measured[key]
            part = path.with_suffix(".part")
            part.write_text(kept.model_dump_json(indent=1), encoding="utf-8")
            part.replace(path)


def _read(path: Path) -> _Kept:
    try:
        return _Kept.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return _Kept()
