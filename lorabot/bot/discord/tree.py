"""The commands as Discord knows them, in both languages; made known only when they changed."""

import hashlib
import json
import logging
from collections.abc import Sequence

import discord
from discord import app_commands
from discord.app_commands import Choice

from lorabot.bot.commands.completion import Choice as Offered
from lorabot.bot.commands.requests import Cancel, Clear, ForgetMe, Help, Jobs, Presets, Privacy, QueueCommand, Train
from lorabot.bot.config import DiscordConfig
from lorabot.bot.discord import limits
from lorabot.bot.discord.answering import Answering
from lorabot.bot.discord.downloads import sent_with
from lorabot.bot.discord.form import Sent
from lorabot.bot.discord.localisation import Localisation, text
from lorabot.bot.discord.permissions import MODERATORS, actor_of, language_of
from lorabot.bot.discord.place import PLATFORM, Place
from lorabot.bot.discord.speaking import Interaction
from lorabot.bot.parts import Parts
from lorabot.locale import UserError
from lorabot.queue.model import Address

_KEY = "commands"
_log = logging.getLogger(__name__)

Tree = app_commands.CommandTree[discord.Client]


async def make_tree(client: discord.Client, answering: Answering, parts: Parts, config: DiscordConfig) -> Tree:
    """All commands, in servers and in direct messages."""
    tree: Tree = app_commands.CommandTree(
        client,
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )
    await tree.set_translator(Localisation())
    completion = _Completion(parts, config)
    _add_training(tree, answering, completion)
    _add_own(tree, answering, completion)
    tree.add_command(_queue(answering, completion))

    @tree.error
    async def failed(interaction: Interaction, error: app_commands.AppCommandError) -> None:
        if interaction.type is not discord.InteractionType.autocomplete:
            await answering.failed(interaction, error)

    return tree


async def sync(tree: Tree, parts: Parts, application: int) -> bool:
    """Make the commands known to Discord if they are others than last time: it allows few changes a day.

    Returns whether that was necessary.
    """
    translator = tree.translator
    assert translator is not None
    commands = tree.get_commands() + tree.get_commands(type=discord.AppCommandType.message)
    made = [await command.get_translated_payload(tree, translator) for command in commands]
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
    address = Address(PLATFORM, f"application/{application}")
    if await parts.queue.refs.get(address, _KEY) == digest:
        return False
    await tree.sync()
    await parts.queue.refs.put(address, _KEY, digest)
    _log.info("made %d commands known to Discord", len(made))
    return True


class _Completion:
    """What is offered while somebody types."""

    def __init__(self, parts: Parts, config: DiscordConfig) -> None:
        self._parts = parts
        self._config = config

    async def presets(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        return _choices(self._parts.commands.autocomplete_presets(typed, self._language(interaction)))

    async def bases(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        return _choices(self._parts.commands.autocomplete_bases(typed, self._language(interaction)))

    async def jobs(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        place = Place.of(interaction)
        if place is None:
            return []
        actor = actor_of(interaction, self._config, self._language(interaction))
        try:
            return _choices(await self._parts.commands.autocomplete_jobs(actor, place.address, typed))
        except UserError as error:  # the store is away: one can still type
            _log.warning("no jobs to offer: %s", error)
            return []

    def _language(self, interaction: Interaction) -> str:
        return language_of(interaction, None, self._parts.language)


def _choices(offered: Sequence[Offered]) -> list[Choice[str]]:
    """``label: hint``, as far as Discord shows it."""
    most = limits.CHOICE_TEXT
    made = []
    for value, label, hint in offered[: limits.CHOICES]:
        name = f"{label}: {hint}" if hint else label
        made.append(Choice(name=name if len(name) <= most else name[: most - 1] + "…", value=value[:most]))
    return made


def _add_training(tree: Tree, answering: Answering, completion: _Completion) -> None:
    @tree.command(name=text("discord-name-train"), description=text("discord-hint-train"))
    @app_commands.rename(
        preset=text("discord-name-preset"),
        images=text("discord-name-images"),
        trigger=text("discord-name-trigger"),
        base=text("discord-name-base"),
        name=text("discord-name-name"),
    )
    @app_commands.describe(
        preset=text("command-option-preset"),
        images=text("discord-option-images"),
        trigger=text("command-option-trigger"),
        base=text("command-option-base"),
        name=text("command-option-name"),
    )
    @app_commands.autocomplete(preset=completion.presets, base=completion.bases)
    async def train(
        interaction: Interaction,
        preset: str | None = None,
        images: discord.Attachment | None = None,
        trigger: str | None = None,
        base: str | None = None,
        name: str | None = None,
    ) -> None:
        files = (Sent(images.filename, images.url, images.size),) if images is not None else ()
        await answering.train(interaction, Train(preset, trigger, base, name), files)

    @tree.context_menu(name=text("discord-menu-train"))
    async def train_from(interaction: Interaction, message: discord.Message) -> None:
        await answering.take_from(interaction, sent_with(message))

    @tree.command(name=text("discord-name-upload"), description=text("discord-hint-upload"))
    async def upload(interaction: Interaction) -> None:
        await answering.upload_page(interaction)


def _add_own(tree: Tree, answering: Answering, completion: _Completion) -> None:
    @tree.command(name=text("discord-name-jobs"), description=text("command-hint-jobs"))
    async def jobs(interaction: Interaction) -> None:
        await answering.request(interaction, Jobs())

    @tree.command(name=text("discord-name-cancel"), description=text("command-hint-cancel"))
    @app_commands.rename(job=text("discord-name-job"))
    @app_commands.describe(job=text("command-option-job"))
    @app_commands.autocomplete(job=completion.jobs)
    async def cancel(interaction: Interaction, job: str | None = None) -> None:
        await answering.request(interaction, Cancel(job))

    @tree.command(name=text("discord-name-presets"), description=text("command-hint-presets"))
    @app_commands.rename(preset=text("discord-name-preset"))
    @app_commands.describe(preset=text("command-option-preset"))
    @app_commands.autocomplete(preset=completion.presets)
    async def presets(interaction: Interaction, preset: str | None = None) -> None:
        await answering.request(interaction, Presets(preset))

    @tree.command(name=text("discord-name-clear"), description=text("command-hint-clear"))
    async def clear(interaction: Interaction) -> None:
        await answering.request(interaction, Clear())

    @tree.command(name=text("discord-name-privacy"), description=text("command-hint-privacy"))
    async def privacy(interaction: Interaction) -> None:
        await answering.request(interaction, Privacy())

    @tree.command(name=text("discord-name-forgetme"), description=text("command-hint-forgetme"))
    async def forgetme(interaction: Interaction) -> None:
        await answering.request(interaction, ForgetMe())

    @tree.command(name=text("discord-name-help"), description=text("command-hint-help"))
    async def show_help(interaction: Interaction) -> None:
        await answering.request(interaction, Help())


def _queue(answering: Answering, completion: _Completion) -> app_commands.Group:
    """``/queue ...``: hidden from members by default, and checked again by the command itself."""
    group = app_commands.Group(
        name=text("discord-name-queue"), description=text("command-hint-queue"), default_permissions=MODERATORS
    )

    def plain(action: str) -> None:
        @group.command(name=text(f"discord-name-queue-{action}"), description=text(f"discord-hint-queue-{action}"))
        async def act(interaction: Interaction) -> None:
            await answering.request(interaction, QueueCommand(action))

    def on_job(action: str) -> None:
        @group.command(name=text(f"discord-name-queue-{action}"), description=text(f"discord-hint-queue-{action}"))
        @app_commands.rename(job=text("discord-name-job"))
        @app_commands.describe(job=text("command-option-job"))
        @app_commands.autocomplete(job=completion.jobs)
        async def act(interaction: Interaction, job: str) -> None:
            await answering.request(interaction, QueueCommand(action, job))

    for action in ("show", "pause", "resume", "log"):
        plain(action)
    for action in ("hold", "release", "front", "cancel"):
        on_job(action)
    return group
