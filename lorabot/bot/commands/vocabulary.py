"""The commands and their options by name, in the order in which they may be given without names."""

from collections.abc import Callable
from dataclasses import dataclass

from lorabot.bot.commands.requests import (
    Again,
    Agree,
    Cancel,
    Clear,
    Details,
    Drop,
    ForgetMe,
    Help,
    Jobs,
    Pick,
    Presets,
    Privacy,
    QueueCommand,
    Request,
    Start,
    Status,
    Train,
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command that people type. Its hint is ``command-hint-NAME``, those of its options ``command-option-NAME``."""

    name: str
    request: Callable[..., Request]
    options: tuple[str, ...] = ()


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("train", Train, ("preset", "trigger", "base", "name", "seed")),
        Command("status", Status, ("job",)),
        Command("jobs", Jobs),
        Command("cancel", Cancel, ("job",)),
        Command("presets", Presets, ("preset",)),
        Command("clear", Clear),
        Command("queue", QueueCommand, ("action", "job")),
        Command("privacy", Privacy),
        Command("forgetme", ForgetMe),
        Command("help", Help),
    )
}

MODERATING = ("queue",)
"""Commands that only moderators and operators are told of."""

BUTTONS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("pick", Pick, ("preset", "trigger", "base", "name", "seed")),
        Command("start", Start, ("proposal",)),
        Command("drop", Drop, ("proposal",)),
        Command("agree", Agree, ("proposal",)),
        Command("again", Again, ("job", "way")),
        Command("details", Details, ("job",)),
        Command("forgetme", ForgetMe, ("sure",)),
    )
}
"""What only buttons say; a button may also say a command."""

COMMAND_ALIASES = {
    "训练": "train",
    "状态": "status",
    "任务": "jobs",
    "取消": "cancel",
    "预设": "presets",
    "清空": "clear",
    "队列": "queue",
    "隐私": "privacy",
    "忘记我": "forgetme",
    "帮助": "help",
    "start": "help",  # what Telegram sends when a person meets a bot
}
OPTION_ALIASES = {
    "预设": "preset",
    "触发词": "trigger",
    "模型": "base",
    "名称": "name",
    "名字": "name",
    "种子": "seed",
    "任务": "job",
    "操作": "action",
}
