"""One person's visit to the web chat, over its own HTTP and WebSocket: send photos, ask for a LoRA, take the files."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from lorabot.locale import UserError

FILES = ("loss.png", "samples.png", "report.json", "report.md")
"""What a visit brings home, beside the LoRA."""

_RECONNECT_S = 0.5
_CHUNK = 1 << 16
Line = Mapping[str, Any]
"""A line of the conversation, as the page gets it (lorabot/bot/web/wire.py)."""


class VisitFailed(UserError):
    """The visit did not end with a LoRA; the message says why."""


class Visitor:
    """A browser without a screen: a cookie, an upload, a socket. To be used as an async context manager.

    ``patience_s`` is how long after the answer to its command a job's card may take to appear, in seconds.
    """

    def __init__(self, url: str, language: str, patience_s: float = 30.0) -> None:
        self._url = url.rstrip("/")
        self._language = language
        self._patience_s = patience_s
        # Unlike a browser's, this jar takes cookies of a bare address only when told so.
        self._session = aiohttp.ClientSession(
            headers={"Origin": self._url, "Accept-Language": language}, cookie_jar=aiohttp.CookieJar(unsafe=True)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def arrive(self) -> None:
        """Open the page; wait for it while the server is still starting."""
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with self._session.get(f"{self._url}/") as answer:
                    answer.raise_for_status()
                    return
            await asyncio.sleep(_RECONNECT_S)

    async def upload(self, path: Path) -> None:
        """Send a file. Raises ``VisitFailed`` with the server's own sentence when it is refused."""
        with await asyncio.to_thread(path.open, "rb") as file:
            request = self._session.post(f"{self._url}/api/uploads", params={"name": path.name}, data=file)
            async with request as answer:
                body = await answer.json()
        if answer.status != 200:
            raise VisitFailed("demo-refused", reason=str(body.get("error", answer.status)))

    async def train(self, command: str, show: Callable[[Line], None]) -> Line:
        """Say ``command`` and watch until its result, which is returned; ``show`` gets every new or changed line.

        Goes on over a restart of the server. Raises ``VisitFailed`` when the command is refused or the job fails.
        """
        key = str(uuid.uuid4())
        refusal = ""
        limit = asyncio.timeout(None)
        try:
            async with limit, aclosing(self._messages()) as messages:
                async for socket, message in messages:
                    if message["type"] == "welcome":
                        # The same key is the same line, however often it is sent.
                        await socket.send_json({"type": "say", "text": command, "key": key})
                    for line in _lines(message):
                        show(line)
                        if line["kind"] == "result":
                            return _result(line)
                        if line["kind"] == "card":
                            limit.reschedule(None)
                        elif line["key"] == f"re:{key}":
                            # A yes and a no look alike, but after a yes there soon is a card.
                            refusal = str(line["text"])
                            limit.reschedule(asyncio.get_running_loop().time() + self._patience_s)
        except TimeoutError:
            raise VisitFailed("demo-refused", reason=refusal) from None
        raise AssertionError("the messages never end")

    async def download(self, line: Line, folder: Path) -> list[Path]:
        """Save the files and pictures of a result. Raises ``VisitFailed`` when one that should be there is not."""
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        saved = []
        for item in (*line["files"], *line["images"]):
            async with self._session.get(f"{self._url}{item['url']}") as answer:
                answer.raise_for_status()
                disposition = answer.content_disposition
                name = (disposition.filename if disposition else None) or str(item["name"])
                path = folder / Path(name).name
                with await asyncio.to_thread(path.open, "wb") as file:
                    async for chunk in answer.content.iter_chunked(_CHUNK):
                        file.write(chunk)
            saved.append(path)
        names = {path.name for path in saved}
        missing = [name for name in FILES if name not in names]
        if not any(path.suffix == ".safetensors" for path in saved):
            missing.append("*.safetensors")
        if missing:
            raise VisitFailed("demo-files-missing", files=", ".join(missing))
        return saved

    async def _messages(self) -> AsyncGenerator[tuple[aiohttp.ClientWebSocketResponse, Mapping[str, Any]], None]:
        """What the server says, over as many connections as it takes; each begins with a welcome."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                async with self._session.ws_connect(f"{self._url}/ws", heartbeat=20, max_msg_size=0) as socket:
                    await socket.send_json({"type": "hello", "since": 0, "language": self._language})
                    async for frame in socket:
                        if frame.type is aiohttp.WSMsgType.TEXT:
                            yield socket, frame.json()
            await asyncio.sleep(_RECONNECT_S)


def _lines(message: Mapping[str, Any]) -> list[Line]:
    if message["type"] == "welcome":
        return list(message["lines"])
    return [message["line"]] if "line" in message else []


def _result(line: Line) -> Line:
    if not line["files"]:
        raise VisitFailed("demo-job-failed", reason=str(line["text"]))
    return line
