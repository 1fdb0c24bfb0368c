"""What people do again and again: ask for a training, agree, start; and ways to a job without any of it."""

from lorabot.queue import Lease, Queue
from tests.bot.house import claimed
from tests.bot.pictures import photo, zip_of_photos
from tests.discord.server import Attachment, Channel, DiscordServer, Interaction, Message, Person

AGREE, START, CANCEL = "I agree", "Start", "Cancel"


def photos(count: int = 12, name: str = "photos.zip") -> Attachment:
    """A zip of photos."""
    return Attachment(name, zip_of_photos(count))


def jpegs(count: int, first: int = 0) -> list[Attachment]:
    return [Attachment(f"p{number}.jpg", photo(number)) for number in range(first, first + count)]


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


async def a_job(person: Person, trigger: str = "zuri") -> Message:
    """A job from ``/train`` with a zip; returns its card."""
    return await started(person, await person.slash("train", preset="anime", trigger=trigger, images=photos()))


async def a_running_job(person: Person, queue: Queue) -> tuple[Message, Lease]:
    card = await a_job(person)
    return card, await claimed(queue)


def last(server: DiscordServer, channel: Channel) -> Message:
    """The newest message that everybody sees."""
    return server.public(channel)[-1]
