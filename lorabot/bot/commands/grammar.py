"""Reads what people type: ``/train preset:anime trigger:zuri``, ``/train anime zuri``, in English or Chinese."""

import difflib
from dataclasses import dataclass
from typing import get_args

from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.requests import Request, Train
from lorabot.bot.commands.trigger import one_word
from lorabot.bot.commands.vocabulary import BUTTONS, COMMAND_ALIASES, COMMANDS, OPTION_ALIASES, Command
from lorabot.presets import Catalogue, Family

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』", "”": "”", "＂": "＂"}
_COLONS = ":：=＝"
_SLASHES = ("/", "／")
_MOST_SHOWN = 40
_TEXTS = ("trigger", "name")
"""What people give several words although it takes one."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the line, or an option with its value; ``value`` is None for a bare word.

    ``quoted``: somebody said where the text ends, so that nothing behind it can be meant to go on with it.
    """

    word: str
    value: str | None = None
    quoted: bool = False


def parse(text: str, presets: Catalogue) -> Request:
    """The request that ``text`` makes. Raises ``CommandError``, or ``UnknownPreset`` for a preset nobody knows."""
    head, rest = (*text.split(maxsplit=1), "", "")[:2]
    name = command_name(head)
    command = COMMANDS.get(name)
    if command is None:
        if head.startswith(_SLASHES):
            raise _unknown_command(name)
        raise CommandError("command-just-talk")
    request = command.request(**_arguments(command, tokens(rest), presets))
    if isinstance(request, Train) and request.preset is not None:
        presets.get(request.preset)
    return request


def command_name(text: str) -> str:
    """The name that ``text`` begins with, as English says it; whether there is such a command is another matter."""
    head = (*text.split(maxsplit=1), "")[0]
    name = head[1:] if head.startswith(_SLASHES) else head
    name = name.partition("@")[0].casefold()  # Telegram: /train@the_bot
    return COMMAND_ALIASES.get(name, name)


def parse_action(action: str) -> Request:
    """The request of a button: the command and its options in order, between colons. Raises ``CommandError``."""
    name, *values = action.split(":")
    command = BUTTONS.get(name) or COMMANDS.get(name)
    if command is None or len(values) > len(command.options):
        raise CommandError("command-old-button")
    given = {option: value for option, value in zip(command.options, values, strict=False) if value}
    try:
        return command.request(**given)
    except TypeError:  # a word is missing that the request can't do without
        raise CommandError("command-old-button") from None


def tokens(text: str) -> list[Token]:
    """Words, quoted or not, and ``name:value`` pairs; colons and quotes also as Chinese keyboards write them."""
    found: list[Token] = []
    at = 0
    while True:
        at = _skip_blanks(text, at)
        if at >= len(text):
            return found
        quoted = text[at] in _QUOTES
        word, at = _read(text, at, _COLONS)
        if at < len(text) and text[at] in _COLONS and word:
            at = _skip_blanks(text, at + 1)
            quoted = at < len(text) and text[at] in _QUOTES
            value, at = _read(text, at, "")
            found.append(Token(word, value, quoted))
        elif word:
            found.append(Token(word, quoted=quoted))
        else:
            at += 1  # a colon that belongs to nothing


def _arguments(command: Command, given: list[Token], presets: Catalogue) -> dict[str, str]:
    arguments: dict[str, str] = {}
    before = ""
    """The option that the last word filled, where that was not in quotes."""
    for token in given:
        if token.value is None:
            free = [option for option in command.options if option not in arguments]
            named_later = {_option_name(other.word) for other in given if other.value is not None}
            open_places = [option for option in free if option not in named_later]
            if not open_places:
                raise _too_many(command, token.word)
            option = open_places[0]
            if before in _TEXTS and not _may_be(option, token.word, presets):
                raise _goes_on(command, before, f"{arguments[before]} {token.word}", option, presets)
            arguments[option] = token.word
            before = "" if token.quoted else option
            continue
        option = _option_name(token.word)
        if option not in command.options:
            raise _unknown_option(command, token.word)
        if option in arguments:
            raise CommandError("command-option-twice", option=option)
        if not token.value:
            raise CommandError("command-option-empty", option=option)
        arguments[option] = token.value
        before = "" if token.quoted else option
    return arguments


def _may_be(option: str, word: str, presets: Catalogue) -> bool:
    """Is ``word`` what ``option`` takes, or a slip of the pen from it?"""
    match option:
        case "preset":
            return bool(presets.nearest(word))
        case "base":
            return word.casefold() in get_args(Family) or bool(presets.bases.nearest(word))
        case "seed":
            return word.isdigit()
    return True


def _goes_on(command: Command, option: str, text: str, place: str, presets: Catalogue) -> CommandError:
    """``text`` was begun as ``option``, and its last word is not what comes next, at ``place``."""
    word = text.rpartition(" ")[2]
    if option != "trigger" or place == "seed":
        return _too_many(command, word)
    known = presets.presets if place == "preset" else presets.bases
    return CommandError(
        "command-trigger-goes-on",
        word=word[:_MOST_SHOWN],
        suggestion=one_word(text, presets),
        place=place,
        known=", ".join(known),
    )


def _option_name(word: str) -> str:
    word = word.casefold().lstrip("-")
    return OPTION_ALIASES.get(word, word)


def _unknown_command(name: str) -> CommandError:
    near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.6)
    if near:
        return CommandError("command-unknown-near", command=name[:_MOST_SHOWN], nearest=near[0])
    return CommandError("command-unknown", command=name[:_MOST_SHOWN])


def _unknown_option(command: Command, word: str) -> CommandError:
    shown = word[:_MOST_SHOWN]
    if not command.options:
        return CommandError("command-no-options", command=command.name)
    near = difflib.get_close_matches(word.casefold(), command.options, n=1, cutoff=0.5)
    if near:
        return CommandError("command-option-unknown-near", command=command.name, option=shown, nearest=near[0])
    options = ", ".join(command.options)
    return CommandError("command-option-unknown", command=command.name, option=shown, options=options)


def _too_many(command: Command, word: str) -> CommandError:
    if not command.options:
        return CommandError("command-no-options", command=command.name)
    options = ", ".join(command.options)
    return CommandError("command-too-many", command=command.name, word=word[:_MOST_SHOWN], options=options)


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and (text[at].isspace() or text[at] in ",，、"):
        at += 1
    return at


def _read(text: str, at: int, stops: str) -> tuple[str, int]:
    """A quoted text, or all up to a blank or one of ``stops``; and where it ends. An open quote ends with the line."""
    if at < len(text) and text[at] in _QUOTES:
        end = text.find(_QUOTES[text[at]], at + 1)
        end = len(text) if end < 0 else end
        return text[at + 1 : end].strip(), min(end + 1, len(text))
    start = at
    while at < len(text) and not text[at].isspace() and text[at] not in stops and text[at] not in "，、":
        at += 1
    return text[start:at].rstrip(","), at
