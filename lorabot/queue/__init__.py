"""The room of the queue: who waits for what, in which order; files; events. No torch, no chat."""

from lorabot.queue.config import QueueConfig
from lorabot.queue.lease import Lease
from lorabot.queue.migrations import migrate
from lorabot.queue.reconciler import run_reconciler
from lorabot.queue.service import Queue, open_queue
from lorabot.queue.worker import run_worker

__all__ = ["Lease", "Queue", "QueueConfig", "migrate", "open_queue", "run_reconciler", "run_worker"]
