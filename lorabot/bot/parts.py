"""What run_bot hands to each front end."""

from collections.abc import Callable
from dataclasses import dataclass

from lorabot.bot.commands import Commands
from lorabot.bot.front_end import FrontEnd
from lorabot.bot.intake.service import Intake
from lorabot.bot.web.links import Links
from lorabot.queue import Queue


@dataclass(frozen=True, slots=True)
class Parts:
    """The bot's common parts. ``language`` is the one to speak where a person's own is not known."""

    queue: Queue
    commands: Commands
    intake: Intake
    links: Links
    language: str


MakeFrontEnd = Callable[[Parts], FrontEnd]
"""Makes a front end; called once, inside the running loop."""
