"""The house that is recorded: `lorabot up` on a folder of its own, ready to tell how long a training takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.house import looking_in
from tests.house import free_port, started

_READY_S = 180.0


@asynccontextmanager
async def house(folder: Path, **settings: str) -> AsyncIterator[str]:
    """Run `lorabot up` with nothing but the settings that an operator has; yields the chat page's address.

    It has timed a step by then, as one that was started some minutes ago: the first confirmation goes by that.
    """
    port = free_port()
    settings = {"LORABOT_DATA_DIR": str(folder / "data"), "LORABOT_WEB__PORT": str(port), **settings}
    with started("up", cwd=folder, **settings) as running:
        await asyncio.to_thread(running.wait_for, "The chat page is open", timeout=_READY_S)
        async with looking_in(folder) as queue, asyncio.timeout(_READY_S):
            while not any(trainer.speeds for trainer in (await queue.trainers.present()).values()):  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
        running.end()
