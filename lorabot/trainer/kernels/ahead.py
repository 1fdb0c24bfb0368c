"""Compiles kernels ahead, in processes of their own: threads take turns wherever Triton is in Python, and in older
Tritons in all of it. What they leave in Triton's cache the process that asked for it finds there.

    python -m lorabot.trainer.kernels.ahead < kernels.jsonl
"""

import itertools
import json
import logging
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import IO, Any

from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import cache, driver

_WORTH_IT = 8
"""Kernels from which on it pays to have processes compile them."""
_MOST = 8
"""Processes: each takes a quarter of a GiB."""
_PIPE = 2**18
"""Bytes, of which a kernel takes three thousand at most."""
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


Note = Callable[[Wanted], None]
"""Is told of a kernel."""


def wanted_by(act: Callable[[], object], note: Note) -> None:
    """Have ``note`` told the kernels that ``act`` would have compiled now if it weren't for this; none is."""
    seen: set[Wanted] = set()

    def hook(*, fn: Any, compile: Any, **_: object) -> bool:  # noqa: A002
        kernel = Wanted(fn.module, fn.name, compile["specialization_data"])
        if kernel not in seen:
            seen.add(kernel)
            note(kernel)
        return True  # leave it

    with knobs.runtime.scope():
        knobs.runtime.jit_cache_hook = hook
        act()


def wake() -> None:
    """Have Triton do what it does once a process, half a second each: look for the card, and hash its own library of
    hundreds of MB, by which it finds kernels in its cache."""
    _ = driver.active
    cache.triton_key()


def compile_apart(find: Callable[[Note], object], cores: int | None = None) -> Callable[[], Sequence[Wanted]]:
    """Have what ``find`` notes compiled for this process's card by other ones, if it is worth them.

    They are at the first while the next is being found. What comes back waits for them and says what was found. Where
    they fail they tell standard error, and it is left to whoever needs it.
    """
    crew = _Crew(min(cores or os.cpu_count() or 1, _MOST))
    try:
        if next(_times) == 0:  # later there is little to compile, if anything
            crew.start()
        find(crew.take)
        crew.close()
    except BaseException:
        crew.end()
        raise
    return crew.wait


class _Crew:
    """So many processes that compile what they are told, in turns. One alone is none: it would do what we can do."""

    def __init__(self, count: int) -> None:
        self._count = count if count > 1 else 0
        self._children: list[subprocess.Popen[str]] = []
        self._wanted: list[Wanted] = []
        self._until = 0.0

    def start(self) -> None:
        with self._forgiven():
            while len(self._children) < self._count:
                self._children.append(_child())

    def take(self, kernel: Wanted) -> None:
        """Have it compiled, if it is one of enough to be worth it."""
        self._wanted.append(kernel)
        if len(self._wanted) == _WORTH_IT:
            self.start()
            card: Any = driver.active
            target = card.get_current_target()
            about = {"backend": target.backend, "arch": target.arch, "warp_size": target.warp_size}
            for child in list(self._children):
                self._tell(child, about)
            for number, each in enumerate(self._wanted):
                self._tell_one(number, each)
        elif len(self._wanted) > _WORTH_IT:
            self._tell_one(len(self._wanted) - 1, kernel)

    def close(self) -> None:
        """There is no more to come."""
        if len(self._wanted) < _WORTH_IT:
            self.end()
        self._until = time.monotonic() + _PATIENCE_S
        for child in list(self._children):
            with self._heard_by(child):
                _stdin(child).close()

    def wait(self) -> Sequence[Wanted]:
        try:
            with self._forgiven():
                ends = [child.wait(max(0.0, self._until - time.monotonic())) for child in self._children]
                if any(ends):
                    failed = sum(status != 0 for status in ends)
                    _log.warning("%d of %d processes could not compile all of their kernels", failed, len(ends))
        finally:
            self.end()
        return self._wanted

    def end(self) -> None:
        for child in list(self._children):
            self._let_go(child)

    def _let_go(self, child: subprocess.Popen[str]) -> None:
        self._children.remove(child)
        child.kill()
        child.wait()
        with suppress(OSError):  # what it was not told yet
            _stdin(child).close()

    def _tell_one(self, number: int, kernel: Wanted) -> None:
        while self._children:
            child = self._children[number % len(self._children)]
            self._tell(child, asdict(kernel))
            if child in self._children:
                return

    def _tell(self, child: subprocess.Popen[str], said: dict[str, object]) -> None:
        with self._heard_by(child):
            _stdin(child).write(json.dumps(said) + "\n")
            _stdin(child).flush()

    @contextmanager
    def _heard_by(self, child: subprocess.Popen[str]) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _log.warning("a process that compiles kernels is gone: %s", error)
            self._let_go(child)

    @contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except (OSError, subprocess.TimeoutExpired) as error:
            _log.warning("kernels are compiled one by one: %s", error)
            self._count = 0
            self.end()


def _stdin(child: subprocess.Popen[str]) -> IO[str]:
    assert child.stdin is not None
    return child.stdin


def _child() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", __name__]
    # A pipe that takes all there is to say: one who is slow to listen holds up nobody.
    return subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, pipesize=_PIPE
    )


@dataclass(frozen=True, slots=True)
class _Card:
    """Triton's driver as far as compiling asks for one: the card itself isn't touched."""

    target: GPUTarget

    def get_current_device(self) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return self.target


def main() -> int:
    """Compile what standard input names, each on a line after one for the card; 1 if some of it could not be."""
    with suppress(Exception):  # it is found out again when it is needed
        cache.triton_key()
    target, kernels = next(sys.stdin, None), sys.stdin
    if target is None:  # who was to say has ended
        return 0
    driver.set_active(_Card(GPUTarget(**json.loads(target))))  # type: ignore[arg-type]
    status = 0
    for kernel in kernels:
        try:
            Wanted(**json.loads(kernel)).compile()
        except Exception:  # whatever a compiler may say; the others are as good as before
            traceback.print_exc()
            status = 1
    return status


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # else Triton's bindings list all that they did not free
