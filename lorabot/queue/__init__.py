"""The room of the queue: who waits for what, in which order; files; events. No torch, no chat."""

from lorabot.queue.config import QueueConfig
from lorabot.queue.lease import Lease
from lorabot.queue.migrations import migrate
from lorabot.queue.service import Queue, open_queue

__all__ = ["Lease", "Queue", "QueueConfig", "migrate", "open_queue"]
