"""The end of a child process is seen, also where a child of its own goes on and holds its pipes."""

import asyncio
import os
import signal
import sys

from lorabot.children import start_child

LEAVING_ONE_BEHIND = """
import subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(left.pid, flush=True)
sys.exit(3)
"""


async def test_the_end_is_seen_while_a_grandchild_holds_the_pipes() -> None:
    process = await start_child(sys.executable, "-c", LEAVING_ONE_BEHIND, environment=os.environ, limit=1000)
    assert process.stdout is not None
    left = int(await process.stdout.readline())
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.read() == b"", "the output ends"
            assert await process.wait() == 3
        os.kill(left, 0)
    finally:
        os.kill(left, signal.SIGKILL)


async def test_what_a_child_says_at_last_is_not_lost() -> None:
    code = "import sys; print(sys.stdin.readline().upper() * 3000, end='')"
    process = await start_child(sys.executable, "-c", code, environment=os.environ, limit=1000)
    output, _ = await process.communicate(b"farewell\n")
    assert output == b"FAREWELL\n" * 3000
    assert process.returncode == 0
