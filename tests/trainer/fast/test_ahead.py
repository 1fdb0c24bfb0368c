"""Kernels are compiled before they are needed, by other processes, and found by the one that needs them."""

import itertools
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import cache, driver

from lorabot.trainer import engine
from lorabot.trainer.fast.entrance import lay_out, prepare
from lorabot.trainer.fast.reference import Reference
from lorabot.trainer.kernels import ahead
from tests.house import clean_environment
from tests.trainer import small_bases
from tests.trainer.fast.test_network import with_adapter
from tests.trainer.fast.without_a_card import SOME, noting


def as_on_a_card(folder: Path) -> tuple[dict[str, Any], str]:
    """What was found, and what went to the log."""
    environment = clean_environment(TRITON_CACHE_DIR=str(folder))
    del environment["TRITON_INTERPRET"]
    command = [sys.executable, "-m", "tests.trainer.fast.without_a_card"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout), done.stderr


def test_other_processes_compile_all_that_a_step_takes_and_one_that_fails_stands_in_no_way(tmp_path: Path) -> None:
    found, log = as_on_a_card(tmp_path)
    assert found["foreseen"] > SOME
    assert found["not foreseen"] == []
    assert (found["before"], found["apart"]) == (0, SOME)
    assert found["new here"] == []
    assert found["despite others"] == 1
    assert "2 of 2 processes could not compile" in log


def test_a_network_keeps_its_values_while_its_kernels_are_found_out_and_a_failing_compiler_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Reference):
        def prepare(self, act: Callable[[], object]) -> Callable[[], None]:
            act()
            raise OSError("no compiler")

    unet = small_bases.make("sdxl").unet
    with with_adapter(unet):
        before = {name: value.clone() for name, value in unet.state_dict().items()}
        prepare(unet, lay_out(unet, Failing()).network)()
        after = unet.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
    assert "kernels could not be compiled ahead" in caplog.text
    assert "no compiler" in caplog.text


def test_processes_that_end_at_once_or_are_told_nothing_hold_up_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[subprocess.Popen[str]] = []

    def child() -> subprocess.Popen[str]:
        """The first has ended before it can be told anything, the others wait for it."""
        code = "import sys; sys.stdin.read()" if started else "pass"
        made = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True)
        if not started:
            made.wait()
        started.append(made)
        return made

    monkeypatch.setattr(ahead, "_child", child)
    monkeypatch.setattr(ahead, "_times", itertools.count())
    monkeypatch.setattr(driver, "_active", ahead._Card(GPUTarget("cuda", 90, 32)))
    many, few = [ahead.Wanted("module", f"kernel {number}", "{}") for number in range(20)], [ahead.Wanted("m", "k", "")]
    assert ahead.compile_apart(noting(many), cores=3)() == many
    assert caplog.text.count("a process that compiles kernels is gone") == 1
    assert [each.returncode for each in started] == [0, 0, 0], "the others have heard all, and that there is no more"
    assert len(started) == 3
    assert ahead.compile_apart(noting(few), cores=3)() == few
    assert len(started) == 3, "later there is little to compile, and no process is started for it"
    monkeypatch.setattr(ahead, "_times", itertools.count())
    with pytest.raises(RuntimeError, match="no such network"):
        ahead.compile_apart(_fail, cores=3)
    assert len(started) == 6
    assert all(each.poll() is not None for each in started)


def test_processes_are_told_of_kernels_while_others_are_still_being_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    code = f"import sys\nfor line in sys.stdin:\n    open({str(heard)!r}, 'a').write(line)"

    def told() -> list[dict[str, Any]]:
        return [json.loads(line) for line in heard.read_text().splitlines()] if heard.exists() else []

    def find(note: ahead.Note) -> None:
        for each in kernels[:-1]:
            note(each)
        until = time.monotonic() + 20
        while len(told()) < 2 + len(kernels) - 1 and time.monotonic() < until:
            time.sleep(0.01)
        before.extend(told())
        note(kernels[-1])

    before = list[dict[str, Any]]()
    kernels = [ahead.Wanted("module", f"kernel {number}", "{}") for number in range(10)]
    monkeypatch.setattr(
        ahead,
        "_child",
        lambda: subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True),
    )
    monkeypatch.setattr(driver, "_active", ahead._Card(GPUTarget("cuda", 90, 32)))
    assert ahead.compile_apart(find, cores=2)() == kernels
    names = sorted(each["name"] for each in told() if "name" in each)
    assert (len(before), names) == (11, sorted(each.name for each in kernels))
    assert sum(each == {"backend": "cuda", "arch": 90, "warp_size": 32} for each in told()) == 2


def _fail(*_: object) -> None:
    raise RuntimeError("no such network")


def test_triton_wakes_beside_the_models_and_where_it_does_not_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cache.triton_key.cache_clear()
    monkeypatch.setattr(driver, "_active", ahead._Card(GPUTarget("cuda", 90, 32)))
    engine._wake_triton()
    assert cache.triton_key.cache_info().currsize == 1
    assert "does not wake" not in caplog.text
    monkeypatch.setattr(ahead, "wake", _fail)
    engine._wake_triton()
    assert "no such network" in caplog.text
