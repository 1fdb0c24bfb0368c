"""The buttons that go on with a ``Train``. What is too long for them is kept, and they say where."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Literal

from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.requests import Train
from lorabot.bot.reply import Button
from lorabot.queue.model import Address, JsonObject
from lorabot.queue.proposals import Proposals

_MOST_BYTES = 64
"""Of an action: Telegram's callback_data."""
_KEPT = "~"
"""How a word begins that stands for words that are kept; no preset's or base model's id does."""


class Buttons:
    """Writes actions, and reads what they leave out."""

    def __init__(self, proposals: Proposals) -> None:
        self._proposals = proposals

    async def adding(
        self,
        owner: str,
        address: Address,
        verb: str,
        request: Train,
        word: Literal["preset", "trigger"],
        choices: Sequence[Button],
    ) -> tuple[Button, ...]:
        """``choices``, whose actions are what each adds as ``word``, as buttons that go on with ``request``."""
        actions = [_action(verb, replace(request, **{word: choice.action})) for choice in choices]
        if any(len(action.encode()) > _MOST_BYTES for action in actions):
            kept = {"base" if word == "preset" else "preset": await self._kept(owner, address, request)}
            actions = [_action(verb, Train(**kept, **{word: choice.action})) for choice in choices]
        return tuple(replace(choice, action=action) for choice, action in zip(choices, actions, strict=True))

    async def action(self, owner: str, address: Address, verb: str, request: Train) -> str:
        """The button's that goes on with ``request`` as it is."""
        action = _action(verb, request)
        if len(action.encode()) <= _MOST_BYTES:
            return action
        return _action(verb, Train(await self._kept(owner, address, request)))

    async def whole(self, owner: str, request: Train) -> Train:
        """``request`` with what its button left out. Raises ``UserError`` where that is gone, or is another's."""
        names = [name for name in (request.preset, request.base) if name is not None and name.startswith(_KEPT)]
        if not names:
            return request
        kept = (await self._proposals.get(names[0].removeprefix(_KEPT), owner)).request.get("kept")
        if not isinstance(kept, Mapping):
            raise CommandError("command-old-button")
        said = {name: word for name, word in words_of(request).items() if word not in names}
        return Train(**{name: str(word) for name, word in {**kept, **said}.items()})

    async def _kept(self, owner: str, address: Address, request: Train) -> str:
        kept = await self._proposals.add(owner, address, {"kept": words_of(request)}, "")
        return f"{_KEPT}{kept.id}"


def words_of(request: Train) -> JsonObject:
    """The words that ``request`` has, by their names."""
    return {name: word for name, word in asdict(request).items() if word is not None}


def _action(verb: str, request: Train) -> str:
    """The words in order, between colons."""
    return ":".join([verb, *(word or "" for word in asdict(request).values())]).rstrip(":")
