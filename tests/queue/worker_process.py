"""A worker in a process of its own, to be killed and stopped: ``python -m tests.queue.worker_process ...``.

It counts steps until a file named ``finish`` lies in the folder, and writes ``lost`` there when it loses its lease.
"""

import asyncio
import logging
import signal
import sys
from pathlib import Path

from lorabot.queue import Lease, open_queue, run_worker
from lorabot.queue.errors import LeaseLost
from lorabot.queue.model import Outcome, Progress, Stage
from tests.queue.conftest import LAPSING


async def main(database_url: str, redis_url: str, folder: Path, name: str) -> None:
    async def handle(lease: Lease) -> None:
        step = 0
        try:
            while not (folder / "finish").exists():
                step += 1
                await lease.beat(Progress(Stage.TRAINING, step, 0))
                await asyncio.sleep(LAPSING.heartbeat_s)
            await lease.succeed(Outcome((), {"worker": name}))
        except LeaseLost:
            (folder / "lost").write_text(name)
            raise

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_queue(LAPSING, database_url, redis_url, str(folder / "blobs")) as queue:
        await run_worker(queue, handle, name, stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
