"""Why a job does not start although its turn has come."""

from lorabot.locale import Translator
from lorabot.queue import Queue


async def unserved(queue: Queue, base: str, say: Translator) -> list[str]:
    """What keeps a job on ``base`` waiting that waits for no other; empty where a trainer can take it."""
    if not await queue.trainers.present():
        return [say("command-no-trainer")]
    if await queue.trainers.nobody_has(base):
        return [say("command-base-nowhere", base=base)]
    return []
