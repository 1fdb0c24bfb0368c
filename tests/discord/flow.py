"""What people do again and again: ask for a training, agree, start; and ways to a job without any of it."""

from lorabot.queue import Lease, Queue
from lorabot.queue.model import Address, Image, NewJob
from tests.bot.house import PRESETS, claimed
from tests.bot.pictures import photo, zip_of_photos
from tests.discord.server import Attachment, Channel, DiscordServer, Interaction, Message, Person

AGREE, START, CANCEL = "I agree", "Start", "Cancel"


def photos(count: int = 12, name: str = "photos.zip") -> Attachment:
    """A zip of photos."""
    return Attachment(name, zip_of_photos(count))


def jpegs(count: int, first: int = 0) -> list[Attachment]:
    return [Attachment(f"p{number}.jpg", photo(number)) for number in range(first, first + count)]


async def looked_through(person: Person, interaction: Interaction) -> Message:
    """The answer about files; before it there may be news of how far they are looked through, without buttons."""
    await person.server.until(lambda: any(reply.labels for reply in interaction.replies))
    return next(reply for reply in interaction.replies if reply.labels)


async def confirmation(person: Person, interaction: Interaction) -> Message:
    """The message with Start under it; agrees on the way where that is asked."""
    server = person.server
    await server.until(lambda: any({AGREE, START} & set(reply.labels) for reply in interaction.replies))
    message = next(reply for reply in interaction.replies if {AGREE, START} & set(reply.labels))
    if AGREE in message.labels:
        await person.press(message, AGREE)
        await server.until(lambda: START in message.labels)
    return message


async def started(person: Person, interaction: Interaction) -> Message:
    """Press Start; returns the job's card."""
    before = len(person.server.public(person.channel))
    await person.press(await confirmation(person, interaction), START)
    await person.server.until(lambda: len(person.server.public(person.channel)) > before)
    return person.server.public(person.channel)[before]


async def a_job(person: Person, queue: Queue, name: str = "zuri") -> Message:
    """A job that ``person`` has asked for in the channel; returns its card. Nothing had to be uploaded for it."""
    channel = person.channel
    place = Address("discord", f"{channel.guild.id if channel.guild else '@me'}/{channel.id}")
    owner = f"discord:{person.user.id}"
    image = Image("a.png", "images/a/a.webp", "a" * 64, 100, 100, 10)
    await queue.drafts.add(owner, place, [image])
    dataset = await queue.drafts.seal(owner, place)
    preset = PRESETS.get("anime").model_dump(mode="json")
    before = len(person.server.public(channel))
    await queue.jobs.submit(
        NewJob(
            name=name,
            owner=owner,
            address=place,
            language="en",
            preset=preset,
            vocabulary=None,
            trigger="zuri",
            base="demo",
            dataset_id=dataset.id,
            seed=1,
        )
    )
    await person.server.until(lambda: len(person.server.public(channel)) > before)
    return person.server.public(channel)[before]


async def a_running_job(person: Person, queue: Queue, name: str = "zuri") -> tuple[Message, Lease]:
    """Its card, and the lease of the worker that trains it."""
    card = await a_job(person, queue, name)
    return card, await claimed(queue)


def last(server: DiscordServer, channel: Channel) -> Message:
    """The newest message that everybody sees."""
    return server.public(channel)[-1]
