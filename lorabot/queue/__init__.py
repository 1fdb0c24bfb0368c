"""The room of the queue: who waits for what, in which order; files; events. No torch, no chat."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lorabot.queue.config import QueueConfig
    from lorabot.queue.lease import Lease
    from lorabot.queue.migrations import migrate
    from lorabot.queue.reconciler import run_reconciler
    from lorabot.queue.service import Queue, open_queue
    from lorabot.queue.worker import run_worker
else:
    _HOMES = {
        "Lease": "lease",
        "Queue": "service",
        "QueueConfig": "config",
        "migrate": "migrations",
        "open_queue": "service",
        "run_reconciler": "reconciler",
        "run_worker": "worker",
    }

    def __getattr__(name: str) -> object:
        """Import a name when it is first asked for: the settings need no database drivers, which load slowly."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


__all__ = ["Lease", "Queue", "QueueConfig", "migrate", "open_queue", "run_reconciler", "run_worker"]
