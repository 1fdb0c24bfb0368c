"""People who ask, without a chat platform between them and the commands."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from lorabot.bot.commands import Actor, Commands, parse, parse_action
from lorabot.bot.commands.requests import Propose, Request, Train
from lorabot.bot.intake.service import Intake
from lorabot.bot.reply import Reply
from lorabot.queue import Queue
from lorabot.queue.keys import image_key
from lorabot.queue.model import Address, Image
from tests.bot.house import INTAKE, PRESETS

SQUARE = Address("fake", "town/square")


@dataclass
class Person:
    """Somebody in a channel of a community. Typed lines and pressed buttons are handled as a platform would."""

    commands: Commands
    queue: Queue
    name: str = "ann"
    place: Address = SQUARE
    language: str = "en"
    moderator: bool = False
    operator: bool = False
    overheard: bool = False
    photos: int = field(default=0, init=False)

    @property
    def owner(self) -> str:
        return f"fake:{self.name}"

    @property
    def actor(self) -> Actor:
        return Actor(self.owner, self.language, self.moderator, self.operator, self.overheard)

    async def ask(self, request: Request) -> Reply:
        return await self.commands.handle(self.actor, self.place, request)

    async def say(self, text: str) -> Reply:
        request = parse(text, PRESETS)
        return await self.ask(Propose(request) if isinstance(request, Train) else request)

    async def press(self, reply: Reply, action: str) -> Reply:
        """The button of ``reply`` whose action begins with ``action``."""
        (button,) = [button for button in reply.buttons if button.action.startswith(action)]
        assert len(button.action.encode()) <= 64
        return await self.ask(parse_action(button.action))

    async def send(self, count: int) -> None:
        """Photos into the draft."""
        images = []
        for number in range(self.photos, self.photos + count):
            digest = sha256(f"{self.owner} {number}".encode()).hexdigest()
            key = image_key(self.owner, digest)
            await self.queue.blobs.put(key, b"photo")
            images.append(Image(f"{number}.jpg", key, digest, 512, 512, 5))
        self.photos += count
        await self.queue.drafts.add(self.owner, self.place, images)

    async def started(self, words: str = "anime zuri") -> str:
        """Ask for a job with fresh photos, say yes to all; the job's id."""
        await self.send(12)
        reply = await self.say(f"/train {words}")
        if any(button.action.startswith("agree:") for button in reply.buttons):
            reply = await self.press(reply, "agree:")
        await self.press(reply, "start:")
        return (await self.queue.jobs.of(self.owner, 1))[0].id


def person(queue: Queue, folder: Path, name: str = "ann", **about: object) -> Person:
    """Somebody who speaks to a bot of their own over ``queue``."""
    commands = Commands(queue, PRESETS, Intake(queue, INTAKE, folder / "bot"))
    return Person(commands, queue, name, **about)  # type: ignore[arg-type]
