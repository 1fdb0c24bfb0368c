"""Remembers the question whose answer may be typed: which word shall call the LoRA up."""

from collections.abc import Sequence

from lorabot.bot.commands import parse_action
from lorabot.bot.commands.requests import Pick
from lorabot.bot.reply import Button
from lorabot.bot.telegram.places import Place
from lorabot.queue.refs import Refs

_MOST_WORD = 200


class Expecting:
    """Open questions, by person and place. They survive a restart."""

    def __init__(self, refs: Refs) -> None:
        self._refs = refs

    async def note(self, owner: str, place: Place, buttons: Sequence[Button]) -> None:
        """Remember the question, if ``buttons`` offer trigger words: it is what they would say, without the word."""
        offered = next((button.action for button in buttons if _names_trigger(button.action)), None)
        if offered is not None:
            await self._refs.put(place.address, _key(owner), offered, owner)

    async def answered(self, owner: str, place: Place, typed: str) -> Pick | None:
        """The open question answered with ``typed``; None where nothing was asked."""
        offered = await self._refs.get(place.address, _key(owner))
        if offered is None:
            return None
        pick = parse_action(offered)
        assert isinstance(pick, Pick)
        return Pick(pick.preset, typed.strip()[:_MOST_WORD], pick.base, pick.name)

    async def drop(self, owner: str, place: Place) -> None:
        """Nothing is asked any more."""
        await self._refs.drop(place.address, _key(owner))


def _names_trigger(action: str) -> bool:
    verb, *words = action.split(":")
    return verb == "pick" and len(words) > 1 and bool(words[1])


def _key(owner: str) -> str:
    return f"expects:{owner}"
