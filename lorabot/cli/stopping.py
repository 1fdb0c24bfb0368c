"""How a long-running command ends: the first Ctrl-C or SIGTERM asks, the second does not."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def on_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call ``stop`` at each signal to end, in the running event loop."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def run_stoppable(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run``, where every signal to end cancels ``main``, as Ctrl-C does: what it has begun, it clears away.

    Raises ``KeyboardInterrupt`` once that is done.
    """

    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task is not None
        with on_signals(task.cancel):
            return await main

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
