"""Discord on a loopback port: what a bot speaks to, what a test builds and does, and what was broken of the rules."""

import asyncio
import re
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import reduce
from itertools import pairwise
from operator import or_

from aiohttp import web

from tests.discord.server.cdn import Cdn
from tests.discord.server.command_rules import CreateLimit
from tests.discord.server.gateway import Gateway
from tests.discord.server.interactions import ACKNOWLEDGE_S, AUTOCOMPLETE, Interaction, Interactions, Watch
from tests.discord.server.messages import Edit, Messages
from tests.discord.server.permissions import BOT, Permission
from tests.discord.server.rest import Rest, Trouble
from tests.discord.server.wire import Clock, Json, Refused, Snowflakes
from tests.discord.server.world import PUBLIC_THREAD, Channel, Guild, Message, Role, User

_LEAST_PAUSE_S = 4.8  # five seconds between two edits, as they come in over a network


class DiscordServer:
    """One Discord with one bot. ``violations``: what it would have refused, or held against the bot."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ids = Snowflakes(self.clock)
        self.token = f"{secrets.token_urlsafe(18)}.{secrets.token_urlsafe(4)}.{secrets.token_urlsafe(28)}"
        self.me = User(self.ids.new(), "lorabot", bot=True)
        self.users: dict[int, User] = {self.me.id: self.me}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.watch = Watch()
        self.cdn = Cdn(self.clock)
        self.messages = Messages(self.clock, self.ids, self.cdn, self.me)
        self.interactions = Interactions(self.clock, self.messages, self.me)
        self.gateway = Gateway(
            lambda token: token == self.token,
            self._ready,
            lambda: [guild.as_json(self.me) for guild in self.guilds.values()],
            lambda what: self._violate(what, 0),
        )
        self.rest = Rest(
            token=self.token,
            me=self.me,
            guilds=self.guilds,
            channels=self.channels,
            users=self.users,
            messages=self.messages,
            interactions=self.interactions,
            ids=self.ids,
            creates=CreateLimit(self.clock),
            tell=self.watch.tell,
            violate=self._violate,
        )
        self.violations: list[str] = []
        self._expected: list[tuple[int, set[int]]] = [(0, set())]
        self._may_be_late = False
        self.patience_s = 20.0
        self.port = 0

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v10"

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/gateway"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["DiscordServer"]:
        """Serve until the block ends."""
        app = web.Application(client_max_size=200 * 1024 * 1024)
        app.add_routes(
            [
                web.get("/gateway", self.gateway.answer),
                web.get("/gateway/", self.gateway.answer),
                web.get("/attachments/{channel}/{id}/{name}", self.cdn.answer),
                *self.rest.routes(),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            self.port = int(runner.addresses[0][1])
            self.cdn.base = f"http://127.0.0.1:{self.port}"
            yield self
        finally:
            await self.gateway.close()
            await runner.cleanup()

    def guild(self, name: str = "Painters", tier: int = 0, locale: str = "en-US") -> Guild:
        """A guild that the bot is in, with the permissions that our set-up page names."""
        owner = self.user(f"owner of {name}")
        guild = Guild(self.ids.new(), name, owner, tier, locale)
        role = Role(self.ids.new(), "lorabot", BOT)
        guild.roles[role.id] = role
        guild.members[self.me.id] = {role.id}
        self.guilds[guild.id] = guild
        return guild

    def strange_guild(self, name: str = "Sculptors") -> Guild:
        """A guild that has the app's commands, and not its bot."""
        return Guild(self.ids.new(), name, self.user(f"owner of {name}"))

    def channel(self, guild: Guild, name: str = "lora", parent: Channel | None = None) -> Channel:
        """A text channel; a thread where ``parent`` is given."""
        made = Channel(self.ids.new(), name, PUBLIC_THREAD if parent else 0, guild, parent=parent)
        guild.channels[made.id] = made
        self.channels[made.id] = made
        return made

    def role(self, guild: Guild, name: str, *permissions: Permission) -> Role:
        made = Role(self.ids.new(), name, reduce(or_, permissions, Permission(0)))
        guild.roles[made.id] = made
        return made

    def user(self, name: str, locale: str = "en-US", guild: Guild | None = None, *roles: Role) -> User:
        """A person; a member of ``guild`` with ``roles``."""
        made = User(self.ids.new(), name, locale=locale)
        self.users[made.id] = made
        if guild is not None:
            guild.members[made.id] = {role.id for role in roles}
        return made

    async def tell(self, guild: Guild) -> None:
        """Tell a connected bot of a guild that is new or has changed."""
        if self.gateway.session is not None:
            await self.gateway.dispatch("GUILD_CREATE", guild.as_json(self.me))

    def begin_anew(self) -> None:
        """Another test: what the last one provoked is forgotten."""
        self.violations.clear()
        self.rest.troubles.clear()
        self.rest.requests.clear()
        self.messages.edits.clear()
        self.interactions.all.clear()
        self._expected.append((self.ids.new(), set()))
        self._may_be_late = False
        self.messages.upload_limit = None

    async def delete_channel(self, channel: Channel) -> None:
        """Somebody deletes the channel."""
        assert channel.guild is not None
        del channel.guild.channels[channel.id], self.channels[channel.id]
        await self.gateway.dispatch("CHANNEL_DELETE", channel.as_json())

    def expect(self, *codes: int) -> None:
        """This test provokes these refusals, of what it made itself; they are no violations, however late they come."""
        self._expected[-1][1].update(codes)

    def expect_late(self) -> None:
        """This test lets the bot miss interactions."""
        self._may_be_late = True

    def refuse(self, method: str, path: str, error: Refused, times: int = 1) -> None:
        """Refuse the next requests to ``path`` (a pattern, without ``/api/v10``)."""
        self.rest.troubles.append(Trouble(method, re.compile(path), error, times))

    def lose_answers(self, method: str, path: str, times: int = 1) -> None:
        """Carry out the next requests to ``path``, and cut the connection before they are answered."""
        self.rest.troubles.append(Trouble(method, re.compile(path), None, times))

    async def until(self, holds: Callable[[], object], timeout_s: float | None = None) -> None:
        """Wait until what was sent makes ``holds`` true."""
        condition = self.watch.condition
        try:
            async with asyncio.timeout(timeout_s or self.patience_s), condition:
                await condition.wait_for(lambda: bool(holds()))
        except TimeoutError:
            raise AssertionError(f"never so; {self.transcript()}") from None

    def transcript(self) -> str:
        """What stands in all channels, for a failing test."""
        lines = []
        for channel in self.channels.values():
            for message in channel.messages:
                seen = f" (only {message.seen_by.name})" if message.seen_by else ""
                files = [file.filename for file in message.files]
                lines.append(f"#{channel.name}{seen} {message.author.name}: {message.text} {message.labels} {files}")
        return "\n".join([*lines, *self.violations])

    def public(self, channel: Channel) -> list[Message]:
        """What everybody sees of the bot in a channel."""
        return [one for one in channel.messages if one.author is self.me and one.seen_by is None and not one.loading]

    def missed(self) -> list[Interaction]:
        """Interactions that were not acknowledged in time."""
        now = self.clock.now()
        return [
            one
            for one in self.interactions.all.values()
            if one.answer is None and one.kind != AUTOCOMPLETE and now - one.begun > ACKNOWLEDGE_S
        ]

    def judge(self) -> None:
        """Fail on anything Discord would have refused and the test did not ask for."""
        late = [] if self._may_be_late else [f"not acknowledged: {one.invoked}" for one in self.missed()]
        found = self.violations + late + self.hasty()
        assert not found, "\n".join(found)

    def hasty(self) -> list[str]:
        """Messages that one run of the bot changed again before the least pause was over, and not for the last time."""
        by_message: defaultdict[int, list[Edit]] = defaultdict(list)
        for edit in self.messages.edits:
            by_message[edit.message.id].append(edit)
        return [
            f"edited after {after.at - before.at:.1f} s: {after.message.text!r}"
            for edits in by_message.values()
            for before, after in pairwise(edits)
            if after.goes_on
            and after.at - before.at < _LEAST_PAUSE_S
            and not any(before.at < begun < after.at for begun in self.gateway.begun)
        ]

    def _violate(self, what: str, code: int) -> None:
        if code not in self._expected_of(what):
            self.violations.append(what)

    def _expected_of(self, what: str) -> set[int]:
        """The codes that the test expects which made what is named: a bot may still be busy with an earlier one."""
        tests = self._expected[1:] or self._expected
        numbers = [int(number) for number in re.findall(r"\d{17,}", what)]
        named = min((number for number in numbers if number >= tests[0][0]), default=None)
        return next((codes for since, codes in reversed(tests) if named is None or since <= named), set())

    def _ready(self) -> Json:
        return {
            "v": 10,
            "user": self.me.as_json() | {"verified": True, "mfa_enabled": False, "email": None, "flags": 0},
            "guilds": [{"id": str(guild), "unavailable": True} for guild in self.guilds],
            "resume_gateway_url": self.gateway_url,
            "application": {"id": str(self.me.id), "flags": 0},
            "private_channels": [],
        }
