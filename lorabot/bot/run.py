"""Runs the bot: the web chat, further front ends, and delivery to each of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from pydantic import SecretStr

from lorabot.bot.commands import Commands
from lorabot.bot.config import DeliveryConfig, IntakeConfig, WebConfig
from lorabot.bot.delivery import Delivery
from lorabot.bot.front_end import CannotListen, CannotStart, FrontEnd, TokenRefused, surprising
from lorabot.bot.intake.service import Intake
from lorabot.bot.parts import MakeFrontEnd, Parts
from lorabot.bot.signing import Signer
from lorabot.bot.web.links import Links
from lorabot.bot.web.server import Started, WebServer
from lorabot.locale import UserError, translator
from lorabot.presets import Catalogue
from lorabot.queue import Queue, run_reconciler
from lorabot.queue.retention import run_sweeper

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_TOKEN_WAIT_S = 60.0
_TOKEN_LONGEST_WAIT_S = 600.0
_STEADY_S = 60.0
_log = logging.getLogger(__name__)


def _silent(_: str) -> None:
    """Nobody wants to know the address."""


async def run_bot(
    queue: Queue,
    presets: Catalogue,
    *,
    web: WebConfig,
    intake: IntakeConfig,
    delivery: DeliveryConfig,
    secret: SecretStr,
    folder: Path,
    stop: asyncio.Event,
    language: str = "en",
    front_ends: Sequence[MakeFrontEnd] = (),
    started: Started = _silent,
) -> None:
    """Serve people until ``stop`` is set.

    ``secret`` signs cookies and links; ``folder`` holds uploads until they are looked through; ``started`` is told the
    web chat's address; ``front_ends`` are made here and run beside it. A front end that fails is started again, later
    each time. Raises ``CannotStart`` where the web chat may not listen as it is set up, and ``CannotListen`` where it
    can't and there is no other front end, so that nobody could be served.
    """
    taking_in = Intake(queue, intake, folder)
    commands = Commands(queue, presets, taking_in)
    signer = Signer(secret.get_secret_value().encode())
    links = Links(queue, signer, web)
    server = WebServer(queue, commands, taking_in, web, intake, signer, links, language, started)
    parts = Parts(queue, commands, taking_in, links, language)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_reconciler(queue, stop))
            tasks.create_task(run_sweeper(queue, stop))
            for front_end in (server.front_end, *(make(parts) for make in front_ends)):
                tasks.create_task(_keep_running(front_end, language, stop, alone=not front_ends))
                delivering = Delivery(queue, front_end, delivery)
                tasks.create_task(_keep_delivering(delivering, front_end.platform, language, stop))
    except* CannotStart as errors:
        raise errors.exceptions[0] from None
    finally:
        await taking_in.close()


async def _keep_running(front_end: FrontEnd, language: str, stop: asyncio.Event, *, alone: bool) -> None:
    await _restart(front_end.run, f"front end {front_end.platform}", language, stop, alone=alone)


async def _keep_delivering(delivery: Delivery, platform: str, language: str, stop: asyncio.Event) -> None:
    await _restart(delivery.run, f"delivery to {platform}", language, stop)


async def _restart(
    run: Callable[[asyncio.Event], Awaitable[None]],
    name: str,
    language: str,
    stop: asyncio.Event,
    *,
    alone: bool = False,
) -> None:
    """Run it until ``stop`` is set; start it again when it fails, later each time unless it held for a while.

    ``alone``: without it nobody is served.
    """
    wait = _FIRST_WAIT_S
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        begun = loop.time()
        longest = _LONGEST_WAIT_S
        try:
            await run(stop)
        except CannotStart as error:
            if alone or not isinstance(error, CannotListen):
                raise
            _log.error("%s", translator(language).text(error.message))
        except TokenRefused as error:
            # Platforms count wrong tokens, and nobody changes one within a minute.
            longest = _TOKEN_LONGEST_WAIT_S
            wait = max(wait, _TOKEN_WAIT_S)
            _log.error("%s", translator(language).text(error.message))
        except UserError as error:
            _log.error("%s failed: %s", name, translator(language).text(error.message))
        except Exception as error:
            if surprising(error):
                _log.exception("%s failed", name)
            else:
                reason, told = str(error) or type(error).__name__, _log.isEnabledFor(logging.DEBUG)
                _log.error("%s failed: %s. Can this machine reach it?", name, reason.rstrip("."), exc_info=told)
        if stop.is_set():
            return
        if loop.time() - begun > _STEADY_S:
            wait = _FIRST_WAIT_S
        _log.warning("%s is started again in %.0f s", name, wait)
        try:
            await asyncio.wait_for(stop.wait(), wait)
        except TimeoutError:
            wait = min(longest, wait * 2)
