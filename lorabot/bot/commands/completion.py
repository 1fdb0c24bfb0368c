"""What may follow what has been typed so far: commands, options, presets, base models, own jobs."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lorabot.bot.commands.grammar import tokens
from lorabot.bot.commands.trigger import made_up
from lorabot.bot.commands.vocabulary import COMMAND_ALIASES, COMMANDS, OPTION_ALIASES, Command
from lorabot.locale import Translator
from lorabot.presets import AVAILABLE_BASES, BASES, Catalogue
from lorabot.queue.model import Job

MOST = 25  # Discord's limit, and enough for anyone
_LAST_WORD = re.compile(r"\S*\Z")


@dataclass(frozen=True, slots=True)
class Completion:
    """``insert`` takes the place of the whole text so far; ``label`` and ``hint`` are shown."""

    insert: str
    label: str
    hint: str


def complete(text: str, presets: Catalogue, jobs: Sequence[Job], say: Translator) -> list[Completion]:
    """Completions of ``text``, the best first. ``jobs`` are those that ``/cancel`` and ``/status`` may name."""
    plain = text.lstrip().replace("／", "/", 1) if text.lstrip().startswith("／") else text.lstrip()
    if not plain.startswith("/"):
        return []
    head, blank, _ = re.match(r"/(\S*)(\s*)(.*)", plain, re.DOTALL).groups()  # type: ignore[union-attr]
    if not blank:
        return [_command(command, say) for command in _commands_like(head)]
    command = COMMANDS.get(COMMAND_ALIASES.get(head.casefold(), head.casefold()))
    if command is None:
        return []
    fragment = _LAST_WORD.search(plain)
    before = plain[: fragment.start()] if fragment else plain
    word = fragment[0] if fragment else ""
    return list(_options(command, before, word, presets, jobs, say))[:MOST]


def _commands_like(head: str) -> list[Command]:
    wanted = COMMAND_ALIASES.get(head, head).casefold()
    found = [command for name, command in COMMANDS.items() if name.startswith(wanted)]
    return found or [COMMANDS[name] for name in difflib.get_close_matches(wanted, COMMANDS, n=3, cutoff=0.5)]


def _command(command: Command, say: Translator) -> Completion:
    insert = f"/{command.name} " if command.options else f"/{command.name}"
    return Completion(insert, f"/{command.name}", say(f"command-hint-{command.name}"))


def _options(
    command: Command, before: str, word: str, presets: Catalogue, jobs: Sequence[Job], say: Translator
) -> Iterator[Completion]:
    parts = re.match(r"([^:：=＝]+)[:：=＝](.*)\Z", word, re.DOTALL)
    if parts:
        option = OPTION_ALIASES.get(parts[1], parts[1].casefold())
        if option in command.options:
            for value, hint in _values(option, parts[2], before, presets, jobs, say):
                yield Completion(f"{before}{option}:{value} ", value, hint)
        return
    given = tokens(before)[1:]
    used = {OPTION_ALIASES.get(token.word, token.word.casefold()) for token in given if token.value is not None}
    bare = sum(token.value is None for token in given)
    open_options = [option for option in command.options if option not in used][bare:]
    named = [option for option in open_options if option.startswith(word.casefold())]
    for option in named:
        yield Completion(f"{before}{option}:", f"{option}:", say(f"command-option-{option}"))
    if open_options and (word or len(command.options) == 1):
        for value, hint in _values(open_options[0], word, before, presets, jobs, say):
            if not named or value.startswith(word.casefold()):
                yield Completion(f"{before}{value} ", value, hint)


def _values(
    option: str, typed: str, before: str, presets: Catalogue, jobs: Sequence[Job], say: Translator
) -> Iterable[tuple[str, str]]:
    """Values of ``option`` that start like ``typed``, else those that are near; each with its hint."""
    typed = typed.casefold()
    match option:
        case "preset":
            language = say.language
            hints = {
                preset.id: f"{preset.title.get(language)}: {preset.description.get(language)}"
                for preset in presets.presets.values()
            }
            near = presets.nearest(typed) if typed else ()
        case "base":
            hints = {base: say("command-base-hint", family=BASES[base]) for base in AVAILABLE_BASES}
            near = tuple(difflib.get_close_matches(typed, hints, n=3))
        case "job":
            hints = {job.id: say("command-job-hint", name=job.name, state=job.state.value) for job in jobs}
            near = tuple(job.id for job in jobs if job.name.casefold().startswith(typed))
        case "trigger" if not typed:
            hints = {made_up(before, presets): say("command-trigger-hint")}
            near = ()
        case _:
            return
    starting = [value for value in hints if value.startswith(typed)]
    for value in starting or near:
        yield value, hints[value]
