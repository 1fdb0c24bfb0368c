"""What a trainer says of itself before and between jobs."""

import asyncio
import os
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from lorabot.presets import Bases
from lorabot.queue import Queue
from lorabot.queue.model import CardState, Outcome, Speed, TrainerState
from lorabot.trainer import daemon, measuring
from lorabot.trainer.daemon import run_trainer
from lorabot.trainer.fast import Warm
from lorabot.trainer.measuring import measure
from lorabot.trainer.models import Models
from lorabot.trainer.supervising import Engine
from tests.queue.samples import submit
from tests.trainer.conftest import QUICK, tiny_recipe
from tests.trainer.nvml import Driver, Silicon, driver

CARD = "GPU-aaaaaaaa-1111-2222-3333-444444444444"
ENGINE = f"""
import os, sys
from lorabot.trainer import wire
def say(event):
    sys.stdout.buffer.write(wire.line(event))
    sys.stdout.buffer.flush()
about = dict(device="cuda:0", device_name="A card", loading_s=0, card="{CARD}")
say(wire.Hello(version=wire.VERSION, pid=os.getpid(), **about))
for line in sys.stdin.buffer:
    with open("ASKED", "a") as asked:
        print(wire.read_command(line).base.id, file=asked)
    say(wire.Measured(MEASURED))
"""
"""It starts at once, has a card, times what it is asked to and notes what that was."""


MEASURED = "pixels=4096, step_s=0.5, forward_s=0.1"


async def announced(
    queue: Queue, folder: Path, monkeypatch: pytest.MonkeyPatch, measured: str = MEASURED, card: bool = True
) -> TrainerState:
    """What a trainer with such an engine says first."""
    engine = ENGINE.replace("MEASURED", measured).replace("ASKED", str(folder / "asked"))
    command = (sys.executable, "-c", engine if card else engine.replace(f'"{CARD}"', "None"))
    monkeypatch.setattr(daemon, "Engine", partial(Engine, command=command))
    stop = asyncio.Event()
    running = asyncio.create_task(run_trainer(queue, QUICK, folder, stop, Bases(), worker="w"))
    try:
        async with asyncio.timeout(30):
            while not (found := await queue.trainers.present()):
                assert not running.done()
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await running
    assert await queue.trainers.present() == {}
    return found["w"]


async def test_a_trainer_tells_its_card_and_who_holds_it_and_how_fast_it_is(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = psutil.Process(os.getpid())
    held = Silicon(CARD, "A card", int(24e9), int(14e9), computing={mine.pid: int(3.1e9)})
    with driver(Driver(held)):
        state = await announced(queue, tmp_path, monkeypatch)
    card = CardState("A card", int(24e9), int(14e9), 0, ((mine.name(), int(3.1e9)),), int(6.9e9))
    assert state == TrainerState("A card", card, {"demo": Speed(4096, 0.5, 0.1)}, ("demo",))


async def a_job_succeeded(queue: Queue) -> None:
    await submit(queue)
    lease = await queue.jobs.claim("tester")
    assert lease is not None
    await lease.succeed(Outcome(()))


async def test_where_nothing_could_be_measured_or_jobs_tell_already_no_speed_is_told(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await announced(queue, tmp_path, monkeypatch, measured="")).speeds == {}
    await a_job_succeeded(queue)
    state = await announced(queue, tmp_path, monkeypatch)
    assert (state.speeds, state.card) == ({}, None)


@pytest.mark.parametrize(("waiting", "card"), [(False, True), (True, True), (False, False)])
async def test_after_a_restart_a_card_has_its_base_ready_unless_a_job_waits(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: bool, card: bool
) -> None:
    await a_job_succeeded(queue)
    if waiting:
        await submit(queue)
        monkeypatch.setattr(daemon, "run_worker", lambda queue, handle, name, stop, has: stop.wait())  # who'd take it
    state = await announced(queue, tmp_path, monkeypatch, card=card)
    assert (tmp_path / "asked").exists() == (card and not waiting)
    assert state.speeds == {}


def test_a_step_is_timed_and_leaves_the_base_as_it_was(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    # By the processor's time: on a busy machine the shorter of the two may well wait longer for its turn.
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=time.process_time))
    base, recipe = models.base(), tiny_recipe()
    found = measure(base, recipe, "fp32", Warm())
    rows = recipe.batch + (recipe.preserve.rows if recipe.preserve else 0)
    assert found.pixels == rows * 64**2
    assert found.step_s > found.forward_s > 0
    assert not any("lora" in name or parameter.requires_grad for name, parameter in base.unet.named_parameters())
