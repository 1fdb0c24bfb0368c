"""One message keeps count of the files that somebody sent together."""

import time

from lorabot.bot.commands.training import no_preset_takes, preset_buttons
from lorabot.bot.intake.report import found_text
from lorabot.bot.intake.service import Intaken
from lorabot.bot.intake.spool import Upload
from lorabot.bot.reply import Button, Reply
from lorabot.locale import translator
from lorabot.presets import Catalogue

_PATIENCE_S = 15.0
"""How long a file that was announced (``of``) and does not come is waited for."""


class Tally:
    """Counts what came of several uploads of one owner in one conversation.

    ``verb`` is that of its preset buttons: ``pick`` proposes the job, ``train`` starts it.
    """

    def __init__(self, presets: Catalogue, language: str, verb: str = "pick") -> None:
        self.language = language
        self.uploads: dict[str, Upload] = {}
        self._presets = presets
        self._verb = verb
        self._intaken: dict[str, Intaken] = {}
        self._done: set[str] = set()
        self._expected = 0
        self._lost = 0
        self._news_at = time.monotonic()

    def take(self, upload: Upload, intaken: Intaken, final: bool) -> bool:
        """News of ``upload``, as ``Announce`` gets them. Says whether it is a new one."""
        new = upload.id not in self.uploads
        if new and self.complete:  # those of before belong to an earlier drop; the next ``of`` counts on from there
            self._expected = len(self.uploads)
        if new:
            self._expected = max(self._expected, upload.of)
        self.uploads[upload.id] = upload
        self._intaken[upload.id] = intaken
        if final:
            self._done.add(upload.id)
        self._news_at = time.monotonic()
        return new

    def lose(self) -> None:
        """A file that was announced was refused or cut off, and will not come."""
        self._lost += 1
        self._news_at = time.monotonic()

    @property
    def complete(self) -> bool:
        """Have all that were announced come?"""
        return len(self.uploads) + self._lost >= self._expected

    @property
    def settled(self) -> bool:
        """Is all looked through that came, and is nothing more on its way?"""
        if not self._done.issuperset(self.uploads):
            return False
        return self.complete or time.monotonic() - self._news_at >= _PATIENCE_S

    @property
    def patience_s(self) -> float:
        """Seconds after which ``settled`` may have changed by itself."""
        return max(0.0, self._news_at + _PATIENCE_S - time.monotonic())

    @property
    def draft(self) -> int:
        """How many images the draft holds now."""
        return max((intaken.draft for intaken in self._intaken.values()), default=0)

    @property
    def found(self) -> str:
        """What was found so far."""
        return found_text(list(self._intaken.values()), self.draft, self.settled, translator(self.language))

    def reply(self) -> Reply:
        """What the message says now; with buttons, and what to do next, once it is settled."""
        if not self.settled or not self.draft:
            return Reply(self.found)
        say, base = translator(self.language), self._presets.bases.usual
        refusal = no_preset_takes(self.draft, self._presets, base)
        following = say("intake-next") if refusal is None else say.text(refusal.message)
        buttons = preset_buttons(self._presets, self.draft, say, base, self._verb)
        return Reply(f"{self.found}\n{following}", (*buttons, Button(say("command-clear"), "clear")))
