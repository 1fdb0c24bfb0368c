"""What delivery asks of a chat platform."""

import asyncio
from typing import Protocol

from lorabot.bot.card import Card
from lorabot.bot.reply import Reply
from lorabot.locale import UserError
from lorabot.queue.model import Address


class TryLater(Exception):
    """The platform asks to wait ``seconds`` before this is tried again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"try again in {seconds:.1f} s")
        self.seconds = seconds


class Unreachable(Exception):
    """The address will not take messages any more (closed, blocked, deleted): trying again is no use."""


class CannotStart(UserError):
    """The process can't do its work as it is set up; starting again would change nothing."""


class CannotListen(CannotStart):
    """Its address is not to be had now. Where other front ends serve people meanwhile, it is tried again."""


class TokenRefused(UserError):
    """The platform does not take the token. Said in one line and tried again after a long while."""


def surprising(error: Exception) -> bool:
    """Is it worth a traceback? Errors of a network and of the store are told by their message."""
    return not isinstance(error, UserError | OSError | TimeoutError | TryLater)


class FrontEnd(Protocol):
    """One chat platform. Its name is the ``platform`` of the addresses it serves."""

    @property
    def platform(self) -> str: ...

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set.

        What it raises is logged and it is started again after a while, ``TokenRefused`` after a longer one;
        ``CannotStart`` ends the process, ``CannotListen`` only where there is no other front end.
        """

    def edit_interval(self, age_s: float) -> float:
        """Least seconds between two edits of a card that is ``age_s`` seconds old."""

    async def show_card(self, address: Address, card: Card, ref: str | None) -> str:
        """Show ``card``: as a new message, or in place of the one ``ref`` names. Returns the message's reference.

        Raises ``TryLater`` or ``Unreachable``; anything else counts as a failure that is tried again.
        """

    async def post(self, address: Address, reply: Reply, key: str) -> None:
        """Post ``reply`` once: a second call with the same ``key`` changes nothing. Raises as ``show_card``."""
