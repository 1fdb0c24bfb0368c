"""A folder of one's own for the work of this process, and the removal of those that dead processes left."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = ".lock"
_CACHE = "latents"
_KEPT_S = 24 * 3600
"""How long a job's cache waits for its next attempt. It holds images of people: no longer than it is of use."""


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """A fresh folder below ``root`` for the block. It is locked, so that others can tell it from a dead process's."""
    root.mkdir(parents=True, exist_ok=True)
    sweep(root)
    folder = Path(tempfile.mkdtemp(dir=root, prefix="trainer-"))
    try:
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cache_of(root: Path, job: str) -> Path:
    """The folder below ``root`` for what later attempts at ``job`` on this host can use; not made yet."""
    return root / _CACHE / job


def sweep(root: Path) -> int:
    """Remove the folders below ``root`` that no living process has locked, and stale caches; returns how many."""
    removed = 0
    for cache in (root / _CACHE).glob("*"):
        with suppress(OSError):
            if time.time() - cache.stat().st_mtime > _KEPT_S:
                shutil.rmtree(cache, ignore_errors=True)
    for folder in root.glob("trainer-*"):
        try:
            with (folder / _LOCK).open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        except OSError:  # locked, or made this moment and not locked yet
            continue
    return removed
