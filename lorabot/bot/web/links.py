"""Signed, expiring links to files in the blobs."""

import math
import time
from urllib.parse import quote

from aiohttp import web

from lorabot.bot.reply import File, Picture
from lorabot.bot.signing import BadToken, ExpiredToken, Signer
from lorabot.bot.web.guard import HttpError
from lorabot.queue import Queue
from lorabot.queue.errors import BlobMissing

_PURPOSE = "file link"
_INLINE = frozenset({"image/png", "image/jpeg", "image/webp"})
# Nothing in a file may run, even opened on its own.
_FILE_POLICY = "default-src 'none'; sandbox"


class Links:
    """Makes links to files, and answers them. Who has the link may have the file: it names nothing else."""

    def __init__(self, queue: Queue, signer: Signer, hours: float) -> None:
        self._queue = queue
        self._signer = signer
        self._seconds = hours * 3600

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
