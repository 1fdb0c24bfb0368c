"""The upload page: a signed link lets one person send files to one conversation, until they say that they are done."""

import secrets
from pathlib import Path

from aiohttp import web

from lorabot.bot.config import IntakeConfig
from lorabot.bot.intake.service import Intake
from lorabot.bot.signing import BadToken, ExpiredToken, Signer
from lorabot.bot.web.guard import HttpError
from lorabot.bot.web.links import UPLOAD_PURPOSE
from lorabot.bot.web.uploads import batch_of, receive
from lorabot.locale import negotiate, translator
from lorabot.queue import Queue
from lorabot.queue.model import UploadLink

_PAGE = Path(__file__).parent / "static" / "send.html"


class Sending:
    """Handlers of ``/send/TOKEN`` and what its page asks. The token is all that is needed: no cookie, no password."""

    def __init__(self, queue: Queue, intake: Intake, config: IntakeConfig, signer: Signer) -> None:
        self._queue = queue
        self._intake = intake
        self._signer = signer
        self._limits = {"file_bytes": config.max_file_bytes}

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/send/{token}", self.page),
            web.get("/api/send/{token}", self.about),
            web.post("/api/send/{token}", self.take),
            web.post("/api/send/{token}/done", self.done),
        ]

    async def page(self, request: web.Request) -> web.StreamResponse:
        """The page; it asks ``about`` by itself and says what is wrong with a link."""
        return web.FileResponse(_PAGE, headers={"Cache-Control": "no-cache"})

    async def about(self, request: web.Request) -> web.StreamResponse:
        """What the page has to know; of a link that is over, in the language of who asked for it."""
        link = await self._known(request)
        about: dict[str, object] = {"platform": link.address.platform, "language": link.language}
        if link.closed:
            sentence = translator(negotiate(request.query.get("lang") or link.language))("web-send-closed")
            return web.json_response({**about, "error": sentence}, status=410)
        return web.json_response({**about, "limits": self._limits})

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Take one file. What is found in it is told where the person asked for the link."""
        link = await self._link(request)
        upload = await receive(
            self._intake,
            request,
            owner=link.owner,
            address=link.address,
            language=link.language,
            batch=batch_of(request) or secrets.token_hex(8),
        )
        self._intake.begin(upload)
        return web.json_response({"upload": {"name": upload.name, "size": upload.size}})

    async def done(self, request: web.Request) -> web.StreamResponse:
        """Close the link. Files still on their way come in nevertheless: they were sent before."""
        link = await self._link(request)
        await self._queue.upload_links.close(link.id)
        return web.json_response({})

    async def _link(self, request: web.Request) -> UploadLink:
        """The link of the request, if it can be used. Raises ``HttpError``."""
        link = await self._known(request)
        if link.closed:
            raise HttpError(410, "web-send-closed")
        return link

    async def _known(self, request: web.Request) -> UploadLink:
        """The link of the request. Raises ``HttpError``: 404 for one that is not ours, 410 for one that is too old."""
        try:
            payload = self._signer.read(UPLOAD_PURPOSE, request.match_info["token"])
        except ExpiredToken as error:
            raise HttpError(410, "web-send-expired") from error
        except BadToken as error:
            raise HttpError(404, "web-link-unknown") from error
        link = await self._queue.upload_links.get(str(payload["i"]))
        if link is None:
            raise HttpError(410, "web-send-expired")
        return link
