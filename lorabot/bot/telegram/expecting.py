"""Remembers the question whose answer may be typed: which word shall call the LoRA up."""

from collections.abc import Sequence

from lorabot.bot.commands import parse_action
from lorabot.bot.commands.requests import Pick
from lorabot.bot.reply import Button
from lorabot.bot.telegram.places import Place
from lorabot.bot.telegram.voice import EXPECTS
from lorabot.queue.refs import Refs

_MOST_WORD = 200


class Expecting:
    """Open questions, by person and place. They survive a restart."""

    def __init__(self, refs: Refs) -> None:
        self._refs = refs

    async def note(self, owner: str, place: Place, question: Sequence[Button], message: int) -> None:
        """Remember the ``question`` in ``message``, by one of its buttons."""
        await self._refs.put(place.address, _key(owner), f"{message} {question[0].action}", owner)

    async def answered(self, owner: str, place: Place, typed: str) -> Pick | None:
        """The open question answered with ``typed``; None where nothing was asked."""
        noted = await self._refs.get(place.address, _key(owner))
        if noted is None:
            return None
        pick = parse_action(noted.partition(" ")[2])
        assert isinstance(pick, Pick)
        return Pick(pick.preset, typed.strip()[:_MOST_WORD], pick.base, pick.name, pick.seed)

    async def questions(self, owner: str) -> list[tuple[Place, int]]:
        """The messages in which something is asked of ``owner``."""
        noted = await self._refs.of(owner, _key(owner))
        return [(Place.parse(address), int(note.partition(" ")[0])) for address, note in noted.items()]

    async def drop(self, owner: str, place: Place) -> int | None:
        """Nothing is asked any more. Returns the message that the question stood in, if there was one."""
        noted = await self._refs.get(place.address, _key(owner))
        if noted is None:
            return None
        await self._refs.drop(place.address, _key(owner))
        return int(noted.partition(" ")[0])


def asks_for_trigger(buttons: Sequence[Button]) -> bool:
    """Do ``buttons`` offer trigger words?"""
    verb, *words = buttons[0].action.split(":") if buttons else [""]
    return verb == "pick" and len(words) > 1 and bool(words[1])


def _key(owner: str) -> str:
    return f"{EXPECTS}{owner}"
