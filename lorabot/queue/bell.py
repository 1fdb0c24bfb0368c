"""What the store rings after a commit. Nobody has to hear it: those who wait also look by themselves."""

from typing import Protocol


class Bell(Protocol):
    """Rung after a change is committed. Never blocks and never fails."""

    def changed(self, topic: str) -> None:
        """Something under ``topic`` is new: ``job:<id>``, ``outbox`` or ``transcript:<conversation>``."""

    def runnable(self) -> None:
        """One more job can be claimed."""
