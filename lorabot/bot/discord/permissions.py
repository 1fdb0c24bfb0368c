"""What the bot may do in a channel, and who may moderate."""

from dataclasses import dataclass

import discord

from lorabot.bot.commands import Actor
from lorabot.bot.config import DiscordConfig
from lorabot.bot.discord.place import owner_of
from lorabot.locale import Translator, negotiate

NEEDED = discord.Permissions(view_channel=True, send_messages=True, send_messages_in_threads=True, attach_files=True)
"""What the bot asks for when it is invited; docs/discord.md says why."""
MODERATORS = discord.Permissions(manage_messages=True)
"""To whom Discord shows ``/queue``. Admins of a server can change that, so who may is checked again."""


_SCOPES = ("bot", "applications.commands")


@dataclass(frozen=True, slots=True)
class Missing:
    """A permission that the bot lacks; ``code`` of its name in the catalogues."""

    code: str


def missing_permissions(interaction: discord.Interaction[discord.Client], *, files: bool = True) -> list[Missing]:
    """What the bot lacks to show a job's card where the interaction took place."""
    if interaction.guild_id is None:
        return []
    given = interaction.app_permissions
    thread = isinstance(interaction.channel, discord.Thread)
    checked = {
        "view": given.view_channel,
        "send": given.send_messages_in_threads if thread else given.send_messages,
        "attach": given.attach_files or not files,
    }
    names = {"view": "view-channel", "send": "send-in-threads" if thread else "send-messages", "attach": "attach-files"}
    return [Missing(f"discord-permission-{names[key]}") for key, there in checked.items() if not there]


def invitation(application: int, guild: int | None = None) -> str:
    """The link that lets the bot into a server with all that it needs; ``guild`` is the one it proposes."""
    server = discord.utils.MISSING if guild is None else discord.Object(guild)
    return discord.utils.oauth_url(application, permissions=NEEDED, guild=server, scopes=_SCOPES)


def is_guest(interaction: discord.Interaction[discord.Client]) -> bool:
    """Was the app added to the server with its commands alone? Nothing could be shown or sent there later.

    What Discord says of permissions then is about everybody, not about us.
    """
    guild = interaction.guild_id
    return guild is not None and interaction.client.get_guild(guild) is None


def named(missing: list[Missing], say: Translator) -> str:
    return ", ".join(f"**{say(one.code)}**" for one in missing)


def language_of(interaction: discord.Interaction[discord.Client], own: str | None, default: str) -> str:
    """The person's own setting, what their Discord speaks, what the server speaks, what the operator set."""
    guild = interaction.guild_locale.value if interaction.guild_locale is not None else None
    return negotiate(own, interaction.locale.value, guild, default)


def actor_of(interaction: discord.Interaction[discord.Client], config: DiscordConfig, language: str) -> Actor:
    """Who acts, and whether they moderate: the roles that they have now come with every interaction."""
    user = interaction.user
    moderator = isinstance(user, discord.Member) and _moderates(user, config)
    return Actor(owner_of(user), language, moderator=moderator, operator=user.id in config.operators)


def _moderates(member: discord.Member, config: DiscordConfig) -> bool:
    """By what ``member`` may do in the whole server: a moderator acts on all of its jobs.

    What the interaction says of permissions is about its channel, where anybody may have been given more. Of a
    server that Discord has not described yet, right after the start, no roles are known.
    """
    given = member.guild_permissions
    roles = {role.id for role in member.roles}
    return given.manage_guild or given.manage_messages or not roles.isdisjoint(config.moderator_roles)
