"""A Discord of our own on loopback: REST v10, gateway and CDN, and the people who use it. It keeps Discord's rules."""

from tests.discord.server.interactions import Interaction
from tests.discord.server.people import Attachment, Person
from tests.discord.server.permissions import Permission
from tests.discord.server.server import DiscordServer
from tests.discord.server.wire import Refused
from tests.discord.server.world import Channel, Guild, Message

__all__ = [
    "Attachment",
    "Channel",
    "DiscordServer",
    "Guild",
    "Interaction",
    "Message",
    "Permission",
    "Person",
    "Refused",
]
