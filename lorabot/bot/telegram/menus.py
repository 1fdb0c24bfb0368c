"""The menus of commands that the app shows, by scope and language. They are sent only when they have changed."""

from telegram import (
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllChatAdministrators,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
)

from lorabot.bot.commands.vocabulary import COMMANDS
from lorabot.bot.telegram.places import HOME
from lorabot.bot.telegram.voice import Client, digest_of
from lorabot.locale import translator
from lorabot.queue.refs import Refs

_PRIVATE = ("train", "jobs", "cancel", "presets", "clear", "privacy", "forgetme", "help")
_GROUP = ("train", "jobs", "cancel", "presets", "clear", "help")
MENUS: dict[BotCommandScope, tuple[str, ...]] = {
    BotCommandScopeAllPrivateChats(): _PRIVATE,
    BotCommandScopeAllGroupChats(): _GROUP,
    BotCommandScopeAllChatAdministrators(): (*_GROUP, "queue"),
}
_KEY = "menus"


async def send_menus(client: Client, refs: Refs, language: str) -> None:
    """Let the app show our commands, in Chinese and English, and in ``language`` to everybody else."""
    menus = [
        (scope, code, _commands(names, spoken))
        for scope, names in MENUS.items()
        for code, spoken in (("", language), ("en", "en"), ("zh", "zh-CN"))
    ]
    digest = digest_of([(scope.type, code, commands) for scope, code, commands in menus], client.id)
    if await refs.get(HOME, _KEY) == digest:
        return
    for scope, code, commands in menus:
        await client.set_my_commands(commands, scope=scope, language_code=code or None)
    await refs.put(HOME, _KEY, digest)


def _commands(names: tuple[str, ...], language: str) -> list[BotCommand]:
    say = translator(language)
    return [BotCommand(name, say(f"command-hint-{name}")) for name in names if name in COMMANDS]
