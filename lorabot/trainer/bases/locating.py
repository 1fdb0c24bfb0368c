"""Locates a base model without blocking the event loop: it may have to be downloaded, and is read as a whole once."""

import asyncio
import threading

from lorabot.presets import Base
from lorabot.trainer.bases.located import BaseStore, LocatedBase


class _GivenUp(Exception):
    """Nobody waits for the base any more."""


async def locate(store: BaseStore, base: Base) -> LocatedBase:
    """``base`` as it lies on this host. Raises ``BadBase``; a cancelled call stops download and reading, too."""
    given_up = threading.Event()

    def check() -> None:
        if given_up.is_set():
            raise _GivenUp

    try:
        return await asyncio.to_thread(store.locate, base, check)
    except asyncio.CancelledError:
        given_up.set()
        raise
