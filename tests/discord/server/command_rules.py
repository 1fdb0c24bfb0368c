"""Discord's rules for application commands, and how many may be made a day."""

import re
from collections.abc import Iterator, Sequence

from tests.discord.server.wire import Clock, Json, Refused, check

SUB_COMMAND, SUB_GROUP, STRING, ATTACHMENT = 1, 2, 3, 11
CHAT_INPUT, USER_MENU, MESSAGE_MENU = 1, 2, 3
_NAME = re.compile(r"[-_'\w]{1,32}")
_LOCALE = re.compile(
    "(id|da|de|en-GB|en-US|es-ES|es-419|fr|hr|it|lt|hu|nl|no|pl|pt-BR|ro|fi|sv-SE|vi|tr|cs|el|bg|ru|uk|hi|th|zh-CN|"
    "ja|zh-TW|ko)"
)
_DAY_S = 86400
_MOST_CREATES = 200


class CreateLimit:
    """200 creations a day and scope (error 30034)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made: dict[str, list[float]] = {}

    def count(self, scope: str, created: int) -> None:
        now = self._clock.now()
        made = [at for at in self._made.get(scope, []) if at > now - _DAY_S]
        if len(made) + created > _MOST_CREATES:
            message = f"Max number of daily application command creates has been reached ({_MOST_CREATES})"
            raise Refused(429, 30034, message, retry_after=made[0] + _DAY_S - now)
        self._made[scope] = made + [now] * created


def check_commands(commands: Sequence[Json]) -> None:
    """A whole set, as a bulk overwrite brings it."""
    kinds = [command.get("type", CHAT_INPUT) for command in commands]
    check(kinds.count(CHAT_INPUT) <= 100, "at most 100 commands")
    check(kinds.count(USER_MENU) <= 5 and kinds.count(MESSAGE_MENU) <= 15, "too many context menus")
    names = [(kind, command["name"]) for kind, command in zip(kinds, commands, strict=True)]
    check(len(set(names)) == len(names), f"two commands of one name in {names}")
    for kind in set(kinds):
        _check_distinct([command for own, command in zip(kinds, commands, strict=True) if own == kind])
    for command in commands:
        _check_command(command)


def _check_command(command: Json) -> None:
    kind = command.get("type", CHAT_INPUT)
    name = command["name"]
    if kind == CHAT_INPUT:
        _check_named(command)
        _check_options(command.get("options") or [], 0)
        texts = sum(map(len, _texts(command)))
        check(texts <= 8000, f"/{name}: {texts} of at most 8000 characters")
    else:
        check(1 <= len(name) <= 32, f"{name!r}: 1 to 32 characters")
        check(not command.get("description"), f"{name!r}: a context menu has no description")
        check(not command.get("options"), f"{name!r}: a context menu has no options")
        _check_localisations(command.get("name_localizations"), 32, None)
    permissions = command.get("default_member_permissions")
    check(permissions is None or str(permissions).isdigit(), f"{name!r}: default_member_permissions is a bit set")
    check(set(command.get("contexts") or ()) <= {0, 1, 2}, f"{name!r}: contexts")
    check(set(command.get("integration_types") or ()) <= {0, 1}, f"{name!r}: integration_types")


def _check_named(part: Json) -> None:
    name = part["name"]
    check(_NAME.fullmatch(name) and name == name.lower(), f"{name!r} is no name of a command or option")
    check(1 <= len(part.get("description") or "") <= 100, f"{name!r}: a description of 1 to 100 characters")
    _check_localisations(part.get("name_localizations"), 32, _NAME)
    _check_localisations(part.get("description_localizations"), 100, None)


def _check_distinct(parts: Sequence[Json]) -> None:
    """No two of one name in any language."""
    for locale in {locale for part in parts for locale in part.get("name_localizations") or {}}:
        names = [(part.get("name_localizations") or {}).get(locale, part["name"]) for part in parts]
        check(len(set(names)) == len(names), f"{locale}: two of one name in {names}")


def _check_localisations(texts: Json | None, most: int, pattern: re.Pattern[str] | None) -> None:
    for locale, text in (texts or {}).items():
        check(_LOCALE.fullmatch(locale), f"{locale!r} is no locale of Discord's")
        check(1 <= len(text) <= most, f"{locale}: 1 to {most} characters, {text!r}")
        check(pattern is None or (pattern.fullmatch(text) and text == text.lower()), f"{locale}: {text!r} is no name")


def _check_options(options: Sequence[Json], depth: int) -> None:
    check(len(options) <= 25, "at most 25 options")
    names = [option["name"] for option in options]
    check(len(set(names)) == len(names), f"two options of one name in {names}")
    _check_distinct(options)
    grouped = [option["type"] in (SUB_COMMAND, SUB_GROUP) for option in options]
    check(all(grouped) or not any(grouped), "subcommands and options do not mix")
    required = [bool(option.get("required")) for option in options]
    check(required == sorted(required, reverse=True), f"required options come first in {names}")
    for option in options:
        _check_named(option)
        if option["type"] in (SUB_COMMAND, SUB_GROUP):
            check(depth < 2, "too deep")
            _check_options(option.get("options") or [], depth + 1)
            continue
        choices = option.get("choices") or []
        check(len(choices) <= 25, f"{option['name']}: at most 25 choices")
        check(not (choices and option.get("autocomplete")), f"{option['name']}: choices or autocomplete")
        check(
            not option.get("autocomplete") or option["type"] in (STRING, 4, 10), "autocomplete is for texts and numbers"
        )
        check(1 <= option.get("max_length", 6000) <= 6000, f"{option['name']}: max_length")


def _texts(part: Json) -> Iterator[str]:
    """What counts towards the 8,000: for each text, its longest localisation."""
    for field in ("name", "description"):
        yield max([part[field], *(part.get(f"{field}_localizations") or {}).values()], key=len)
    for choice in part.get("choices") or []:
        yield max([choice["name"], *(choice.get("name_localizations") or {}).values()], key=len)
        yield str(choice["value"])
    for option in part.get("options") or []:
        yield from _texts(option)
