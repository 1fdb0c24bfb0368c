"""How a running job is told to stop: flags that the job looks at between any two steps."""

import threading

from lorabot.trainer.errors import Cancelled, Suspended


class Control:
    """Set from the protocol's thread, checked by the job's."""

    def __init__(self) -> None:
        self._cancel = threading.Event()
        self._suspend = threading.Event()

    def cancel(self) -> None:
        self._cancel.set()

    def suspend(self) -> None:
        self._suspend.set()

    def check(self) -> None:
        """Raise ``Cancelled`` or ``Suspended`` if that was asked for; a cancel outweighs a suspension."""
        if self._cancel.is_set():
            raise Cancelled
        if self._suspend.is_set():
            raise Suspended

    def check_cancel(self) -> None:
        """Raise ``Cancelled`` if that was asked for; for where a suspension saves something first."""
        if self._cancel.is_set():
            raise Cancelled
