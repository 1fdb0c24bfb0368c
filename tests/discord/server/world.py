"""Who and what there is: people, guilds, channels, messages, and how Discord writes them down."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.discord.server.permissions import ALL, EVERYONE, IN_A_DM, Permission
from tests.discord.server.wire import Json, as_iso, time_of

MIB = 1024 * 1024
TEXT, DM, PUBLIC_THREAD = 0, 1, 11
EPHEMERAL, LOADING, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 15
_UPLOAD_LIMIT = {0: 10 * MIB, 1: 10 * MIB, 2: 50 * MIB, 3: 100 * MIB}
REQUEST_LIMIT = 25 * MIB


@dataclass(eq=False)
class User:
    """An account. ``takes_dms``: whether the bot may write to it."""

    id: int
    name: str
    bot: bool = False
    locale: str = "en-US"
    takes_dms: bool = True

    def as_json(self) -> Json:
        return {
            "id": str(self.id),
            "username": self.name,
            "discriminator": "0",
            "global_name": self.name.capitalize(),
            "avatar": None,
            "bot": self.bot,
            "public_flags": 0,
        }


@dataclass(eq=False)
class Role:
    id: int
    name: str
    permissions: Permission
    position: int = 1

    def as_json(self) -> Json:
        return {
            "id": str(self.id),
            "name": self.name,
            "permissions": str(int(self.permissions)),
            "position": self.position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }


@dataclass(eq=False)
class Guild:
    """A server of Discord's. ``tier`` is its boost level, 0 to 3."""

    id: int
    name: str
    owner: User
    tier: int = 0
    locale: str = "en-US"
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, set[int]] = field(default_factory=dict)
    channels: dict[int, "Channel"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.roles[self.id] = Role(self.id, "@everyone", EVERYONE, 0)
        self.members[self.owner.id] = set()

    @property
    def upload_limit(self) -> int:
        return _UPLOAD_LIMIT[self.tier]

    def member_json(self, user: User) -> Json:
        return {
            "user": user.as_json(),
            "roles": [str(role) for role in sorted(self.members[user.id])],
            "joined_at": as_iso(time_of(self.id)),
            "deaf": False,
            "mute": False,
            "flags": 0,
            "nick": None,
            "avatar": None,
            "pending": False,
            "communication_disabled_until": None,
        }

    def as_json(self, me: User) -> Json:
        return {
            "id": str(self.id),
            "name": self.name,
            "owner_id": str(self.owner.id),
            "icon": None,
            "premium_tier": self.tier,
            "preferred_locale": self.locale,
            "member_count": len(self.members),
            "roles": [role.as_json() for role in self.roles.values()],
            "channels": [channel.as_json() for channel in self.channels.values() if channel.type == TEXT],
            "threads": [channel.as_json() for channel in self.channels.values() if channel.type == PUBLIC_THREAD],
            "members": [self.member_json(me)],
            "emojis": [],
            "stickers": [],
            "features": [],
            "unavailable": False,
            "large": False,
            "joined_at": as_iso(time_of(self.id)),
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw_level": 0,
            "system_channel_flags": 0,
            "afk_timeout": 300,
        }


@dataclass(eq=False)
class Channel:
    """A text channel, a thread in one (``parent``), or the direct messages with ``recipient``.

    ``archived``: a thread in which nothing was written for long. A message opens it again; an edit is refused.
    """

    id: int
    name: str
    type: int = TEXT
    guild: Guild | None = None
    recipient: User | None = None
    parent: "Channel | None" = None
    archived: bool = False
    overwrites: dict[int, tuple[Permission, Permission]] = field(default_factory=dict)
    messages: list["Message"] = field(default_factory=list)

    def as_json(self) -> Json:
        shown: Json = {"id": str(self.id), "type": self.type, "last_message_id": None, "flags": 0}
        if self.recipient is not None:
            return shown | {"recipients": [self.recipient.as_json()]}
        assert self.guild is not None
        shown |= {
            "name": self.name,
            "guild_id": str(self.guild.id),
            "position": 0,
            "permission_overwrites": [
                {
                    "id": str(who),
                    "type": 0 if who in self.guild.roles else 1,
                    "allow": str(int(yes)),
                    "deny": str(int(no)),
                }
                for who, (yes, no) in self.overwrites.items()
            ],
            "nsfw": False,
            "topic": None,
            "rate_limit_per_user": 0,
            "parent_id": str(self.parent.id) if self.parent else None,
        }
        if self.type == PUBLIC_THREAD:
            shown |= {
                "owner_id": str(self.guild.owner.id),
                "message_count": 0,
                "member_count": 1,
                "total_message_sent": 0,
                "thread_metadata": {
                    "archived": self.archived,
                    "auto_archive_duration": 1440,
                    "archive_timestamp": as_iso(time_of(self.id)),
                    "locked": False,
                },
            }
        return shown

    def permissions_of(self, user: User) -> Permission:
        """What ``user`` may do here, as Discord adds it up."""
        if self.guild is None:
            return IN_A_DM
        if user.id not in self.guild.members:
            return Permission(0)
        if user is self.guild.owner:
            return ALL
        roles = [self.guild.id, *sorted(self.guild.members[user.id])]
        base = Permission(0)
        for role in roles:
            base |= self.guild.roles[role].permissions
        if base & Permission.ADMINISTRATOR:
            return ALL
        overwrites = self.parent.overwrites if self.parent else self.overwrites
        for who in ([self.guild.id], roles[1:], [user.id]):
            allow = deny = Permission(0)
            for one in who:
                yes, no = overwrites.get(one, (Permission(0), Permission(0)))
                allow, deny = allow | yes, deny | no
            base = base & ~deny | allow
        return base if base & Permission.VIEW_CHANNEL else Permission(0)

    def forbid(self, who: User | Role, denied: Permission) -> None:
        """Take a permission away here."""
        self.overwrites[who.id] = (Permission(0), denied)


@dataclass(eq=False)
class StoredFile:
    """A file on the CDN. ``cut_at``: the download breaks off after so many bytes."""

    id: int
    channel: int
    filename: str
    data: bytes
    content_type: str
    description: str | None = None
    cut_at: int | None = None
    stale: bool = False
    sides: tuple[int, int] | None = None

    def as_json(self, sign: Callable[["StoredFile"], str]) -> Json:
        url = sign(self)
        shown: Json = {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.data),
            "url": url,
            "proxy_url": url,
            "content_type": self.content_type,
        }
        if self.description is not None:
            shown["description"] = self.description
        if self.sides is not None:
            shown["width"], shown["height"] = self.sides
        return shown


@dataclass(eq=False)
class Message:
    """A message. ``seen_by``: the only person who sees it (ephemeral). ``pinged``: whom it notified."""

    id: int
    channel: Channel
    author: User
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    files: list[StoredFile] = field(default_factory=list)
    flags: int = 0
    edited: float | None = None
    seen_by: User | None = None
    invoked: Json | None = None
    nonce: str | None = None
    pinged: set[int] = field(default_factory=set)
    edits: list[float] = field(default_factory=list)
    forwarded: "Message | None" = None
    deleted: bool = False

    @property
    def loading(self) -> bool:
        """'lorabot is thinking ...'"""
        return bool(self.flags & LOADING)

    @property
    def text(self) -> str:
        """All words of the message: content, or its text displays, or its embeds."""
        shown = [self.content, *(part["content"] for part in walk(self.components) if part["type"] == 10)]
        for embed in self.embeds:
            shown += [embed.get("title", ""), embed.get("description", "")]
            shown += [f"{one['name']}: {one['value']}" for one in embed.get("fields", ())]
        return "\n".join(part for part in shown if part)

    @property
    def buttons(self) -> list[Json]:
        return [part for part in walk(self.components) if part["type"] == 2]

    @property
    def labels(self) -> list[str]:
        return [str(button.get("label", "")) for button in self.buttons]

    def button(self, label: str) -> Json:
        found = [button for button in self.buttons if button.get("label") == label]
        assert found, f"no button {label!r}; there are {self.labels} under {self.text!r}"
        return found[0]

    def file(self, suffix: str) -> StoredFile:
        found = [file for file in self.files if file.filename.endswith(suffix)]
        assert found, f"no file {suffix!r} in {[file.filename for file in self.files]}"
        return found[0]


def walk(components: list[Json]) -> Iterator[Json]:
    """All components, however deep."""
    for component in components:
        yield component
        yield from walk(component.get("components", []))
        for inner in ("accessory", "component"):
            if inner in component:
                yield from walk([component[inner]])
