"""The CDN: files behind signed links that expire."""

import hashlib
import hmac
from urllib.parse import quote

from aiohttp import web

from tests.discord.server.wire import Clock
from tests.discord.server.world import StoredFile

LINK_S = 24 * 3600
_SECRET = b"the loopback CDN"


class Cdn:
    """Signs links, and hands out what they name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._files: dict[int, StoredFile] = {}
        self.base = ""

    def keep(self, file: StoredFile) -> StoredFile:
        self._files[file.id] = file
        return file

    def sign(self, file: StoredFile) -> str:
        """A link that is good for a day from now; that of a stale file is over already."""
        expires = int(self._clock.now() + (-60 if file.stale else LINK_S))
        path = f"/attachments/{file.channel}/{file.id}/{quote(file.filename)}"
        return f"{self.base}{path}?ex={expires:x}&is={expires - LINK_S:x}&hm={_digest(file.id, expires)}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        file = self._files.get(int(request.match_info["id"]))
        try:
            expires = int(request.query.get("ex", "0"), 16)
        except ValueError:
            expires = 0
        genuine = file is not None and hmac.compare_digest(request.query.get("hm", ""), _digest(file.id, expires))
        if file is None or not genuine or expires < self._clock.now():
            return web.Response(status=404, text="This content is no longer available.")
        response = web.StreamResponse(
            headers={"Content-Type": file.content_type, "Content-Length": str(len(file.data))}
        )
        await response.prepare(request)
        if file.cut_at is not None:
            await response.write(file.data[: file.cut_at])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(file.data)
        await response.write_eof()
        return response


def _digest(file_id: int, expires: int) -> str:
    return hmac.new(_SECRET, f"{file_id}:{expires}".encode(), hashlib.sha256).hexdigest()
