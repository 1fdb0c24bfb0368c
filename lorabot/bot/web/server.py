"""Puts the web chat together and serves it."""

import asyncio
import errno
import logging
from collections.abc import Callable

from aiohttp import web

from lorabot.bot.commands import Commands
from lorabot.bot.config import IntakeConfig, WebConfig
from lorabot.bot.front_end import CannotListen
from lorabot.bot.intake.service import Intake
from lorabot.bot.signing import Signer
from lorabot.bot.web.chat import Chat
from lorabot.bot.web.conversation import Conversations
from lorabot.bot.web.front_end import WebFrontEnd
from lorabot.bot.web.guard import add_headers, guards, refuse_exposure
from lorabot.bot.web.links import Links, url_of
from lorabot.bot.web.pages import Pages, revalidate_static
from lorabot.bot.web.sending import Sending
from lorabot.bot.web.session import Sessions
from lorabot.bot.web.socket import Sockets
from lorabot.bot.web.uploads import Uploads
from lorabot.queue import Queue

_SHUTDOWN_S = 3.0
_log = logging.getLogger(__name__)

Started = Callable[[str], None]
"""Told the address that the web chat answers at."""


class WebServer:
    """The web chat's HTTP server. Raises ``Exposed`` where others could come in without a password."""

    def __init__(
        self,
        queue: Queue,
        commands: Commands,
        intake: Intake,
        config: WebConfig,
        intake_config: IntakeConfig,
        signer: Signer,
        links: Links,
        language: str,
        started: Started,
    ) -> None:
        refuse_exposure(config)
        self._config = config
        self._started = started
        self._language = language
        conversations = Conversations(queue, config.sockets_per_conversation)
        sessions = Sessions(signer, config)
        self._chat = Chat(conversations, commands, config.everybody_is_operator)
        self._uploads = Uploads(queue, intake, sessions, conversations, commands.presets, language)
        self._sockets = Sockets(sessions, conversations, self._chat, links, config, intake_config, language)
        self._pages = Pages(sessions, config, language)
        self._links = links
        self._sending = Sending(queue, intake, intake_config, signer)
        self.front_end = WebFrontEnd(conversations, config.update_interval_s, self.serve)

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, then close all sockets. Raises ``CannotListen`` where the port is taken."""
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            host, port = self._config.host, self._config.port
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                code = "web-port-taken" if error.errno == errno.EADDRINUSE else "web-no-address"
                raise CannotListen(code, host=host, port=str(port)) from error
            url = url_of(host, runner.addresses[0][1])
            self._links.listens_at(url)
            self._uploads.resume()
            _log.info("the web chat answers at %s", url)
            self._started(url)
            await stop.wait()
        finally:
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=guards(self._config, self._language))
        app.add_routes(self._pages.routes())
        app.add_routes(self._sending.routes())
        app.add_routes(
            [
                web.get("/ws", self._sockets.answer),
                web.post("/api/uploads", self._uploads.answer),
                web.get("/files/{token}", self._links.answer),
            ]
        )
        app.on_response_prepare.append(revalidate_static)
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self._shut)
        return app

    async def _shut(self, _: web.Application) -> None:
        await self._sockets.close()
        await self._chat.close()
        await self._uploads.close()
