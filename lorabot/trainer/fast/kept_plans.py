"""Plans of cuDNN's as files: to make one takes 50 to 80 ms, to read it less than ten.

They lie where ``CUDNN_PLANS_DIR`` says; without it none are kept. A file that can't be read or written is as good as
none, since any plan can be made again.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_MOST = 1000
"""Files, of 0.1 MB each; a size of picture takes eight at each batch."""
_DIGEST = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


def read(about: object) -> bytes | None:
    """What was kept for just this, whose ``repr`` says all that it depends on."""
    path = _path(about)
    if path is None:
        return None
    try:
        content = path.read_bytes()
        os.utime(path)  # it is the last to go
    except OSError:
        return None
    digest, plan = content[:_DIGEST], content[_DIGEST:]
    return plan if hashlib.sha256(plan).digest() == digest else None


def keep(about: object, plan: bytes) -> None:
    """Have ``read`` find ``plan`` from now on, also in later processes."""
    path = _path(about)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop(path.parent.glob("*.plan"))
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            whole = Path(folder, path.name)
            whole.write_bytes(hashlib.sha256(plan).digest() + plan)
            whole.replace(path)  # other processes may be reading
    except OSError as error:
        _log.info("a plan of cuDNN's is not kept: %s", error)


def _drop(paths: Iterable[Path]) -> None:
    """Remove half of them where there are too many: those that were not used for longest."""
    there = list(paths)
    if len(there) < _MOST:
        return
    with suppress(OSError):  # another process is at it, too
        for path in sorted(there, key=lambda each: each.stat().st_mtime)[: _MOST // 2]:
            path.unlink(missing_ok=True)


def _path(about: object) -> Path | None:
    folder = os.environ.get("CUDNN_PLANS_DIR")
    return Path(folder) / f"{hashlib.sha256(repr(about).encode()).hexdigest()}.plan" if folder else None
