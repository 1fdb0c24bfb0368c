"""``python -m tools.chat_pictures.record_discord FOLDER``: a real training over the loopback Discord, and its pictures.

Starts `lorabot up` on a folder of its own, lets Anna train on examples/zuri.zip with the demo base, keeps what was
really sent as ``FOLDER/discord-*.json``, and draws each of them as a PNG beside it.
"""

import asyncio
import base64
import sys
import tempfile
from copy import copy
from datetime import UTC, datetime
from pathlib import Path

from tests.discord.flow import AGREE, START
from tests.discord.server import Attachment, DiscordServer, Interaction, Message, Permission, Person
from tests.discord.server.wire import Json, time_of
from tests.discord.server.world import walk
from tools.chat_pictures import discord_dress
from tools.chat_pictures.house import house
from tools.chat_pictures.recorded import Button, ButtonStyle, File, Form, FormField, Invoked, Picture, Recording
from tools.chat_pictures.recorded import Message as Recorded
from tools.chat_pictures.shooting import shoot

_ROOT = Path(__file__).parents[2]
_STYLES: dict[int, ButtonStyle] = {1: "primary", 2: "plain", 4: "danger", 5: "link"}
_TRAINED_S = 1500.0
_WIDTH = 720
_ZIP = "zuri.zip"


def recorded(message: Message, names: dict[str, str]) -> Recorded:
    """A message as it stands now."""
    parts = list(walk(message.components))
    by_name = {file.filename: file for file in message.files}

    def named(media: Json) -> str:
        return str(media["url"]).removeprefix("attachment://")

    shown = [by_name[named(item["media"])] for part in parts if part["type"] == 12 for item in part["items"]]
    taken = [by_name[named(part["file"])] for part in parts if part["type"] == 13]
    rows = [part["components"] for part in parts if part["type"] == 1]
    accent = next((part.get("accent_color") for part in parts if part["type"] == 17), None)
    return Recorded(
        author=message.author.name,
        bot=message.author.bot,
        time=datetime.fromtimestamp(time_of(message.id), UTC).strftime("%H:%M"),
        text=message.text,
        private=message.seen_by is not None,
        invoked=Invoked(by=message.invoked["by"], name=message.invoked["name"]) if message.invoked else None,
        accent=f"#{accent:06x}" if accent is not None else None,
        pictures=tuple(
            Picture(name=one.filename, alt=one.description or "", data=base64.b64encode(one.data).decode())
            for one in shown
        ),
        files=tuple(File(name=one.filename, size=len(one.data)) for one in taken),
        buttons=tuple(tuple(Button(label=one["label"], style=_STYLES[one["style"]]) for one in row) for row in rows),
        mentions=names,
    )


def recorded_form(opened: Interaction, values: dict[str, str]) -> Form:
    """A form, filled in as a person is about to send it."""
    assert opened.modal is not None
    fields = []
    for part in opened.modal["components"]:
        if part["type"] == 10:
            fields.append(FormField(label=part["content"], kind="note"))
            continue
        inner = part["component"]
        value = values.get(inner["custom_id"], "")
        if inner["type"] == 3:
            value = next((one["label"] for one in inner["options"] if one["value"] == value), "")
        fields.append(
            FormField(
                label=part["label"],
                hint=part.get("description") or "",
                kind={3: "choice", 4: "text", 19: "files"}[inner["type"]],
                value=value,
                placeholder=inner.get("placeholder") or "",
            )
        )
    return Form(title=opened.modal["title"], fields=tuple(fields))


class Recorder:
    """Keeps recordings, and draws them."""

    def __init__(self, folder: Path, names: dict[str, str]) -> None:
        self._folder = folder
        self._names = names

    async def keep(self, name: str, title: str, *messages: Message) -> None:
        shown = tuple(recorded(message, self._names) for message in messages)
        await self.draw(name, Recording(platform="discord", title=title, messages=shown))

    async def draw(self, name: str, recording: Recording) -> None:
        recording.save(self._folder / f"{name}.json")
        await shoot(discord_dress.page(recording), self._folder / f"{name}.png", width=_WIDTH)
        print(name, flush=True)


async def record(folder: Path) -> None:
    server = DiscordServer()
    with tempfile.TemporaryDirectory() as data:
        async with server.running():
            guild = server.guild("Painters")
            channel = server.channel(guild)
            mods = server.role(guild, "mods", Permission.MANAGE_MESSAGES)
            anna = Person.at(server, channel)
            mona = Person(server, server.user("mona", "en-US", guild, mods), channel)
            names = {str(user.id): user.name for user in (anna.user, mona.user)} | {str(channel.id): channel.name}
            recorder = Recorder(folder, names)
            settings = {
                "LORABOT_DISCORD__TOKEN": server.token,
                "LORABOT_DISCORD__API_URL": server.api_url,
                "LORABOT_DISCORD__GATEWAY_URL": server.gateway_url,
            }
            async with house(Path(data), **settings):
                await server.gateway.until_connected(120)
                await server.until(lambda: server.rest.commands, 60)
                await visit(server, recorder, anna, mona)
    server.judge()


async def visit(server: DiscordServer, recorder: Recorder, anna: Person, mona: Person) -> None:
    """From the form to the LoRA."""
    channel, title = anna.channel, anna.channel.name
    zipped = await asyncio.to_thread((_ROOT / "examples" / _ZIP).read_bytes)
    filled = {"preset": "anime", "trigger": "zuri", "files": _ZIP}
    opened = await anna.slash("train")
    await server.until(lambda: opened.modal)
    await recorder.draw("discord-form", Recording(platform="discord", title=title, form=recorded_form(opened, filled)))
    sent = await anna.submit(opened, Attachment(_ZIP, zipped), preset="anime", trigger="zuri")
    sent.invoked = opened.invoked
    await server.until(lambda: sent.replies and AGREE in sent.replies[0].labels, 120)
    answer = sent.replies[0]
    answer.invoked = opened.invoked
    consent = copy(answer)
    await anna.press(answer, AGREE)
    await server.until(lambda: START in answer.labels, 30)
    await recorder.keep("discord-confirm", title, consent, answer)

    await anna.press(answer, START)
    await server.until(lambda: server.public(channel), 60)
    card = server.public(channel)[0]
    await server.until(lambda: _percent(card) >= 45 and len(card.files) >= 3, _TRAINED_S)
    await recorder.keep("discord-card", title, card)
    shown = await mona.answered(await mona.slash("queue show"))
    await recorder.keep("discord-queue", title, shown)
    await server.until(lambda: len(server.public(channel)) >= 2 and "Done" in card.text, _TRAINED_S)
    await recorder.keep("discord-result", title, server.public(channel)[-1])


def _percent(card: Message) -> float:
    words = card.text.split(" %")[0].split()
    return float(words[-1]) if words and words[-1].isdigit() else 0.0


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(record(target))
