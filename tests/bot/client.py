"""A person without a browser: speaks to a web chat as the page does. The tests come in through it."""

import asyncio
import io
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from lorabot.bot.web.wire import ShownLine

_CHUNK = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)


class ChatError(Exception):
    """The web chat refused; the text is its own sentence."""


class ChatClient:
    """One open tab of one browser. ``lines`` is the conversation so far, by id."""

    def __init__(self, http: aiohttp.ClientSession, url: str, language: str) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._language = language
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._listening: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._closed = False
        self._completions: dict[int, asyncio.Future[list[dict[str, str]]]] = {}
        self.errors: list[str] = []
        self.conversation = ""
        self.lines: dict[int, ShownLine] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, language: str = "en", password: str | None = None) -> AsyncIterator["ChatClient"]:
        """Visit the web chat at ``url`` for the first time, and stay. Raises ``ChatError``."""
        jar = aiohttp.CookieJar(unsafe=True)  # a cookie of an address without a name
        headers = {"Accept-Language": language}
        async with aiohttp.ClientSession(cookie_jar=jar, headers=headers, timeout=_TIMEOUT) as http:
            client = cls(http, url, language)
            if password is not None:
                await client._enter(password)
            async with http.get(client._url + "/") as page:
                if page.status != 200 or page.url.path != "/":
                    raise ChatError(f"the page at {page.url.path} answered {page.status}")
            await client.connect()
            try:
                yield client
            finally:
                await client.disconnect()

    @property
    def http(self) -> aiohttp.ClientSession:
        """The browser's own session, cookies and all."""
        return self._http

    async def connect(self) -> None:
        """Open the socket and read the conversation so far."""
        self._socket = await self._http.ws_connect(self._url + "/ws", max_msg_size=0)
        self._closed = False
        await self._socket.send_json({"type": "hello", "since": 0, "language": self._language})
        welcome = await self._socket.receive()
        if welcome.type is not aiohttp.WSMsgType.TEXT:
            raise ChatError(f"the socket was closed: {self._socket.close_code}")
        await self._heed(json.loads(welcome.data))
        self._listening = asyncio.create_task(self._listen(self._socket))

    async def disconnect(self) -> None:
        """Close the socket; the conversation stays."""
        if self._socket is not None:
            await self._socket.close()
        if self._listening is not None:
            await self._listening

    async def say(self, text: str, key: str | None = None) -> str:
        """Type a line. Returns its key; ``answer`` waits for what it brings."""
        assert self._socket is not None, "connect first"
        key = key or secrets.token_hex(8)
        await self._socket.send_json({"type": "say", "text": text, "key": key})
        return key

    async def press(self, action: str, key: str | None = None) -> str:
        """Press a button. Returns its key, as ``say`` does."""
        assert self._socket is not None, "connect first"
        key = key or secrets.token_hex(8)
        await self._socket.send_json({"type": "press", "action": action, "key": key})
        return key

    async def answer(self, key: str, timeout_s: float = 30) -> ShownLine:
        """The answer to the line or button with ``key``."""
        return await self.until(lambda line: line.key == f"re:{key}", timeout_s)

    async def ask(self, text: str, timeout_s: float = 30) -> ShownLine:
        """Type a line and wait for the answer."""
        return await self.answer(await self.say(text), timeout_s)

    async def complete(self, text: str) -> list[dict[str, str]]:
        """What may follow ``text``."""
        assert self._socket is not None, "connect first"
        number = secrets.randbelow(2**31)
        self._completions[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"type": "complete", "text": text, "id": number})
        return await self._completions[number]

    async def upload(
        self, source: Path | bytes, name: str | None = None, batch: str | None = None, of: int = 1
    ) -> None:
        """Send a file. Returns when the server has it; what it found follows as a line. Raises ``ChatError``."""
        shown = name or (source.name if isinstance(source, Path) else "upload")
        params = {"name": shown, "of": str(of)} | ({"batch": batch} if batch else {})
        with await asyncio.to_thread(source.open, "rb") if isinstance(source, Path) else io.BytesIO(source) as file:
            async with self._http.post(self._url + "/api/uploads", params=params, data=file) as response:
                if response.status != 200:
                    raise ChatError(str((await response.json())["error"]))

    async def until(self, wanted: Callable[[ShownLine], bool], timeout_s: float = 30) -> ShownLine:
        """The first line for which ``wanted`` holds, now or as soon as there is one.

        Raises ``TimeoutError``, and ``ChatError`` when the socket closes.
        """
        async with asyncio.timeout(timeout_s), self._news:
            while True:
                for line in list(self.lines.values()):
                    if wanted(line):
                        return line
                if self._closed:
                    raise ChatError("the socket was closed")
                await self._news.wait()

    async def heard(self, words: str, timeout_s: float = 30) -> None:
        """Wait until an error was said beside the conversation that holds ``words``. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: any(words in error for error in self.errors))

    async def changes(self) -> AsyncIterator[ShownLine]:
        """Lines as they come and change, from now on, until the socket closes."""
        seen = {line.id: line.revision for line in self.lines.values()}
        while True:
            async with self._news:
                fresh = [line for line in self.lines.values() if seen.get(line.id) != line.revision]
                if not fresh:
                    if self._closed:
                        return
                    await self._news.wait()
            for line in fresh:
                seen[line.id] = line.revision
                yield line

    async def fetch(self, url: str) -> bytes:
        """A file of the conversation. Raises ``ChatError``."""
        async with self._http.get(self._url + url) as response:
            if response.status != 200:
                raise ChatError(str((await response.json())["error"]))
            return await response.read()

    async def save(self, url: str, path: Path) -> None:
        """A file of the conversation, written to ``path``. Raises ``ChatError``."""
        async with self._http.get(self._url + url) as response:
            if response.status != 200:
                raise ChatError(str((await response.json())["error"]))
            with await asyncio.to_thread(path.open, "wb") as file:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    await asyncio.to_thread(file.write, chunk)

    async def _enter(self, password: str) -> None:
        async with self._http.post(self._url + "/login", data={"password": password}) as response:
            if response.url.path != "/":
                raise ChatError("the password was not accepted")

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._heed(json.loads(message.data))
        async with self._news:
            self._closed = True
            self._news.notify_all()

    async def _heed(self, message: dict[str, Any]) -> None:
        async with self._news:
            match message["type"]:
                case "welcome":
                    self.conversation = message["conversation"]
                    self.lines = {}
                    for line in message["lines"]:
                        self._take(line)
                case "line" | "update":
                    self._take(message["line"])
                case "completions":
                    self._completions.pop(message["id"]).set_result(message["items"])
                case "error":
                    self.errors.append(message["text"])
            self._news.notify_all()

    def _take(self, data: dict[str, Any]) -> None:
        line = ShownLine.model_validate(data)
        self.lines[line.id] = line
