"""Plans of cuDNN's as files: to read one takes a fraction of making it.

They lie where ``CUDNN_PLANS_DIR`` says; without it none are kept. A file that can't be read or written is as good as
none, since any plan can be made again.
"""

import hashlib
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_MOST = 1000
"""Files, of 0.1 MB each. SD1.5 has eight for each size of picture and batch."""
_DIGEST = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


def wanted() -> bool:
    """Whether plans are kept."""
    return _folder() is not None


def read(about: object) -> bytes | None:
    """What was kept for just this, whose ``repr`` says all that it depends on."""
    path = _path(about)
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    with suppress(OSError):  # where it may not be written, nothing is dropped either
        os.utime(path)  # it is the last to go
    digest, plan = content[:_DIGEST], content[_DIGEST:]
    return plan if hashlib.sha256(plan).digest() == digest else None


def keep(about: object, plan: bytes) -> None:
    """Have ``read`` find ``plan`` from now on, also in later processes."""
    path = _path(about)
    if path is None:
        return
    whole = path.with_suffix(f".{os.getpid()}")  # other processes may be reading
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop(path.parent.iterdir())
        whole.write_bytes(hashlib.sha256(plan).digest() + plan)
        whole.replace(path)
    except OSError as error:
        _log.info("a plan of cuDNN's is not kept: %s", error)
        with suppress(OSError):
            whole.unlink(missing_ok=True)


def drop(about: object) -> None:
    """Have ``read`` find nothing there."""
    path = _path(about)
    if path is not None:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _drop(paths: Iterable[Path]) -> None:
    """Remove half of them where there are too many: those that were not used for longest."""
    there = list(paths)
    if len(there) < _MOST:
        return
    with suppress(OSError):  # another process is at it, too
        for path in sorted(there, key=lambda each: each.stat().st_mtime)[: _MOST // 2]:
            path.unlink(missing_ok=True)


def _folder() -> Path | None:
    folder = os.environ.get("CUDNN_PLANS_DIR")
    return Path(folder) if folder else None


def _path(about: object) -> Path | None:
    folder = _folder()
    return None if folder is None else folder / f"{hashlib.sha256(repr(about).encode()).hexdigest()}.plan"
