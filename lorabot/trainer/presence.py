"""Has the engine ready for the first job, and tells the queue that this trainer is up: its device, how fast it is."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from lorabot.locale import UserError
from lorabot.presets import Bases, load_presets
from lorabot.queue import Queue
from lorabot.queue.errors import StoreUnavailable
from lorabot.queue.model import CardState, Speed, TrainerState
from lorabot.queue.tasks import end
from lorabot.queue.trainers import EVERY_S
from lorabot.queue.worker import Has
from lorabot.trainer import wire
from lorabot.trainer.bases import BaseStore
from lorabot.trainer.bases.locating import locate
from lorabot.trainer.devices import card_by, cards
from lorabot.trainer.supervising import Engine, EngineDied

_log = logging.getLogger(__name__)


@asynccontextmanager
async def present(queue: Queue, engine: Engine, worker: str, speeds: dict[str, Speed], has: Has) -> AsyncIterator[None]:
    """Announce ``worker``, whose engine is up, every now and then while the block runs, and withdraw it at the end."""
    announcing = asyncio.create_task(_announce(queue, engine, worker, speeds, has), name="presence")
    try:
        yield
    finally:
        await end(announcing)
        with suppress(StoreUnavailable):
            await queue.trainers.withdraw(worker)


async def get_ready(queue: Queue, engine: Engine, bases: Bases, store: BaseStore) -> dict[str, Speed]:
    """Have the usual base loaded and a step of it done before there is a job, which then begins so much sooner.

    Returns how fast that was, by the base's id; empty where jobs have told already, or where it can't be measured. A
    base that would have to be downloaded first is left to the job that wants it, and all of it where a job waits
    already or, since a step may take minutes there, where there is no card and jobs have told.
    """
    base = bases.usual
    try:
        told = bool(await queue.history.succeeded(base.id, 1))
        on_card = engine.hello is not None and engine.hello.card is not None
        if not store.here(base) or (told and (not on_card or await queue.jobs.runnable())):
            return {}
        located = await locate(store, base)
        presets = (await asyncio.to_thread(load_presets)).presets.values()
        recipe = next(preset.recipes[base.family] for preset in presets if base.family in preset.recipes)
        measured = await engine.measure(wire.Measure(base=located, recipe=recipe))
    except (StoreUnavailable, EngineDied, UserError, StopIteration) as error:
        _log.warning("no speed measured of %s: %s", base.id, error)
        return {}
    if told or not measured.pixels:
        return {}
    return {base.id: Speed(measured.pixels, measured.step_s, measured.forward_s)}


async def _announce(queue: Queue, engine: Engine, worker: str, speeds: dict[str, Speed], has: Has) -> None:
    while True:
        hello = engine.hello
        if hello is not None:
            card = await asyncio.to_thread(_card, hello.card, engine.pid) if hello.card else None
            state = TrainerState(hello.device_name, card, speeds, tuple(await has()))
            with suppress(StoreUnavailable):
                await queue.trainers.announce(worker, state)
        await asyncio.sleep(EVERY_S)


def _card(uuid: str, engine: int | None) -> CardState | None:
    """The engine's card as it is now; None where the driver can't be asked."""
    card = card_by(uuid, cards())
    if card is None:
        return None
    others = sorted((holder for holder in card.holders if holder.pid != engine), key=lambda holder: -holder.held)
    own = sum(holder.held for holder in card.holders if holder.pid == engine)
    named = tuple((holder.name, holder.held) for holder in others)
    return CardState(card.name, card.total, card.free, own, named, card.unnamed)
