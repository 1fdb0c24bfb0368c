"""Starts child processes whose end is seen when they end, whatever they have started themselves."""

import asyncio
import os
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import Mapping
from typing import cast

_LAST_WORDS_S = 1.0


async def start_child(
    *command: str, environment: Mapping[str, str], limit: int, stderr: int | None = None, cwd: str | None = None
) -> Process:
    """A process with pipes to its standard input and output; no line of it is longer than ``limit`` bytes.

    Its pipes are closed on our side soon after its end. asyncio's own ``wait`` and a reader of its output would wait
    for as long as any process holds the other side, and a child of the child may do so for ever.
    """
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: _Protocol(limit, loop), *command, stdin=PIPE, stdout=PIPE, stderr=stderr, env=dict(environment), cwd=cwd
    )
    return Process(transport, protocol, loop)


def has_ended(process: Process) -> bool:
    """Whether it has ended, by the kernel's word: the loop hears of it a little later."""
    if process.returncode is not None:
        return True
    if not hasattr(os, "waitid"):  # macOS
        return False
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # the loop's own watcher has been there already
        return True


class _Protocol(SubprocessStreamProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._child = cast(asyncio.SubprocessTransport, transport)

    def process_exited(self) -> None:
        super().process_exited()
        asyncio.get_running_loop().call_later(_LAST_WORDS_S, self._child.close)
