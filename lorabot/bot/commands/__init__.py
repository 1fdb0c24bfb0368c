"""What can be asked of lorabot: one implementation for all chat platforms."""

from lorabot.bot.commands.completion import Completion, complete
from lorabot.bot.commands.grammar import parse, parse_action
from lorabot.bot.commands.handling import Commands
from lorabot.bot.commands.requests import Actor
from lorabot.bot.commands.training import preset_buttons

__all__ = ["Actor", "Commands", "Completion", "complete", "parse", "parse_action", "preset_buttons"]
