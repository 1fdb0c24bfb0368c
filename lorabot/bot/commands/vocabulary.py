"""The commands and their options by name, in the order in which they may be given without names."""

from dataclasses import dataclass

from lorabot.bot.commands.requests import Cancel, Clear, Help, Jobs, Presets, Request, Status, Train


@dataclass(frozen=True, slots=True)
class Command:
    """A command that people type. Its hint is ``command-hint-NAME``, those of its options ``command-option-NAME``."""

    name: str
    request: type[Request]
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
        Command("help", Help),
    )
}

COMMAND_ALIASES = {
    "训练": "train",
    "状态": "status",
    "任务": "jobs",
    "取消": "cancel",
    "预设": "presets",
    "清空": "clear",
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
}
