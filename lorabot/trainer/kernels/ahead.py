"""Compiles kernels ahead, in processes of their own: threads take turns wherever Triton is in Python, and in older
Tritons in all of it. What they leave in Triton's cache the process that asked for it finds there.

    python -m lorabot.trainer.kernels.ahead < kernels.json
"""

import itertools
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import cache, driver

_WORTH_IT = 8
"""Kernels from which on it pays to have processes compile them."""
_MOST = 8
"""Processes: each takes a quarter of a GiB."""
_PATIENCE_S = 120.0
_times = itertools.count()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A kernel by its place, and Triton's own description of what it is called with."""

    module: str
    name: str
    description: str

    def compile(self) -> Any:
        """The kernel, or what it will be: as Triton's ``preload``, which takes it from the cache if it is there."""
        return getattr(import_module(self.module), self.name).preload(self.description)


def wanted_by(act: Callable[[], object]) -> list[Wanted]:
    """The kernels that ``act`` would have compiled now if it weren't for this; none is."""
    found: dict[Wanted, None] = {}

    def note(*, fn: Any, compile: Any, **_: object) -> bool:  # noqa: A002
        found[Wanted(fn.module, fn.name, compile["specialization_data"])] = None
        return True  # leave it

    with knobs.runtime.scope():
        knobs.runtime.jit_cache_hook = note
        act()
    return list(found)


def wake() -> None:
    """Have Triton do what it does once a process, half a second each: look for the card, and hash its own library of
    hundreds of MB, by which it finds kernels in its cache."""
    _ = driver.active
    cache.triton_key()


def compile_apart(find: Callable[[], Sequence[Wanted]], cores: int | None = None) -> Callable[[], Sequence[Wanted]]:
    """Have what ``find`` finds compiled for this process's card by other ones, if it is worth them.

    What comes back waits for them and says what was found. The first time they start while it is being found: later
    there is little to compile, if anything. Where they fail they tell standard error, and it is left to whoever needs
    it.
    """
    count = min(cores or os.cpu_count() or 1, _MOST)
    children: list[subprocess.Popen[str]] = []
    try:
        if count > 1 and next(_times) == 0:
            with _forgiven(children):
                _start(children, count)
        wanted = find()
        if len(wanted) < _WORTH_IT:
            _end(children)
        elif count > 1:
            with _forgiven(children):
                if not children:
                    _start(children, count)
                _send(children, wanted)
    except BaseException:
        _end(children)
        raise
    until = time.monotonic() + _PATIENCE_S

    def wait() -> Sequence[Wanted]:
        try:
            with _forgiven(children):
                failed = sum(child.wait(max(0.0, until - time.monotonic())) != 0 for child in children)
                if failed:
                    _log.warning("%d of %d processes could not compile all of their kernels", failed, count)
        finally:
            _end(children)
        return wanted

    return wait


@contextmanager
def _forgiven(children: list[subprocess.Popen[str]]) -> Iterator[None]:
    try:
        yield
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("kernels are compiled one by one: %s", error)
        _end(children)


def _start(children: list[subprocess.Popen[str]], count: int) -> None:
    for _ in range(count):
        children.append(_child())


def _send(children: Sequence[subprocess.Popen[str]], wanted: Sequence[Wanted]) -> None:
    card: Any = driver.active
    target = card.get_current_target()
    about = {"backend": target.backend, "arch": target.arch, "warp_size": target.warp_size}
    for first, child in enumerate(children):
        assert child.stdin is not None
        with child.stdin:
            kernels = [asdict(each) for each in wanted[first :: len(children)]]
            json.dump({"target": about, "kernels": kernels}, child.stdin)


def _end(children: list[subprocess.Popen[str]]) -> None:
    while children:
        child = children.pop()
        child.kill()
        child.wait()
        if child.stdin is not None:
            with suppress(OSError):  # what it was not told yet
                child.stdin.close()


def _child() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", __name__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)  # noqa: S603


@dataclass(frozen=True, slots=True)
class _Card:
    """Triton's driver as far as compiling asks for one: the card itself isn't touched."""

    target: GPUTarget

    def get_current_device(self) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return self.target


def main() -> None:
    """Compile what standard input names."""
    with suppress(Exception):  # it is found out again when it is needed
        cache.triton_key()
    given = json.load(sys.stdin)
    driver.set_active(_Card(GPUTarget(**given["target"])))  # type: ignore[arg-type]
    for kernel in given["kernels"]:
        Wanted(**kernel).compile()


if __name__ == "__main__":
    main()
    os._exit(0)  # else Triton's bindings list all that they did not free
