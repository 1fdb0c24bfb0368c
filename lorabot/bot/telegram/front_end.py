"""Telegram as a front end: it puts the parts together, asks Telegram for news, and shows jobs there."""

import asyncio
import logging
import secrets
import time
from contextlib import AsyncExitStack, suppress
from urllib.parse import urlsplit

import aiohttp
from telegram import LinkPreviewOptions
from telegram.error import BadRequest, Conflict, InvalidToken, TelegramError
from telegram.ext import Defaults, Updater
from telegram.request import HTTPXRequest

from lorabot.bot.card import Card
from lorabot.bot.config import TelegramConfig
from lorabot.bot.front_end import TokenRefused, TryLater, Unreachable
from lorabot.bot.parts import Parts
from lorabot.bot.reply import Reply
from lorabot.bot.telegram.arriving import Arriving
from lorabot.bot.telegram.cards import Cards
from lorabot.bot.telegram.counting import Counting
from lorabot.bot.telegram.failing import Unavailable
from lorabot.bot.telegram.formatting import html_of, mention
from lorabot.bot.telegram.inbox import Inbox
from lorabot.bot.telegram.menus import send_menus
from lorabot.bot.telegram.pace import Limits, Pace
from lorabot.bot.telegram.people import People
from lorabot.bot.telegram.places import PLATFORM, Place, user_of
from lorabot.bot.telegram.results import MOST_UPLOAD, MOST_UPLOAD_OWN_SERVER, Results
from lorabot.bot.telegram.talking import Talking
from lorabot.bot.telegram.timing import Timing
from lorabot.bot.telegram.updates import ALLOWED, Updates
from lorabot.bot.telegram.voice import Client, Sent, Voice
from lorabot.locale import UserError, translator
from lorabot.queue.model import Address

_TELEGRAM = "https://api.telegram.org"
# They write down every address they call, and the token is a part of it.
_TALKATIVE = ("httpx", "httpcore", "telegram")
_POLL_S = 30
_NOT_YET_S = 1.0
_POST_S = 3.0
_CHECK_S = 60.0
_STOP_S = 3.0
_LEAVE_S = 5.0
_COMPLAIN_AGAIN_S = 600.0
_TRIES = 2
_MOST_CONNECTIONS = 32
_log = logging.getLogger(__name__)


class WebhookRefused(UserError):
    """Updates can't be brought to us as it is set up."""


class TelegramFrontEnd:
    """Serves people on Telegram. ``limits`` are those of its flood control."""

    platform = PLATFORM

    def __init__(
        self,
        parts: Parts,
        config: TelegramConfig,
        limits: Limits | None = None,
        timing: Timing | None = None,
        most_upload: int | None = None,
    ) -> None:
        """``most_upload`` is the most bytes of a file we send; None: as much as the Bot API server takes."""
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        own_server = MOST_UPLOAD if config.api_url is None else MOST_UPLOAD_OWN_SERVER
        self._most_upload = own_server if most_upload is None else most_upload
        self._parts = parts
        self._config = config
        self._limits = limits
        self._timing = timing or Timing()
        self._posting: dict[str, asyncio.Task[None]] = {}
        self._showing: set[asyncio.Task[str]] = set()
        self._voice: Voice | None = None
        self._cards: Cards | None = None
        self._results: Results | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set. Raises ``TokenRefused`` where Telegram doesn't know the token."""
        async with AsyncExitStack() as stack:
            client = self._client()
            try:
                await stack.enter_async_context(client)
            except InvalidToken:
                raise TokenRefused("telegram-token-refused") from None
            except TelegramError as error:
                raise Unavailable(f"Telegram does not answer: {error.message}") from None
            http = await stack.enter_async_context(aiohttp.ClientSession(trust_env=True))
            try:
                await self._serve(client, http, stop, stack)
            finally:
                self._voice = self._cards = self._results = None
                await self._leave()

    def edit_interval(self, age_s: float) -> float:
        """Slower with time: who waits for hours does not watch each step."""
        timing = self._timing
        return timing.edit_s if age_s < timing.slow_after_s else timing.slow_edit_s

    async def show_card(self, address: Address, card: Card, ref: str | None) -> str:
        """The job's one message: new, or changed. Its reference says what it shows, so nothing is sent twice."""
        if self._cards is None:
            raise TryLater(_NOT_YET_S)
        showing = asyncio.create_task(self._cards.show(Place.parse(address), card, ref))
        self._showing.add(showing)
        showing.add_done_callback(self._showing.discard)
        return await _unless_cut_off(showing)

    async def post(self, address: Address, reply: Reply, key: str) -> None:
        """Post ``reply`` once; in a group it mentions who asked. A long upload goes on while others are served."""
        if self._results is None or self._voice is None:
            raise TryLater(_NOT_YET_S)
        posting = self._posting.get(key)
        if posting is None:
            posting = asyncio.create_task(self._post(self._results, self._voice, address, reply, key))
            self._posting[key] = posting
        done, _ = await asyncio.wait({posting}, timeout=_POST_S)
        if not done:
            raise TryLater(_POST_S)
        self._posting.pop(key, None)
        await _unless_cut_off(posting)

    async def _leave(self) -> None:
        """Hear out what is being sent: what Telegram has and we don't know of would be sent again after a restart.

        A long upload is cut off; Telegram shows nothing of a file that has not come whole.
        """
        sending = {*self._posting.values(), *self._showing}
        self._posting.clear()
        if not sending:
            return
        _, late = await asyncio.wait(sending, timeout=_LEAVE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)  # whoever waits for them hears of it

    async def _post(self, results: Results, voice: Voice, address: Address, reply: Reply, key: str) -> None:
        place = Place.parse(address)
        language, head = self._parts.language, ""
        if reply.owner is not None:
            person = await self._parts.queue.people.get(reply.owner)
            language = person.language or language
            if place.group:
                user = user_of(reply.owner)
                head = mention(user, await voice.name_of(place, user)) + "\n"
        text = translator(language)
        try:
            await results.post(place, reply, key, text, head)
        except Unreachable:
            if not place.group or reply.owner is None:
                raise
            # The group is shut to us; whom it is for may not be.
            head = html_of(text("telegram-instead-of-group")) + "\n"
            await results.post(Place(user_of(reply.owner)), reply, key, text, head)

    def _client(self) -> Client:
        config = self._config
        assert config.token is not None
        api, files = _TELEGRAM, f"{_TELEGRAM}/file"
        if config.api_url is not None:
            api = config.api_url.rstrip("/")
            files = (config.file_url or f"{api}/file").rstrip("/")
        return Client(
            config.token.get_secret_value(),
            base_url=f"{api}/bot",
            base_file_url=f"{files}/bot",
            request=HTTPXRequest(connection_pool_size=_MOST_CONNECTIONS, pool_timeout=30, read_timeout=20),
            get_updates_request=HTTPXRequest(read_timeout=_POLL_S + 20),
            # Telegram would fetch signed links, which are for one person, to show what is behind them.
            defaults=Defaults(link_preview_options=LinkPreviewOptions(is_disabled=True)),
            rate_limiter=Pace(self._limits),
        )

    async def _serve(
        self, client: Client, http: aiohttp.ClientSession, stop: asyncio.Event, stack: AsyncExitStack
    ) -> None:
        parts, own_server = self._parts, self._config.api_url is not None
        voice = Voice(client, parts.queue)
        people = People(voice, self._config.operators, parts.language)
        counting = Counting(voice, parts.queue, parts.commands.presets, self._timing)
        arriving = Arriving(voice, counting, parts.intake, parts.queue, parts.links, http, own_server, self._timing)
        talking = Talking(voice, parts, people, counting, arriving, self._timing)
        inbox = Inbox(parts.queue.refs, lambda update: updates.begin(update))
        updates = Updates(voice, people, talking, arriving, inbox.done, self._timing)
        updater = Updater(client, inbox)
        self._voice = voice
        self._cards = Cards(voice, self._timing)
        self._results = Results(voice, parts.queue, parts.links, self._most_upload)
        await updater.initialize()
        stack.push_async_callback(updater.shutdown)
        stack.push_async_callback(counting.stop)
        stack.push_async_callback(updates.stop)
        await counting.resume()
        parts.intake.on(PLATFORM, counting.announce)
        await inbox.resume(client)
        menus = asyncio.create_task(self._send_menus(client))
        stack.callback(menus.cancel)
        stack.push_async_callback(_stop, updater)
        await self._listen(updater)
        _log.info("Telegram: I am @%s", client.username)
        await _until(stop, client)

    async def _listen(self, updater: Updater) -> None:
        """Ask for updates, or have them brought to the webhook."""
        config = self._config
        if config.webhook_url is None:
            await updater.start_polling(
                timeout=_POLL_S, bootstrap_retries=_TRIES, allowed_updates=ALLOWED, error_callback=_Complaints()
            )
            return
        secret = config.webhook_secret.get_secret_value() if config.webhook_secret else secrets.token_urlsafe(32)
        try:
            await updater.start_webhook(
                listen=config.webhook_host,
                port=config.webhook_port,
                url_path=urlsplit(config.webhook_url).path,
                webhook_url=config.webhook_url,
                bootstrap_retries=_TRIES,
                allowed_updates=ALLOWED,
                secret_token=secret,
            )
        except OSError as error:
            raise WebhookRefused(
                "telegram-webhook-no-port", host=config.webhook_host, port=str(config.webhook_port)
            ) from error
        except BadRequest as error:
            raise WebhookRefused("telegram-webhook-refused", reason=error.message) from None

    async def _send_menus(self, client: Client) -> None:
        try:
            await send_menus(client, self._parts.queue.refs, self._parts.language)
        except (TelegramError, UserError) as error:
            _log.warning("the menus of commands are not shown yet: %s", error)


class _Complaints:
    """Says once what goes wrong with asking for updates, until it is something else."""

    def __init__(self) -> None:
        self._last = ""
        self._at = float("-inf")

    def __call__(self, error: TelegramError) -> None:
        now = time.monotonic()
        if error.message == self._last and now - self._at < _COMPLAIN_AGAIN_S:
            return
        self._last, self._at = error.message, now
        if isinstance(error, Conflict):
            _log.error("another program asks Telegram for this bot's news: only one may, so please end the other one")
        else:
            _log.warning("Telegram can't be asked for news: %s", error.message)


async def _unless_cut_off(sending: asyncio.Task[Sent]) -> Sent:
    """What came of ``sending``. Raises ``TryLater`` where the front end ended over it."""
    try:
        return await sending
    except asyncio.CancelledError:
        if not sending.cancelled() or (current := asyncio.current_task()) is None or current.cancelling():
            raise
        raise TryLater(_NOT_YET_S) from None


async def _until(stop: asyncio.Event, client: Client) -> None:
    """Wait for ``stop``. Raises ``TokenRefused`` where the token is no longer good: the updater ends silently then."""
    while not stop.is_set():
        try:
            async with asyncio.timeout(_CHECK_S):
                await stop.wait()
        except TimeoutError:
            try:
                await client.get_me()
            except InvalidToken:
                raise TokenRefused("telegram-token-refused") from None
            except TelegramError as error:
                _log.debug("Telegram does not answer: %s", error.message)


async def _stop(updater: Updater) -> None:
    """Ask for no more updates. A Telegram that does not answer is not waited for: what it repeats is known by then."""
    with suppress(InvalidToken, TimeoutError):
        if updater.running:
            async with asyncio.timeout(_STOP_S):
                await updater.stop()
