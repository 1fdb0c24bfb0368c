"""The supervisor keeps real processes running, and leaves none behind."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from lorabot.folders import make_data_folder, make_private
from lorabot.locale import Message, translator
from lorabot.supervisor import (
    EX_CONFIG,
    AlreadyRunning,
    Backoff,
    Part,
    PortTaken,
    Supervisor,
    is_running,
    only_one,
    refuse_taken_port,
)

QUICK = Backoff(first_s=0.05, most_s=0.2, healthy_s=30.0)
SAYS_WHEN_IT_ENDS = """
import signal, sys, time
def end(*_):
    print("ending", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True: time.sleep(60)
"""
HEEDS_NOTHING = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: time.sleep(60)
"""


def python(name: str, script: str, stop_s: float = 20.0) -> Part:
    return Part(name, (sys.executable, "-c", script), stop_s)


@dataclass
class Watched:
    """What a supervisor said and what its parts wrote, and a way to wait for it."""

    said: list[Message] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, message: Message) -> None:
        self.said.append(message)
        self.changed.set()

    def log(self, part: str, line: str) -> None:
        self.lines.append((part, line))
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def until_line(self, part: str, line: str, count: int = 1) -> None:
        await self.until(lambda: self.lines.count((part, line)) >= count)

    def codes(self) -> list[str]:
        return [message.code for message in self.said]


@asynccontextmanager
async def running(
    *parts: Part, backoff: Backoff = QUICK
) -> AsyncIterator[tuple[Supervisor, Watched, asyncio.Task[int]]]:
    watched = Watched()
    supervisor = Supervisor(parts, environment=dict(os.environ), say=watched.say, log=watched.log, backoff=backoff)
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor, watched, task
    finally:
        supervisor.stop()
        supervisor.stop()
        await asyncio.wait([task], timeout=60)
    for message in watched.said:
        if message.code == "supervisor-started":
            assert not psutil.pid_exists(int(message.params["pid"]))
    for language in ("en", "zh-CN"):
        assert all("supervisor-" not in translator(language).text(message) for message in watched.said)


async def test_each_line_of_a_part_is_collected_with_its_name() -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); print('no end', end='')"
    async with running(python("one", script), python("two", SAYS_WHEN_IT_ENDS)) as (_, watched, _task):
        await watched.until_line("one", "no end")
        await watched.until_line("two", "ready")
        assert {("one", "out"), ("one", "err")} <= set(watched.lines)


async def test_a_part_that_dies_is_started_again_later_and_later_and_that_is_said() -> None:
    async with running(python("weak", "import sys; sys.exit(3)")) as (_, watched, _task):
        await watched.until(lambda: watched.codes().count("supervisor-died") >= 4)
        deaths = [message.params for message in watched.said if message.code == "supervisor-died"]
    assert deaths[0]["code"] == 3
    assert [death["seconds"] for death in deaths[:4]] == [0.1, 0.1, 0.2, 0.2]  # rounded for people


async def test_a_part_that_held_for_a_while_is_started_again_soon() -> None:
    at_once_healthy = Backoff(first_s=0.05, most_s=60.0, healthy_s=0.0)
    async with running(python("weak", ""), backoff=at_once_healthy) as (_, watched, _task):
        await watched.until(lambda: watched.codes().count("supervisor-died") >= 8)


def test_the_wait_doubles_up_to_a_limit() -> None:
    backoff = Backoff()
    assert [backoff.wait(deaths) for deaths in (1, 2, 3, 7, 1000)] == [1, 2, 4, 60, 60]


async def test_a_part_that_was_killed_is_named_with_the_signal() -> None:
    async with running(python("one", SAYS_WHEN_IT_ENDS)) as (_, watched, _task):
        await watched.until_line("one", "ready")
        os.kill(int(watched.said[0].params["pid"]), signal.SIGKILL)
        await watched.until_line("one", "ready", 2)
        assert [m.params["signal"] for m in watched.said if m.code == "supervisor-died-signal"] == ["SIGKILL"]


async def test_parts_end_one_after_the_other_in_their_order() -> None:
    slow = SAYS_WHEN_IT_ENDS.replace("sys.exit(0)", "time.sleep(0.5); print('ended', flush=True); sys.exit(0)")
    async with running(python("bot", slow), python("trainer", slow)) as (supervisor, watched, task):
        await watched.until_line("bot", "ready")
        await watched.until_line("trainer", "ready")
        supervisor.stop()
        assert await task == 0
        ending = [line for line in watched.lines if line[1] in ("ending", "ended")]
        assert ending == [("bot", "ending"), ("bot", "ended"), ("trainer", "ending"), ("trainer", "ended")]


async def test_a_part_that_heeds_nothing_is_killed_after_its_time() -> None:
    async with running(python("deaf", HEEDS_NOTHING, stop_s=0.3)) as (supervisor, watched, task):
        await watched.until_line("deaf", "ready")
        supervisor.stop()
        assert await asyncio.wait_for(task, 30) == 0
        assert "supervisor-killed" in watched.codes()


async def test_asked_twice_it_ends_at_once() -> None:
    async with running(python("deaf", HEEDS_NOTHING, stop_s=3600.0)) as (supervisor, watched, task):
        await watched.until_line("deaf", "ready")
        supervisor.stop()
        supervisor.stop()
        assert await asyncio.wait_for(task, 30) == 0
        assert "supervisor-killed-at-once" in watched.codes()
        assert "supervisor-killed" not in watched.codes()


async def test_it_ends_while_it_waits_to_start_a_part_again() -> None:
    async with running(python("weak", ""), backoff=Backoff(first_s=3600.0)) as (supervisor, watched, task):
        await watched.until(lambda: "supervisor-died" in watched.codes())
        supervisor.stop()
        assert await asyncio.wait_for(task, 30) == 0


async def test_what_a_dead_part_left_running_is_ended_too() -> None:
    script = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
print(child.pid, flush=True)
"""
    async with running(python("parent", script), backoff=Backoff(first_s=3600.0)) as (_, watched, _task):
        await watched.until(lambda: "supervisor-died" in watched.codes() and bool(watched.lines))
        orphan = int(watched.lines[0][1])
        await _gone(orphan)


async def test_a_part_whose_settings_are_wrong_ends_everything_with_its_code() -> None:
    wrong = python("bot", f"import sys; sys.exit({EX_CONFIG})")
    async with running(wrong, python("trainer", SAYS_WHEN_IT_ENDS)) as (_, watched, task):
        assert await asyncio.wait_for(task, 60) == EX_CONFIG
        assert "supervisor-settings" in watched.codes()


async def test_a_program_that_is_not_there_ends_everything_with_the_error() -> None:
    missing = Part("bot", ("/nowhere/lorabot",), 1.0)
    async with running(missing, python("trainer", SAYS_WHEN_IT_ENDS)) as (_, _watched, task):
        with pytest.raises(FileNotFoundError):
            await asyncio.wait_for(task, 60)


async def test_a_line_without_end_blocks_nothing() -> None:
    script = "import sys; sys.stdout.write('x' * 1_000_000); print(); print('after')"
    async with running(python("loud", script)) as (_, watched, _task):
        await watched.until_line("loud", "after")
        assert sum(line.count("x") for part, line in watched.lines[:100] if part == "loud") >= 1_000_000


async def _gone(pid: int) -> None:
    async with asyncio.timeout(30):
        await asyncio.to_thread(_wait_for_the_end, pid)


def _wait_for_the_end(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)
    except psutil.NoSuchProcess:
        pass


def test_a_data_folder_is_made_for_its_owner_alone_and_keeps_the_rights_that_it_has(tmp_path: Path) -> None:
    for number, make in enumerate((_hold, make_data_folder, make_private)):
        folder = tmp_path / str(number) / "data"
        make(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        folder.chmod(0o750)
        make(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def _hold(folder: Path) -> None:
    with only_one(folder):
        pass


def test_only_one_runs_on_a_data_folder(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    with only_one(tmp_path / "data"):
        assert is_running(tmp_path / "data")
        with pytest.raises(AlreadyRunning) as caught, only_one(tmp_path / "data"):
            pass
        sentence = translator("en").text(caught.value.message)
        assert str(os.getpid()) in sentence
        assert "LORABOT_DATA_DIR" in sentence
    assert not is_running(tmp_path / "data")
    with only_one(tmp_path / "data"):
        pass


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from lorabot.supervisor import only_one
with only_one(Path({str(tmp_path)!r})):
    print("held", flush=True)
    time.sleep(3600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert is_running(tmp_path)
        process.kill()
        process.wait()
    with only_one(tmp_path):
        pass


def test_a_part_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    child = """
import os, signal, sys, time
from lorabot.supervisor import end_with_parent
end_with_parent(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(3600)
"""
    parent = f"""
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", {child!r}, str(os.getpid())], start_new_session=True).wait()
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
        process.wait()
        asyncio.run(_gone(pid))


def test_a_part_whose_supervisor_is_dead_already_does_not_begin() -> None:
    script = "from lorabot.supervisor import end_with_parent; end_with_parent(1 << 22); print('began')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            refuse_taken_port("127.0.0.1", port)
    sentence = translator("en").text(caught.value.message)
    assert f"Port {port} on 127.0.0.1" in sentence
    assert "LORABOT_WEB__PORT" in sentence
    refuse_taken_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(PortTaken) as caught:
        refuse_taken_port("192.0.2.1", 8080)
    assert "192.0.2.1 is no address of this machine" in translator("en").text(caught.value.message)


def test_a_port_just_left_can_be_taken_again() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # this side waits in TIME_WAIT
            client.recv(1)
    refuse_taken_port("127.0.0.1", port)
