"""Signed, expiring links to files in the blobs."""

import math
import time
from urllib.parse import quote, urlsplit

from aiohttp import web

from lorabot.bot.config import WebConfig
from lorabot.bot.reply import File, Picture
from lorabot.bot.signing import BadToken, ExpiredToken, Signer
from lorabot.bot.web.guard import HttpError, is_loopback
from lorabot.queue import Queue
from lorabot.queue.errors import BlobMissing
from lorabot.queue.model import Address

UPLOAD_PURPOSE = "upload page"
UPLOAD_LIFE_S = 86400.0
_PURPOSE = "file link"
_INLINE = frozenset({"image/png", "image/jpeg", "image/webp"})
# Nothing in a file may run, even opened on its own.
_FILE_POLICY = "default-src 'none'; sandbox"


class Links:
    """Makes links to files, and answers them. Who has the link may have the file: it names nothing else."""

    def __init__(self, queue: Queue, signer: Signer, config: WebConfig) -> None:
        self._queue = queue
        self._signer = signer
        self._seconds = config.link_hours * 3600
        self._public = config.public_url
        self._here = url_of(config.host, config.port)

    def listens_at(self, url: str) -> None:
        """Where the web chat answers; that is part of links where people reach it by no other address."""
        self._here = url

    @property
    def base(self) -> str:
        """The address of the web chat as people reach it, without a slash at the end."""
        return (self._public or self._here).rstrip("/")

    @property
    def public(self) -> bool:
        """Is there an address that other machines can open?"""
        host = urlsplit(self._here).hostname
        return self._public is not None or (host is not None and not is_loopback(host))

    def url(self, file: Picture | File) -> str:
        """An absolute link that saves the file; see ``link``."""
        return f"{self.base}{self.link(file)}?download"

    async def upload_page(self, owner: str, address: Address, language: str) -> str:
        """An absolute link to a page on which ``owner`` can send files to ``address``; good for a day, or until they
        say there that they are done."""
        link = await self._queue.upload_links.open(owner, address, language)
        token = self._signer.sign(UPLOAD_PURPOSE, {"i": link.id}, time.time() + UPLOAD_LIFE_S)
        return f"{self.base}/send/{token}"

    def link(self, file: Picture | File) -> str:
        """A link that is good for the configured time, or a little longer: within a part of that time the same file
        has the same link, so that browsers need not load it again."""
        step = max(1.0, self._seconds / 8)
        expires = math.ceil((time.time() + self._seconds) / step) * step
        payload = {"k": file.key, "f": file.filename, "t": file.content_type}
        return f"/files/{self._signer.sign(_PURPOSE, payload, expires)}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Handler of ``GET /files/{token}``."""
        try:
            payload = self._signer.read(_PURPOSE, request.match_info["token"])
        except ExpiredToken as error:
            raise HttpError(410, "web-link-expired") from error
        except BadToken as error:
            raise HttpError(404, "web-link-unknown") from error
        key, filename, content_type = str(payload["k"]), str(payload["f"]), str(payload["t"])
        try:
            size = await self._queue.blobs.size(key)
        except BlobMissing as error:
            raise HttpError(404, "web-file-gone") from error
        shown = "inline" if content_type in _INLINE and "download" not in request.query else "attachment"
        response = web.StreamResponse(
            headers={
                "Content-Type": content_type,
                "Content-Length": str(size),
                "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(filename, safe='')}",
                "Content-Security-Policy": _FILE_POLICY,
                "Cache-Control": f"private, max-age={int(self._seconds)}, immutable",
            }
        )
        await response.prepare(request)
        if request.method != "HEAD":
            async for part in self._queue.blobs.stream(key):
                await response.write(part)
        await response.write_eof()
        return response


def url_of(host: str, port: int) -> str:
    """The address of a server that listens on ``host``, as one opens it on the same machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
