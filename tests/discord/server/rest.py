"""REST v10 as far as a bot like ours needs it; what is not here is a violation, not a silence."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import BodyPartReader, web

from tests.discord.server.command_rules import CreateLimit, check_commands
from tests.discord.server.interactions import Interactions
from tests.discord.server.messages import Messages, Sent
from tests.discord.server.permissions import Permission
from tests.discord.server.rate_limits import RateLimits
from tests.discord.server.wire import (
    CLOSED_DM,
    MISSING_ACCESS,
    UNAUTHORISED,
    UNKNOWN_CHANNEL,
    UNKNOWN_GUILD,
    UNKNOWN_MESSAGE,
    UNKNOWN_USER,
    Json,
    Refused,
    Snowflakes,
    malformed,
)
from tests.discord.server.world import Channel, Guild, Message, User

Handler = Callable[[web.Request, Sent], Awaitable[object]]
_NO_LIMIT = re.compile(r"/interactions/.*")


@dataclass(slots=True)
class Trouble:
    """Refuse requests that look so, ``times`` times: the platform is in a mood, nobody broke a rule.

    Without ``error`` the request is carried out, and the connection breaks before the answer.
    """

    method: str
    path: re.Pattern[str]
    error: Refused | None
    times: int


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came, and how it was answered."""

    method: str
    path: str
    status: int
    code: int


class Rest:
    """The routes, and what holds for all of them: token, rate limits, errors."""

    def __init__(
        self,
        *,
        token: str,
        me: User,
        guilds: dict[int, Guild],
        channels: dict[int, Channel],
        users: dict[int, User],
        messages: Messages,
        interactions: Interactions,
        ids: Snowflakes,
        creates: CreateLimit,
        tell: Callable[[], Awaitable[None]],
        violate: Callable[[str, int], None],
    ) -> None:
        self._token = token
        self._me = me
        self._guilds = guilds
        self._channels = channels
        self._users = users
        self._messages = messages
        self._interactions = interactions
        self._ids = ids
        self._creates = creates
        self._tell = tell
        self._violate = violate
        self.limits = RateLimits()
        self.commands: dict[str, Json] = {}
        self.syncs = 0
        self.troubles: list[Trouble] = []
        self.requests: list[Request] = []

    def routes(self) -> list[web.RouteDef]:
        api = "/api/v10"
        table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/users/@me", self._get_me),
            ("GET", "/oauth2/applications/@me", self._get_application),
            ("GET", "/users/{user}", self._get_user),
            ("POST", "/users/@me/channels", self._open_dm),
            ("GET", "/channels/{channel}", self._get_channel),
            ("GET", "/guilds/{guild}", self._get_guild),
            ("POST", "/channels/{channel}/messages", self._post),
            ("GET", "/channels/{channel}/messages/{message}", self._get_message),
            ("PATCH", "/channels/{channel}/messages/{message}", self._patch),
            ("DELETE", "/channels/{channel}/messages/{message}", self._delete),
            ("GET", "/applications/{app}/commands", self._get_commands),
            ("PUT", "/applications/{app}/commands", self._put_commands),
            ("POST", "/interactions/{id}/{token}/callback", self._callback),
            ("POST", "/webhooks/{app}/{token}", self._follow_up),
            ("GET", "/webhooks/{app}/{token}/messages/{message}", self._get_response),
            ("PATCH", "/webhooks/{app}/{token}/messages/{message}", self._patch_response),
            ("DELETE", "/webhooks/{app}/{token}/messages/{message}", self._delete_response),
        )
        known = [web.route(method, api + path, self._guarded(handler)) for method, path, handler in table]
        return [*known, web.route("*", api + "/{rest:.*}", self._guarded(self._unknown))]

    def _guarded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            path = request.path.removeprefix("/api/v10")
            headers = {"Via": "1.1 loopback"}
            try:
                lost = self._trouble(request.method, path)
                if not path.startswith(("/interactions/", "/webhooks/")):
                    if request.headers.get("Authorization") != f"Bot {self._token}":
                        raise UNAUTHORISED
                    self._heed_global()
                bucket = None if _NO_LIMIT.match(path) else self.limits.of(request.method, path)
                if bucket is not None:
                    wait = bucket.take()
                    headers |= bucket.headers()
                    if wait is not None:
                        raise Refused(429, 0, "You are being rate limited.", retry_after=wait)
                result = await handler(request, await read(request))
                if lost:
                    assert request.transport is not None
                    request.transport.close()
            except Refused as error:
                self.requests.append(Request(request.method, path, error.status, error.code))
                if not any(error is trouble.error for trouble in self.troubles):
                    self._violate(f"{request.method} {path}: {error}", error.code or error.status)
                if error.retry_after is not None:
                    headers["Retry-After"] = f"{error.retry_after:.3f}"
                response = json_response(error.as_json(), error.status, headers)
            else:
                self.requests.append(Request(request.method, path, 200, 0))
                status = 204 if result is None else 200
                response = json_response(result, status, headers)
            await self._tell()
            return response

        return answer

    def _trouble(self, method: str, path: str) -> bool:
        """Refuse the request where a test wants it; says whether the answer shall be lost."""
        for trouble in self.troubles:
            if trouble.times > 0 and trouble.method == method and trouble.path.fullmatch(path):
                trouble.times -= 1
                if trouble.error is not None:
                    raise trouble.error
                return True
        return False

    def _heed_global(self) -> None:
        wait = self.limits.everything.take()
        if wait is not None:
            raise Refused(429, 0, "You are being rate limited.", retry_after=wait)

    async def _unknown(self, request: web.Request, _: Sent) -> object:
        raise Refused(404, 0, f"404: Not Found ({request.method} {request.path} is not part of this server)")

    async def _get_me(self, _request: web.Request, _: Sent) -> object:
        return self._me.as_json()

    async def _get_application(self, _request: web.Request, _: Sent) -> object:
        return {
            "id": str(self._me.id),
            "name": self._me.name,
            "description": "",
            "icon": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": self._me.as_json(),
            "verify_key": "0" * 64,
            "flags": 0,
            "team": None,
        }

    async def _get_user(self, request: web.Request, _: Sent) -> object:
        user = self._users.get(int(request.match_info["user"]))
        if user is None:
            raise UNKNOWN_USER
        return user.as_json()

    async def _open_dm(self, _request: web.Request, sent: Sent) -> object:
        user = self._users.get(int(sent.payload["recipient_id"]))
        if user is None:
            raise UNKNOWN_USER
        if not any(user.id in guild.members for guild in self._guilds.values()) and not any(
            channel.recipient is user for channel in self._channels.values()
        ):
            raise CLOSED_DM
        return self.dm_with(user).as_json()

    def dm_with(self, user: User) -> Channel:
        """The direct messages with ``user``; made where there are none yet."""
        for channel in self._channels.values():
            if channel.recipient is user:
                return channel
        made = Channel(self._ids.new(), user.name, 1, recipient=user)
        self._channels[made.id] = made
        return made

    async def _get_channel(self, request: web.Request, _: Sent) -> object:
        return self._channel(request).as_json()

    async def _get_guild(self, request: web.Request, _: Sent) -> object:
        guild = self._guilds.get(int(request.match_info["guild"]))
        if guild is None:
            raise UNKNOWN_GUILD
        return guild.as_json(self._me)

    async def _post(self, request: web.Request, sent: Sent) -> object:
        return self._messages.as_json(self._messages.post(self._channel(request), sent))

    async def _get_message(self, request: web.Request, _: Sent) -> object:
        if not self._channel(request).permissions_of(self._me) & Permission.READ_MESSAGE_HISTORY:
            raise MISSING_ACCESS
        return self._messages.as_json(self._message(request))

    async def _patch(self, request: web.Request, sent: Sent) -> object:
        return self._messages.as_json(self._messages.edit(self._message(request), sent))

    async def _delete(self, request: web.Request, _: Sent) -> object:
        message = self._message(request)
        if message.author is not self._me and not (
            message.channel.permissions_of(self._me) & Permission.MANAGE_MESSAGES
        ):
            raise MISSING_ACCESS
        self._messages.delete(message)
        return None

    async def _get_commands(self, request: web.Request, _: Sent) -> object:
        self._own(request)
        return list(self.commands.values())

    async def _put_commands(self, request: web.Request, sent: Sent) -> object:
        self._own(request)
        wanted: object = sent.payload["body"]
        if not isinstance(wanted, list):
            raise malformed("a list of commands is expected")
        check_commands(wanted)
        key = "{type}:{name}".format_map
        made = {key({"type": 1, **command}): command for command in wanted}
        self._creates.count("global", len(made.keys() - self.commands.keys()))
        self.commands = {
            name: {
                "type": 1,
                **command,
                "id": self.commands.get(name, {}).get("id") or str(self._ids.new()),
                "application_id": str(self._me.id),
                "version": str(self._ids.new()),
                "description": command.get("description") or "",
            }
            for name, command in made.items()
        }
        self.syncs += 1
        return list(self.commands.values())

    async def _callback(self, request: web.Request, sent: Sent) -> object:
        info = request.match_info
        answer = self._interactions.callback(int(info["id"]), info["token"], sent)
        return answer if request.query.get("with_response") else None

    async def _follow_up(self, request: web.Request, sent: Sent) -> object:
        self._own(request)
        return self._messages.as_json(self._interactions.follow_up(request.match_info["token"], sent))

    async def _get_response(self, request: web.Request, _: Sent) -> object:
        info = request.match_info
        return self._messages.as_json(self._interactions.find(info["token"], info["message"]))

    async def _patch_response(self, request: web.Request, sent: Sent) -> object:
        info = request.match_info
        return self._messages.as_json(self._interactions.edit(info["token"], info["message"], sent))

    async def _delete_response(self, request: web.Request, _: Sent) -> object:
        info = request.match_info
        self._messages.delete(self._interactions.find(info["token"], info["message"]))
        return None

    def _own(self, request: web.Request) -> None:
        if request.match_info["app"] != str(self._me.id):
            raise MISSING_ACCESS

    def _channel(self, request: web.Request) -> Channel:
        channel = self._channels.get(int(request.match_info["channel"]))
        if channel is None:
            raise UNKNOWN_CHANNEL
        if channel.guild is not None and not channel.permissions_of(self._me) & Permission.VIEW_CHANNEL:
            raise MISSING_ACCESS
        return channel

    def _message(self, request: web.Request) -> Message:
        message = self._messages.find(self._channel(request), int(request.match_info["message"]))
        if message.seen_by is not None:
            raise UNKNOWN_MESSAGE  # what only one person sees can be reached by the interaction's token alone
        return message


async def read(request: web.Request) -> Sent:
    """The body: JSON, or ``payload_json`` and ``files[N]``."""
    kind = request.content_type
    if kind == "application/json":
        body = await request.json()
        return Sent(body if isinstance(body, dict) else {"body": body}, {})
    if kind != "multipart/form-data":
        if request.can_read_body and await request.read():
            raise malformed(f"Content-Type: {kind}")
        return Sent({}, {})
    payload: Json = {}
    files: dict[str, tuple[str, bytes]] = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        name = part.name or ""
        if name == "payload_json":
            payload = json.loads(await part.read())
        elif match := re.fullmatch(r"files\[(\d+)\]", name):
            files[match[1]] = (part.filename or "file", bytes(await part.read()))
        else:
            raise malformed(f"an unknown part {name!r}")
    return Sent(payload, files)


def json_response(body: object, status: int, headers: dict[str, str]) -> web.Response:
    """The header says exactly ``application/json``: discord.py reads nothing else as JSON."""
    if status == 204:
        return web.Response(status=204, headers=headers)
    headers = {**headers, "Content-Type": "application/json"}
    return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)
