"""What may follow what has been typed so far: commands, options, presets, base models, own jobs."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lorabot.bot.commands.grammar import tokens
from lorabot.bot.commands.moderation import ACTION_ALIASES, ACTIONS
from lorabot.bot.commands.trigger import made_up
from lorabot.bot.commands.vocabulary import COMMAND_ALIASES, COMMANDS, MODERATING, OPTION_ALIASES, Command
from lorabot.locale import Translator
from lorabot.presets import Bases, Catalogue
from lorabot.queue.model import Job

MOST = 25  # Discord's limit, and enough for anyone
Choice = tuple[str, str, str]
"""A value, what is shown for it, and a hint."""
_LAST_WORD = re.compile(r"\S*\Z")


@dataclass(frozen=True, slots=True)
class Completion:
    """``insert`` takes the place of the whole text so far; ``label`` and ``hint`` are shown."""

    insert: str
    label: str
    hint: str


def complete(
    text: str, presets: Catalogue, jobs: Sequence[Job], say: Translator, moderates: bool = False
) -> list[Completion]:
    """Completions of ``text``, the best first. ``jobs`` are those that its command may name.

    What is only for moderators is offered to who ``moderates``.
    """
    plain = text.lstrip().replace("／", "/", 1) if text.lstrip().startswith("／") else text.lstrip()
    if not plain.startswith("/"):
        return []
    head, blank, _ = re.match(r"/(\S*)(\s*)(.*)", plain, re.DOTALL).groups()  # type: ignore[union-attr]
    if not blank:
        found = _commands_like(head)
        return [_command(command, say) for command in found if moderates or command.name not in MODERATING]
    command = COMMANDS.get(COMMAND_ALIASES.get(head.casefold(), head.casefold()))
    if command is None or (command.name in MODERATING and not moderates):
        return []
    fragment = _LAST_WORD.search(plain)
    before = plain[: fragment.start()] if fragment else plain
    word = fragment[0] if fragment else ""
    return list(_options(command, before, word, presets, jobs, say))[:MOST]


def _commands_like(head: str) -> list[Command]:
    wanted = COMMAND_ALIASES.get(head, head).casefold()
    found = [command for name, command in COMMANDS.items() if name.startswith(wanted)]
    return found or [COMMANDS[name] for name in difflib.get_close_matches(wanted, COMMANDS, n=3, cutoff=0.6)]


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
            yield from ((value, f"{title}: {hint}") for value, title, hint in preset_choices(typed, presets, say))
        case "base":
            yield from ((value, f"{title}: {hint}") for value, title, hint in base_choices(typed, presets.bases, say))
        case "job":
            yield from ((value, hint) for value, _, hint in job_choices(typed, jobs, say))
        case "action":
            hints = {action: say(f"command-queue-hint-{action}") for action in ACTIONS}
            near = [ACTION_ALIASES[typed]] if typed in ACTION_ALIASES else difflib.get_close_matches(typed, hints, n=3)
            yield from ((value, hints[value]) for value in _like(typed, hints, near))
        case "trigger" if not typed:
            yield made_up(before, presets), say("command-trigger-hint")


def preset_choices(typed: str, presets: Catalogue, say: Translator) -> list[Choice]:
    """Presets that start like ``typed``, else those that are near: id, title, description."""
    near = presets.nearest(typed) if typed else ()
    found = (presets.presets[name] for name in _like(typed, presets.presets, near))
    return [(each.id, each.title.get(say.language), each.description.get(say.language)) for each in found][:MOST]


def base_choices(typed: str, bases: Bases, say: Translator) -> list[Choice]:
    """Base models, likewise."""
    found = (bases[name] for name in _like(typed, bases, bases.nearest(typed) if typed else ()))
    return [(base.id, base.title, say(f"command-base-hint-{base.family}")) for base in found][:MOST]


def job_choices(typed: str, jobs: Sequence[Job], say: Translator) -> list[Choice]:
    """Jobs by id, else by name."""
    known = {job.id: job for job in jobs}
    wanted = typed.casefold()
    near = [job.id for job in jobs if job.name.casefold().startswith(wanted)]
    found = (known[job] for job in _like(wanted, known, near))
    return [(job.id, job.name, say("command-job-hint", name=job.name, state=job.state.value)) for job in found][:MOST]


def _like(typed: str, known: Iterable[str], near: Iterable[str]) -> list[str]:
    wanted = typed.casefold()
    return [value for value in known if value.startswith(wanted)] or list(near)
