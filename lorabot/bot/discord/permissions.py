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


def named(missing: list[Missing], say: Translator) -> str:
    return ", ".join(f"**{say(one.code)}**" for one in missing)


def language_of(interaction: discord.Interaction[discord.Client], own: str | None, default: str) -> str:
    """The person's own setting, what their Discord speaks, what the server speaks, what the operator set."""
    guild = interaction.guild_locale.value if interaction.guild_locale is not None else None
    return negotiate(own, interaction.locale.value, guild, default)


def actor_of(interaction: discord.Interaction[discord.Client], config: DiscordConfig, language: str) -> Actor:
    """Who acts. What they may do here comes with every interaction, so it is never out of date."""
    user = interaction.user
    given = interaction.permissions
    roles = {role.id for role in user.roles} if isinstance(user, discord.Member) else set()
    roles = {role.id for role in user.roles} if isinstance(user, discord.Member) else set()
    moderator = interaction.guild_id is not None and (
        given.administrator
        or given.manage_guild
        or given.manage_messages
        or not roles.isdisjoint(config.moderator_roles)
    )
    return Actor(owner_of(user), language, moderator=moderator, operator=user.id in config.operators)
