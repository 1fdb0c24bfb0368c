"""The gateway: one WebSocket of a bot, its sessions, and what they missed."""

import asyncio
import json
import secrets
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from tests.discord.server.wire import Json

DISPATCH, RECONNECT, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 0, 7, 9, 10, 11
GUILDS_INTENT = 1 << 0
PRIVILEGED = {1 << 1: "members", 1 << 8: "presences", 1 << 15: "message content"}
_HEARTBEAT_MS = 41_250
_MOST_COMMANDS, _COMMANDS_S = 120, 60.0
_AUTHENTICATION_FAILED, _RATE_LIMITED, _DISALLOWED_INTENTS = 4004, 4008, 4014


@dataclass(eq=False)
class Session:
    """What a bot that identified is told, numbered, so that it can take up the thread again."""

    id: str
    intents: int
    seq: int = 0
    told: list[Json] = field(default_factory=list)
    socket: "Socket | None" = None


class Socket:
    """One connection; compressed as one stream where the bot asked for it."""

    def __init__(self, response: web.WebSocketResponse, transport: asyncio.Transport | None, compress: bool) -> None:
        self.response = response
        self.transport = transport
        self._packer = zlib.compressobj() if compress else None

    async def send(self, payload: Json) -> None:
        text = json.dumps(payload)
        if self._packer is None:
            await self.response.send_str(text)
        else:
            packed = self._packer.compress(text.encode()) + self._packer.flush(zlib.Z_SYNC_FLUSH)
            await self.response.send_bytes(packed)


class Gateway:
    """Answers ``/gateway``. ``ready`` and ``guilds`` say what a new session is told first.

    Discord has been seen to take its time with ``guilds``; without ``describes_guilds`` it does so for ever.
    """

    def __init__(
        self,
        is_token: Callable[[str], bool],
        ready: Callable[[], Json],
        guilds: Callable[[], list[Json]],
        violate: Callable[[str], None],
    ) -> None:
        self._is_token = is_token
        self._ready = ready
        self._guilds = guilds
        self._violate = violate
        self._sessions: dict[str, Session] = {}
        self._changed = asyncio.Condition()
        self.identified = 0
        self.begun: list[float] = []
        self.describes_guilds = True
        self.resumed = 0

    @property
    def session(self) -> Session | None:
        """The newest session, connected or not."""
        return next(reversed(self._sessions.values()), None)

    @property
    def connected(self) -> bool:
        return self.session is not None and self.session.socket is not None

    async def until_connected(self, timeout_s: float = 30) -> None:
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: self.connected)

    async def until_identified(self, times: int, timeout_s: float = 30) -> None:
        """Wait until bots have begun so many sessions."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: self.identified >= times and self.connected)

    async def dispatch(self, event: str, data: Json) -> None:
        """Tell the bot; if it is away, it is told when it resumes."""
        session = self.session
        assert session is not None, "no bot has ever identified"
        session.seq += 1
        payload = {"op": DISPATCH, "t": event, "s": session.seq, "d": data}
        session.told.append(payload)
        if session.socket is not None:
            await session.socket.send(payload)

    async def drop(self) -> None:
        """Cut the connection."""
        socket = self._connected_session()
        assert socket.transport is not None
        socket.transport.abort()
        await self.until_gone()

    async def ask_to_reconnect(self) -> None:
        """Opcode 7: connect again and resume."""
        await self._connected_session().send({"op": RECONNECT, "d": None})
        await self.until_gone()

    async def invalidate(self) -> None:
        """Opcode 9: the session is over, identify anew."""
        session = self.session
        assert session is not None
        socket = self._connected_session()
        del self._sessions[session.id]
        await socket.send({"op": INVALID_SESSION, "d": False})

    async def close(self) -> None:
        for session in self._sessions.values():
            if session.socket is not None:
                await session.socket.response.close(code=1001)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse(autoping=True, max_msg_size=4096)
        await response.prepare(request)
        socket = Socket(response, request.transport, request.query.get("compress") == "zlib-stream")
        if request.query.get("v") != "10" or request.query.get("encoding") != "json":
            self._violate(f"gateway: version 10 and JSON are spoken here, not {dict(request.query)}")
        await socket.send({"op": HELLO, "d": {"heartbeat_interval": _HEARTBEAT_MS}})
        session: Session | None = None
        received: deque[float] = deque()
        loop = asyncio.get_running_loop()
        try:
            async for message in response:
                if message.type is not WSMsgType.TEXT:
                    continue
                received.append(loop.time())
                while received[0] < loop.time() - _COMMANDS_S:
                    received.popleft()
                if len(received) > _MOST_COMMANDS:
                    self._violate("gateway: over 120 messages a minute")
                    await response.close(code=_RATE_LIMITED)
                    break
                payload = json.loads(message.data)
                match payload["op"]:
                    case 1:  # heartbeat
                        await socket.send({"op": HEARTBEAT_ACK})
                    case 2:  # identify
                        session = await self._identify(socket, payload["d"])
                    case 6:  # resume
                        session = await self._resume(socket, payload["d"])
        except ConnectionError:
            pass
        finally:
            if session is not None and session.socket is socket:
                session.socket = None
            await self._tell()
        return response

    async def _identify(self, socket: Socket, data: Json) -> Session | None:
        if not self._is_token(data.get("token", "")):
            await socket.response.close(code=_AUTHENTICATION_FAILED)
            return None
        wanted = [name for bit, name in PRIVILEGED.items() if data["intents"] & bit]
        if wanted:
            self._violate(f"gateway: privileged intents that are switched off: {wanted}")
            await socket.response.close(code=_DISALLOWED_INTENTS)
            return None
        session = Session(secrets.token_hex(8), data["intents"], socket=socket)
        self._sessions[session.id] = session
        self.identified += 1
        await self.dispatch("READY", self._ready() | {"session_id": session.id})
        self.begun.append(time.monotonic())
        if session.intents & GUILDS_INTENT and self.describes_guilds:
            for guild in self._guilds():
                await self.dispatch("GUILD_CREATE", guild)
        await self._tell()
        return session

    async def _resume(self, socket: Socket, data: Json) -> Session | None:
        session = self._sessions.get(data.get("session_id", ""))
        if not self._is_token(data.get("token", "")) or session is None:
            await socket.send({"op": INVALID_SESSION, "d": False})
            return None
        session.socket = socket
        self.resumed += 1
        for payload in [told for told in session.told if told["s"] > data["seq"]]:
            await socket.send(payload)
        session.seq += 1
        await socket.send({"op": DISPATCH, "t": "RESUMED", "s": session.seq, "d": {}})
        await self._tell()
        return session

    def _connected_session(self) -> Socket:
        assert self.session is not None
        assert self.session.socket is not None, "the bot is not connected"
        return self.session.socket

    async def until_gone(self, timeout_s: float = 10) -> None:
        """Wait until the bot is not connected."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: not self.connected)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
