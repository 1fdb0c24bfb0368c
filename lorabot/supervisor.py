"""Keeps the parts of lorabot running as child processes: starts them, collects their logs, restarts and ends them."""

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorabot.folders import make_private
from lorabot.locale import Message, Param, UserError

EX_CONFIG = 78
"""Exit code (sysexits.h) of a part whose settings are wrong: starting it again would change nothing."""

_PR_SET_PDEATHSIG = 1
_CHUNK = 1 << 16
_LAST_WORDS_S = 1.0


class AlreadyRunning(UserError):
    """Another process runs everything on the same data folder."""


class PortTaken(UserError):
    """Nobody can listen at the web chat's address."""


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data folder's lock; raises ``AlreadyRunning``. The lock ends with the process, however it ends."""
    make_private(data_dir)
    path = data_dir / "lorabot.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "?"
            raise AlreadyRunning("supervisor-already-running", folder=str(data_dir), pid=owner) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_running(data_dir: Path) -> bool:
    """Does a process hold the data folder's lock?"""
    try:
        with (data_dir / "lorabot.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass  # no such file, or none that we may read
    return False


def refuse_taken_port(host: str, port: int) -> None:
    """Raise ``PortTaken`` where nobody can listen, before anything is started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise PortTaken("supervisor-host-unknown", host=host) from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError as error:
            raise PortTaken("supervisor-port-forbidden", port=str(port)) from error
        except OSError as error:
            code = "supervisor-host-unknown" if error.errno == errno.EADDRNOTAVAIL else "supervisor-port-taken"
            raise PortTaken(code, host=host, port=str(port)) from error


def end_with_parent(parent: int) -> None:
    """Have this process told to end (SIGTERM) when ``parent`` dies, which is the process that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before it was watched
        raise SystemExit(0)


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep running. ``stop_s`` is how long it may take to end after SIGTERM, in seconds."""

    name: str
    command: tuple[str, ...]
    stop_s: float


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits before a dead part is started again, in seconds: doubling, and short again after a healthy time."""

    first_s: float = 1.0
    most_s: float = 60.0
    healthy_s: float = 60.0

    def wait(self, deaths: int) -> float:
        """The wait after the ``deaths``-th death in a row."""
        return min(self.most_s, self.first_s * 2.0 ** min(deaths - 1, 30))


class Supervisor:
    """Runs parts until it is told to stop, or until one says that its settings are wrong.

    ``say`` gets what an operator should read; ``log`` gets each line that a part writes, with the part's name.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        environment: Mapping[str, str],
        say: Callable[[Message], None],
        log: Callable[[str, str], None],
        backoff: Backoff | None = None,
    ) -> None:
        self._parts = tuple(parts)
        self._environment = dict(environment)
        self._say = say
        self._log_line = log
        self._backoff = backoff or Backoff()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._starting = asyncio.Lock()
        self._code = 0

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """End everything in order; a second call ends it at once."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def run(self) -> int:
        """Run all parts; returns the exit code: 0, or that of a part whose settings are wrong."""
        keepers = {part.name: asyncio.create_task(self._keep(part), name=part.name) for part in self._parts}
        try:
            stopping = asyncio.create_task(self._stopping.wait())
            # A keeper only ends early by an error of our own: that ends everything.
            await asyncio.wait([stopping, *keepers.values()], return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            await stopping
        finally:
            self._stopping.set()
            for part in self._parts:
                await self._end(part)
            results = await asyncio.gather(*keepers.values(), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return self._code

    async def _keep(self, part: Part) -> None:
        """Start ``part`` again whenever it ends, until everything ends."""
        deaths = 0
        while not self._stopping.is_set():
            begun = time.monotonic()
            code = await self._live(part)
            if code is None or self._stopping.is_set():
                return
            if code == EX_CONFIG:
                self._code = code
                self._say(Message("supervisor-settings", {"part": part.name}))
                self._stopping.set()
                return
            deaths = 1 if time.monotonic() - begun >= self._backoff.healthy_s else deaths + 1
            wait = self._backoff.wait(deaths)
            self._say(_death(part, code, wait))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)

    async def _live(self, part: Part) -> int | None:
        """Start ``part`` and wait for its end; returns its exit code, None where it was too late to start."""
        async with self._starting:  # what is ending must not overlook what is just being started
            if self._stopping.is_set():
                return None
            # A pipe of our own: with asyncio's, waiting for the process waits for all who hold its output as well.
            output, end = os.pipe()
            try:
                process = await asyncio.create_subprocess_exec(
                    *part.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=end,
                    stderr=end,
                    env=self._environment,
                    # A group of its own: Ctrl-C in the terminal reaches us alone, and we end the parts in order.
                    start_new_session=True,
                )
            except BaseException:
                os.close(output)
                raise
            finally:
                os.close(end)
            self._processes[part.name] = process
        self._say(Message("supervisor-started", {"part": part.name, "pid": str(process.pid)}))
        reading = asyncio.create_task(self._read(part.name, output))
        try:
            code = await process.wait()
            # What the part left running in its group goes too; else it would hold its card, or the next one's port.
            _signal_group(process.pid, signal.SIGKILL)
            await asyncio.wait([reading], timeout=_LAST_WORDS_S)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            self._processes.pop(part.name, None)
        return code

    async def _read(self, name: str, output: int) -> None:
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(output, "rb", buffering=0)
        )
        try:
            await self._read_lines(name, stream)
        finally:
            transport.close()

    async def _read_lines(self, name: str, stream: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await stream.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._log_line(name, line.decode(errors="replace").rstrip("\r"))
            if len(rest) > _CHUNK:  # a line without an end
                self._log_line(name, rest.decode(errors="replace"))
                rest = b""
        if rest:
            self._log_line(name, rest.decode(errors="replace"))

    async def _end(self, part: Part) -> None:
        async with self._starting:
            process = self._processes.get(part.name)
        if process is None:
            return
        self._say(Message("supervisor-ending", {"part": part.name}))
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        ended = asyncio.create_task(process.wait())
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait([ended, hurry], timeout=part.stop_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not ended.done():
            code = "supervisor-killed-at-once" if self._hurry.is_set() else "supervisor-killed"
            self._say(Message(code, {"part": part.name, "seconds": part.stop_s}))
            _signal_group(process.pid, signal.SIGKILL)
        await ended


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _death(part: Part, code: int, wait: float) -> Message:
    params: dict[str, Param] = {"part": part.name, "seconds": round(wait, 1)}
    if code >= 0:
        return Message("supervisor-died", {**params, "code": code})
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return Message("supervisor-died-signal", {**params, "signal": name})
