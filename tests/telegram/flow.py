"""Steps that many tests take: from photos to the question, the confirmation, the job."""

from lorabot.queue import Queue
from lorabot.queue.model import Address, Job
from tests.bot.pictures import zip_of_photos
from tests.bot.platform import asked
from tests.telegram.server import Group, Message, Person


async def images_of(queue: Queue, person: Person, group: Group | None = None) -> int:
    chat = group.chat if group else person.chat
    draft = await queue.drafts.get(f"telegram:{person.member.id}", Address("telegram", str(chat.id)))
    return len(draft.images) if draft else 0


async def asks(queue: Queue, person: Person, group: Group | None = None) -> None:
    """A job of the person, without the way there."""
    chat = group.chat if group else person.chat
    await asked(queue, str(chat.id), "telegram", owner=f"telegram:{person.member.id}")


async def waits_in_line(queue: Queue, person: Person, group: Group | None = None) -> None:
    """A job of the person and its card, without the way there."""
    await asks(queue, person, group)
    await person.sees(lambda message: has_action("cancel:", message), group=group)


def has_action(action: str, message: Message) -> bool:
    """Does a button of ``message`` begin with ``action``?"""
    return any(str(button.get("callback_data", "")).startswith(action) for row in message.keyboard for button in row)


def asks_to_go_on(message: Message) -> bool:
    return has_action("agree:", message) or has_action("start:", message)


async def sends_photos(person: Person, count: int = 12, first: int = 0, group: Group | None = None) -> Message:
    """Send photos in a zip, which is quickest; returns the message that keeps count when it has all."""
    answering = person.received(group)[-1] if group else None
    last = max((message.id for message in person.received(group)), default=0)
    person.sends_file("photos.zip", zip_of_photos(count, first), group=group, reply_to=answering)
    return await person.sees(lambda message: has_action("train", message) and message.id > last, group=group)


async def comes_to_confirm(person: Person, words: str = "/train anime zuri", group: Group | None = None) -> Message:
    """Ask for a training and agree; returns the confirmation."""
    return await agrees(person, person.says(words, group=group), group)


async def agrees(person: Person, said: Message, group: Group | None = None) -> Message:
    """Agree to what is asked behind ``said``; returns the confirmation."""
    question = await person.sees(lambda message: message.id > said.id and asks_to_go_on(message), group=group)
    if has_action("agree:", question):
        person.presses(question, str(question.labels[0]))
        await person.state.until(lambda: has_action("start:", question))
    return question


async def starts(person: Person, queue: Queue, group: Group | None = None) -> Job:
    """Confirm and have the job's card."""
    confirm = await comes_to_confirm(person, group=group)
    await person.answered(person.presses(confirm, "Start"))
    await person.sees(lambda message: has_action("cancel:", message), group=group)
    return (await queue.jobs.of(f"telegram:{person.member.id}", 1))[0]


async def a_job(person: Person, queue: Queue, group: Group | None = None) -> Job:
    """A job that waits in line, and its card."""
    await sends_photos(person, group=group)
    return await starts(person, queue, group)
