"""Where on Discord: addresses of channels, owners as users, references to messages."""

import base64
import struct
from dataclasses import dataclass, field
from typing import Self

import discord

from lorabot.bot.discord import limits
from lorabot.queue.model import Address

PLATFORM = "discord"
_ALONE = "@me"
_BOUND = "@"
_IDS = ">QQ"
BINDING = 24
"""Characters that ``bound`` puts before an action."""


@dataclass(frozen=True, slots=True)
class Place:
    """A channel; ``guild`` is None for direct messages."""

    guild: int | None
    channel: int

    @classmethod
    def of(cls, interaction: discord.Interaction[discord.Client]) -> Self | None:
        """Where an interaction took place; None where Discord does not say."""
        return None if interaction.channel_id is None else cls(interaction.guild_id, interaction.channel_id)

    @classmethod
    def parse(cls, address: Address) -> Self:
        """The place that ``address`` names. Raises ``ValueError`` on one that is not Discord's."""
        guild, _, channel = address.channel.partition("/")
        return cls(None if guild == _ALONE else int(guild), int(channel))

    @property
    def address(self) -> Address:
        return Address(PLATFORM, f"{self.guild or _ALONE}/{self.channel}")


@dataclass(frozen=True, slots=True)
class Ref:
    """A message of ours. ``digest``: of what it shows, where that is worth knowing after a restart."""

    channel: int
    message: int
    digest: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        channel, message, digest = (*text.split("/"), "")[:3]
        return cls(int(channel), int(message), digest)

    def __str__(self) -> str:
        return "/".join(part for part in (str(self.channel), str(self.message), self.digest) if part)


def bound(action: str, about: Address) -> str:
    """A custom_id that does ``action`` in the conversation ``about``, wherever the button stands.

    What people typed is never at the beginning of an action, so nobody can make up such an id.
    """
    place = Place.parse(about)
    ids = base64.urlsafe_b64encode(struct.pack(_IDS, place.guild or 0, place.channel)).decode().rstrip("=")
    return f"{_BOUND}{ids}:{action}"[: limits.CUSTOM_ID]


def unbound(custom_id: str) -> tuple[str, Address | None]:
    """The action of a custom_id, and the conversation that it is bound to; None: the one where it stands."""
    if not custom_id.startswith(_BOUND):
        return custom_id, None
    ids, _, action = custom_id.removeprefix(_BOUND).partition(":")
    guild, channel = struct.unpack(_IDS, base64.urlsafe_b64decode(f"{ids}=="))
    return action, Place(guild or None, channel).address


def owner_of(user: discord.abc.User) -> str:
    return f"{PLATFORM}:{user.id}"


def user_of(owner: str) -> int | None:
    """The user id of an owner; None for one of another platform."""
    platform, _, user = owner.partition(":")
    return int(user) if platform == PLATFORM and user.isascii() and user.isdigit() else None
