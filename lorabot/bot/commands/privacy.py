"""What is kept of people, for how long, and how to have it deleted."""

from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.requests import Actor
from lorabot.bot.intake.service import Intake
from lorabot.bot.reply import Button, Reply
from lorabot.locale import Translator
from lorabot.queue import Queue
from lorabot.queue.model import Address

_CONVERSATIONS_KEPT = "web"
"""The platform whose conversations we keep ourselves."""


class Keeping:
    """``/privacy`` and ``/forgetme``."""

    def __init__(self, queue: Queue, intake: Intake) -> None:
        self._queue = queue
        self._intake = intake

    def privacy(self, say: Translator) -> Reply:
        """The true numbers: those that the sweeper goes by."""
        config = self._queue.config
        text = say("command-privacy", days=config.keep_days, drafts=config.draft_days)
        return Reply(text, (Button(say("command-forget"), "forgetme"),))

    async def forget(self, actor: Actor, address: Address, sure: str | None, say: Translator) -> Reply:
        """Ask first; then delete all at once."""
        if sure is None:
            return Reply(say("command-forget-sure"), (Button(say("command-forget-yes"), "forgetme:yes", "danger"),))
        if sure != "yes":
            raise CommandError("command-old-button")
        ours = address.platform == _CONVERSATIONS_KEPT
        async with self._intake.forgetting(actor.owner):
            forgotten = await self._queue.forget(actor.owner, [address.channel] if ours else [])
        done = say("command-forgotten", jobs=forgotten.jobs, files=forgotten.files)
        return Reply(done if ours else f"{done}\n{say('command-forgotten-chat')}")
