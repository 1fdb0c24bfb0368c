"""A real ``lorabot`` process for tests: its environment, its output, its end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment without any setting of ours, in English, and then ``settings``."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("LORABOT_")}
    kept.update(LANG="C.UTF-8", LC_ALL="C.UTF-8", OMP_NUM_THREADS="1", COLUMNS="100", PYTHONUNBUFFERED="1")
    return {**kept, **settings}


def lorabot(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "lorabot", *arguments],
        cwd=cwd,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class House:
    """A running ``lorabot`` and all it has written so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def wait_for(self, what: str, count: int = 1, timeout: float = 150.0) -> str:
        """The line that holds ``what`` for the ``count``-th time."""

        def found() -> list[str]:
            return [line for line in self.lines if what in line]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, timeout), "\n".join(self.lines)
            return found()[count - 1]

    def family(self) -> list[psutil.Process]:
        """The process and everything that it started."""
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def part(self, name: str) -> psutil.Process:
        """The child that runs ``lorabot NAME``."""
        return next(child for child in self.family()[1:] if name in child.cmdline() and "lorabot" in child.cmdline())

    def end(self, number: signal.Signals = signal.SIGTERM, timeout: float = 120.0) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout)


@contextmanager
def started(*arguments: str, cwd: Path, **settings: str) -> Iterator[House]:
    """A running ``lorabot``; whatever is left of it at the end is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lorabot", *arguments],
        cwd=cwd,
        env=clean_environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    house = House(process)
    listening = threading.Thread(target=house.listen, daemon=True)
    listening.start()
    try:
        yield house
    finally:
        family = house.family() if process.poll() is None else []
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait(30)
        psutil.wait_procs(family, 30)
        listening.join(30)


def all_gone(processes: list[psutil.Process], timeout: float = 60.0) -> list[psutil.Process]:
    """Those that are still there after ``timeout`` seconds; a zombie that nobody reaps counts as gone."""
    deadline = time.monotonic() + timeout
    alive = processes
    while alive and time.monotonic() < deadline:
        alive = [process for process in alive if _lives(process)]
        time.sleep(0.05)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
