"""The answer to who cancels a job: whether it has ended, and whether the photos are there again."""

from lorabot.bot.commands.requests import Actor
from lorabot.bot.result import with_photos
from lorabot.locale import Translator
from lorabot.queue import Queue
from lorabot.queue.model import Address, Job, Returned


async def cancelled(queue: Queue, job: Job, actor: Actor, address: Address, say: Translator) -> str:
    """Of one's own job that waited nothing else tells; of others the outcome will tell their owner."""
    if not job.state.final:
        return say("command-cancelling", name=job.name)
    here = job.owner == actor.owner and job.address == address
    photos = await queue.drafts.returned(job) if here else Returned()
    return with_photos(say("command-cancelled", name=job.name), photos, say)
