"""SHA-256 of large files, remembered on disk: a file of 7 GB is read once, and again only when it has changed."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_CHUNK = 1 << 22


class Digests:
    """Digests by path, size and time of change, kept in the file ``memory``."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory

    def sha256(self, path: Path, check: Callable[[], None]) -> str:
        """The file's SHA-256 in hexadecimal. ``check`` is called every few megabytes and may raise to stop."""
        seen = path.stat()
        key = f"{path.absolute()}:{seen.st_size}:{seen.st_mtime_ns}"
        known = self._read()
        if key in known:
            return known[key]
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                check()
                digest.update(chunk)
        self._write({**self._read(), key: digest.hexdigest()})
        return digest.hexdigest()

    def _read(self) -> dict[str, str]:
        """What is remembered; nothing where the memory is gone or broken, since it can be made anew."""
        try:
            known = json.loads(self._memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}

    def _write(self, known: dict[str, str]) -> None:
        """Whole or not at all: several trainers of a host share the file."""
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=self._memory.parent, prefix=f".{self._memory.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1)
        Path(part).replace(self._memory)
