"""The page's WebSocket: what was said goes down, what is said comes up."""

import asyncio
import contextlib
import logging

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import ValidationError

from lorabot.bot.config import IntakeConfig, WebConfig
from lorabot.bot.web.chat import Chat, TooFast
from lorabot.bot.web.conversation import Conversations, Tab, TooManyTabs
from lorabot.bot.web.language import wanted_language
from lorabot.bot.web.links import Links
from lorabot.bot.web.session import Session, Sessions
from lorabot.bot.web.wire import Complete, Hello, Ping, Press, Request, Say, as_json, client_message, show
from lorabot.locale import Message, UserError, translator

_MOST_MESSAGE_BYTES = 64 * 1024
CLOSE_NO_SESSION = 4401
CLOSE_TOO_MANY_TABS = 4429
_log = logging.getLogger(__name__)


class Sockets:
    """Handler of ``GET /ws``, and all sockets that are open."""

    def __init__(
        self,
        sessions: Sessions,
        conversations: Conversations,
        chat: Chat,
        links: Links,
        config: WebConfig,
        intake: IntakeConfig,
        language: str,
    ) -> None:
        self._sessions = sessions
        self._conversations = conversations
        self._chat = chat
        self._links = links
        self._config = config
        self._limits = {"file_bytes": intake.max_file_bytes}
        self._language = language
        self._open: set[web.WebSocketResponse] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        session = self._sessions.read(request)
        socket = web.WebSocketResponse(heartbeat=self._config.heartbeat_s, max_msg_size=_MOST_MESSAGE_BYTES)
        await socket.prepare(request)
        if session is None or not session.admitted:
            await socket.close(code=CLOSE_NO_SESSION)
            return socket
        self._open.add(socket)
        try:
            with self._conversations.open_tab(session.conversation) as tab:
                tab.language = wanted_language(request, self._language)
                await self._serve(socket, session, tab)
        except TooManyTabs:
            await socket.close(code=CLOSE_TOO_MANY_TABS)
        except UserError as error:  # the store is away: what was not acknowledged is sent again by the page
            with contextlib.suppress(ConnectionError):
                await socket.send_str(as_json("error", text=translator(self._language).text(error.message)))
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
        except ConnectionError:
            _log.debug("a page went away")
        finally:
            self._open.discard(socket)
        return socket

    async def close(self) -> None:
        """Tell all pages that the server goes away."""
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in set(self._open)))

    async def _serve(self, socket: web.WebSocketResponse, session: Session, tab: Tab) -> None:
        sending: asyncio.Task[None] | None = None
        try:
            async for frame in socket:
                try:
                    message = client_message.validate_json(frame.data if frame.type is WSMsgType.TEXT else b"")
                except ValidationError:
                    await self._error(socket, tab, "web-not-understood")
                    continue
                if isinstance(message, Hello):
                    tab.language = message.language or tab.language
                    await self._welcome(socket, session, tab)
                    sending = sending or asyncio.create_task(self._send_changes(socket, session, tab))
                else:
                    try:
                        await self._heed(socket, session, tab, message)
                    except TooFast as error:
                        await self._error(socket, tab, error.message.code)
        finally:
            if sending is not None:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sending

    async def _heed(self, socket: web.WebSocketResponse, session: Session, tab: Tab, message: Request) -> None:
        match message:
            case Say():
                await self._chat.say(session, message.text, message.key, tab.language)
            case Press():
                self._chat.press(session, message.action, message.key, tab.language)
            case Complete():
                items = await self._chat.complete(session, message.text, tab.language)
                await socket.send_str(as_json("completions", id=message.id, items=items))
            case Ping():
                await socket.send_str(as_json("pong"))

    async def _welcome(self, socket: web.WebSocketResponse, session: Session, tab: Tab) -> None:
        lines = await self._conversations.history(session.conversation)
        tab.saw(lines)
        welcome = as_json(
            "welcome",
            conversation=session.conversation,
            language=tab.language,
            limits=self._limits,
            lines=[show(line, self._links.link) for line in lines],
        )
        await socket.send_str(welcome)
        self._chat.go_on(session, lines, tab.language)

    async def _send_changes(self, socket: web.WebSocketResponse, session: Session, tab: Tab) -> None:
        try:
            async for change in tab.changes():
                if change is None:
                    await self._welcome(socket, session, tab)
                    continue
                if isinstance(change, Message):
                    await socket.send_str(as_json("error", text=translator(tab.language).text(change)))
                    continue
                line, new = change
                await socket.send_str(as_json("line" if new else "update", line=show(line, self._links.link)))
        except ConnectionError:
            _log.debug("a page went away")

    async def _error(self, socket: web.WebSocketResponse, tab: Tab, code: str) -> None:
        await socket.send_str(as_json("error", text=translator(tab.language)(code)))
