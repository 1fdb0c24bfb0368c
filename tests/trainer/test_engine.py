"""The engine as a process, and its supervision."""

import asyncio
import contextlib
import ctypes
import errno
import mmap
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from lorabot.trainer import wire
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.engine import EXIT_PROTOCOL, signature
from lorabot.trainer.supervising import ENGINE, Engine, EngineDied, EngineRefused
from tests.trainer.conftest import QUICK, make_job

PARENT = """
import asyncio, sys
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.supervising import Engine

async def main():
    engine = Engine(TrainerConfig(device="cpu"))
    engine.warm_up()
    await asyncio.sleep(600)

asyncio.run(main())
"""

FAKE = """
import json, os, signal, sys, time
{before}
def say(**event):
    sys.stdout.write(json.dumps(event) + chr(10))
    sys.stdout.flush()
say(type="hello", version={version}, pid=os.getpid(), device="cpu", device_name="fake", loading_s=0.1)
for line in sys.stdin:
    {after}
"""


def fake(after: str, before: str = "", version: int = wire.VERSION) -> tuple[str, ...]:
    """An engine that says hello and then does what an engine should not."""
    return (sys.executable, "-c", FAKE.format(before=before, after=after, version=version))


def nothing(event: wire.Event) -> None:
    """Nobody listens."""


def never() -> bool:
    return False


async def gone(pid: int, within_s: float = 20.0) -> bool:
    """Whether the process ends in time; a zombie has ended."""
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    await asyncio.sleep(0.05)
                    continue
            return True


async def test_the_engine_dies_with_a_parent_that_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT)
    try:
        engine = None
        async with asyncio.timeout(60):
            while engine is None:
                found = [
                    child for child in psutil.Process(parent.pid).children() if "engine" in " ".join(child.cmdline())
                ]
                engine = found[0] if found else None
                await asyncio.sleep(0.05)
    finally:
        parent.kill()
        await parent.wait()
    assert await gone(engine.pid)


async def test_the_engine_ends_when_its_stdin_does() -> None:
    engine = await asyncio.create_subprocess_exec(
        *ENGINE, QUICK.model_dump_json(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    assert engine.stdin is not None
    engine.stdin.close()
    async with asyncio.timeout(60):
        assert await engine.wait() == 0


async def test_the_engine_ends_on_a_line_that_is_no_command() -> None:
    engine = await asyncio.create_subprocess_exec(
        *ENGINE,
        QUICK.model_dump_json(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert engine.stdin is not None
    engine.stdin.write(b"train my cat\n")
    await engine.stdin.drain()
    _, log = await engine.communicate()
    assert engine.returncode == EXIT_PROTOCOL
    assert b"my cat" not in log


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("print('Loading weights: 100%', flush=True)", "engine broke the protocol"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "engine ended by SIGSEGV"),
        ("sys.exit(3)", "engine ended by status 3"),
        ("time.sleep(600)", "engine fell silent"),
        ("sys.stdout.write('x' * 20_000_000); sys.stdout.flush(); time.sleep(600)", "engine wrote an endless line"),
    ],
)
async def test_an_engine_that_fails_is_named_by_how_and_leaves_nothing_behind(
    tmp_path: Path, after: str, expected: str
) -> None:
    silence_s = 1.0 if "silent" in expected else 60.0
    config = TrainerConfig(device="cpu", silence_s=silence_s, terminate_grace_s=0.2)
    async with Engine(config, fake(after)) as engine:
        await engine.start()
        pid = engine.pid
        assert pid is not None
        with pytest.raises(EngineDied) as caught:
            await engine.run(make_job(tmp_path, 1), nothing, never)
        assert caught.value.signature == expected
        assert await gone(pid)


async def test_an_engines_death_is_seen_while_a_child_of_its_own_holds_its_pipes(tmp_path: Path) -> None:
    leave = "import subprocess; subprocess.Popen(['sleep', '30']); os.kill(os.getpid(), signal.SIGKILL)"
    async with Engine(TrainerConfig(device="cpu"), fake(leave)) as engine:
        async with asyncio.timeout(20):
            with pytest.raises(EngineDied, match="engine ended by SIGKILL"):
                await engine.run(make_job(tmp_path, 1), nothing, never)


async def test_an_engine_that_ignores_a_cancel_and_sigterm_is_killed(tmp_path: Path) -> None:
    config = TrainerConfig(device="cpu", cancel_grace_s=0.2, terminate_grace_s=0.2)
    command = fake("pass", before="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    async with Engine(config, command) as engine:
        await engine.start()
        pid = engine.pid
        assert pid is not None
        running = asyncio.create_task(engine.run(make_job(tmp_path, 1), nothing, never))
        await asyncio.sleep(0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await gone(pid)


async def test_the_engine_inherits_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_DISCORD__TOKEN", "token")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    tell = "sys.exit(sum(name.startswith(('LORABOT_', 'AWS_')) for name in os.environ) + 40)"
    async with Engine(TrainerConfig(device="cpu"), fake(tell)) as engine:
        with pytest.raises(EngineDied, match="status 40"):
            await engine.run(make_job(tmp_path, 1), nothing, never)


async def test_an_engine_of_another_version_is_refused() -> None:
    async with Engine(TrainerConfig(device="cpu"), fake("pass", version=wire.VERSION + 1)) as engine:
        with pytest.raises(EngineDied, match="another version"):
            await engine.start()


async def test_an_engine_that_ended_while_idle_is_replaced(tmp_path: Path) -> None:
    done = 'say(type="stopped", job="job1", how="cancelled")'
    async with Engine(TrainerConfig(device="cpu"), fake(done)) as engine:
        await engine.start()
        first = engine.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert await gone(first)
        terminal = await engine.run(make_job(tmp_path, 1), nothing, never)
        assert isinstance(terminal, wire.Stopped)
        assert engine.pid != first


async def test_an_engine_is_replaced_after_its_number_of_jobs(tmp_path: Path) -> None:
    done = 'say(type="stopped", job="job1", how="cancelled")'
    job = make_job(tmp_path, 1)
    async with Engine(TrainerConfig(device="cpu", recycle_jobs=2), fake(done)) as engine:
        pids = []
        for _ in range(4):
            await engine.start()
            pids.append(engine.pid)
            await engine.run(job, nothing, never)
    assert pids[0] == pids[1] != pids[2] == pids[3]


@pytest.mark.parametrize(("each", "engines"), [(30, 2), (0, 1)])
async def test_an_engine_whose_memory_grows_from_job_to_job_is_replaced(
    tmp_path: Path, each: int, engines: int
) -> None:
    done = f'kept.append(b"1" * ({each} << 20)); say(type="stopped", job="job1", how="cancelled")'
    job = make_job(tmp_path, 1)
    config = TrainerConfig(device="cpu", recycle_gib=40 / 1024)
    async with Engine(config, fake(done, before="kept = []")) as engine:
        pids = []
        for _ in range(4):
            await engine.start()
            pids.append(engine.pid)
            await engine.run(job, nothing, never)
    assert len(set(pids)) == engines
    assert pids[0] == pids[1], "a single job may take what it needs"


def test_a_crashs_signature_is_its_type_and_our_innermost_place() -> None:
    from lorabot.trainer.pictures import picture_size

    def provoke(action: Callable[[], object]) -> str:
        try:
            action()
        except Exception as error:
            return signature(error)
        raise AssertionError

    assert provoke(lambda: picture_size(None)) == "AttributeError in pictures.picture_size"  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another allocator than glibc's")
def test_what_was_freed_between_what_is_kept_goes_back_to_the_system() -> None:
    from lorabot.trainer.heaps import trim

    process = psutil.Process()
    kept = [bytes(50_000) for _ in range(4000)]  # too small for mappings of their own
    del kept[:-1]
    before = process.memory_info().rss
    trim()
    assert before - process.memory_info().rss > 100_000_000


def test_memory_that_is_not_there_is_told_from_other_errors() -> None:
    import torch

    from lorabot.trainer.memory import ran_out_of_memory

    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert ran_out_of_memory(caught.value)
    assert ran_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"))
    assert ran_out_of_memory(RuntimeError("GET was unable to find an engine to execute this computation"))
    with pytest.raises(OSError, match="Cannot allocate") as mapped:
        mmap.mmap(-1, 1 << 60)
    assert ran_out_of_memory(mapped.value)
    assert not ran_out_of_memory(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    with pytest.raises(RuntimeError) as caught:
        torch.ones(2) @ torch.ones(3)
    assert not ran_out_of_memory(caught.value)


@pytest.mark.slow
async def test_a_card_that_is_not_there_is_refused_with_a_sentence() -> None:
    async with Engine(QUICK.model_copy(update={"device": "cuda:7"})) as engine:
        with pytest.raises(EngineRefused) as caught:
            await engine.start()
    assert caught.value.message.code == "trainer-no-card"


@pytest.mark.slow
async def test_a_warm_engine_obeys_cancel_suspend_and_sigterm(tmp_path: Path) -> None:
    """One process for all three, since it takes seconds to load."""
    job = make_job(tmp_path)
    events: list[wire.Event] = []

    async with Engine(QUICK) as engine:
        measured = await engine.measure(wire.Measure(base=job.base, recipe=job.recipe))
        assert min(measured.step_s, measured.forward_s) > 0
        for keep in (False, True):
            events.clear()
            started = asyncio.Event()
            running = asyncio.create_task(engine.run(job, listen_until(started, events), partial(bool, keep)))
            await started.wait()
            pid = engine.pid
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert engine.pid == pid, "it obeyed, so it stays warm"
            assert any(isinstance(event, wire.CheckpointMade) for event in events) == keep

        started = asyncio.Event()
        events.clear()
        running = asyncio.create_task(engine.run(job, listen_until(started, events), never))
        await started.wait()
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGTERM)
        terminal = await running
        assert terminal == wire.Stopped(job=job.id, how="suspended")
        assert isinstance(events[-1], wire.CheckpointMade)


def listen_until(started: asyncio.Event, events: list[wire.Event]) -> Callable[[wire.Event], None]:
    def listen(event: wire.Event) -> None:
        events.append(event)
        if isinstance(event, wire.Progress) and event.step >= 1:
            started.set()

    return listen
