"""``python -m tools.chat_pictures.record_telegram FOLDER``: a real training over a loopback Telegram, as pictures.

Starts `lorabot up` on a folder of its own, lets Anna send the photos of examples/zuri.zip and train on the demo base,
keeps what was really sent as ``FOLDER/telegram-*.json``, and draws each of them as a PNG beside it.
"""

import asyncio
import base64
import io
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from tests.telegram.flow import has_action
from tests.telegram.server import Message, Person, TelegramServer
from tools.chat_pictures import telegram_dress
from tools.chat_pictures.house import house
from tools.chat_pictures.recorded import Button, ButtonStyle, File, Picture, Recording
from tools.chat_pictures.recorded import Message as Recorded
from tools.chat_pictures.shooting import shoot

_ROOT = Path(__file__).parents[2]
_STYLES: dict[str | None, ButtonStyle] = {"primary": "primary", "danger": "danger", None: "plain"}
_TRAINED_S = 1500.0
_WIDTH = 440
_MOST_SIDE = 900
_PHOTOS = 10


def recorded(*messages: Message) -> tuple[Recorded, ...]:
    """Messages as they stand now; those of an album as one."""
    found: list[Recorded] = []
    albums: list[str | None] = []
    for message in messages:
        one = _recorded(message)
        if message.album is not None and albums and albums[-1] == message.album:
            found[-1] = found[-1].model_copy(update={"pictures": (*found[-1].pictures, *one.pictures)})
        else:
            found.append(one)
            albums.append(message.album)
    return tuple(found)


def _recorded(message: Message) -> Recorded:
    file = message.file
    shown = file is not None and file.kind == "photo"
    pictures = [Picture(name=file.name, content_type="image/jpeg", data=_small(file.data))] if file and shown else []
    return Recorded(
        author=message.sender.first_name,
        bot=message.sender.is_bot,
        time=datetime.fromtimestamp(message.at, UTC).strftime("%H:%M"),
        text=message.source or message.text,
        pictures=tuple(pictures),
        files=(File(name=file.name, size=file.size),) if file and not shown else (),
        buttons=tuple(
            tuple(Button(label=str(one["text"]), style=_STYLES[one.get("style")]) for one in row)
            for row in message.keyboard
        ),
    )


def _small(data: bytes) -> str:
    """A picture as it is shown on a phone."""
    with Image.open(io.BytesIO(data)) as picture:
        shown = picture.convert("RGB")
        shown.thumbnail((_MOST_SIDE, _MOST_SIDE))
        buffer = io.BytesIO()
        shown.save(buffer, "JPEG", quality=88)
    return base64.b64encode(buffer.getvalue()).decode()


async def keep(folder: Path, name: str, messages: Sequence[Recorded]) -> None:
    recording = Recording(platform="telegram", title="lorabot", messages=tuple(messages))
    recording.save(folder / f"{name}.json")
    await shoot(telegram_dress.page(recording), folder / f"{name}.png", width=_WIDTH)
    print(name, flush=True)


async def record(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        async with TelegramServer().serving() as server:
            settings = {
                "LORABOT_TELEGRAM__TOKEN": server.token,
                "LORABOT_TELEGRAM__API_URL": server.url,
                "LORABOT_TELEGRAM__FILE_URL": server.file_url,
            }
            async with house(Path(data), **settings):
                await server.state.until(lambda: len(server.state.commands) == 9, 120)
                await visit(server, folder, server.person("Anna"))


async def visit(server: TelegramServer, folder: Path, anna: Person) -> None:
    """From the first photo to the LoRA."""
    photos = await asyncio.to_thread(_photos)
    sent = anna.sends_album([data for _, data in photos[:_PHOTOS]])
    rest = [anna.sends_file(name, data) for name, data in photos[_PHOTOS:]]
    count = await anna.sees(f"{len(photos)} good pictures", timeout_s=120)
    first = recorded(*sent, *rest, count)
    anna.presses(count, "Train")
    question = await anna.sees("What shall it learn?")
    presets = recorded(question)
    anna.presses(question, str(question.button("Anime")["text"]))
    await server.state.until(lambda: "just type your own" in question.text)
    words = recorded(question)
    await keep(folder, "telegram-photos", [*first, *presets])

    typed = anna.says("zuri")
    consent = await anna.sees(lambda message: has_action("agree:", message))
    agreed = recorded(consent)
    anna.presses(consent, str(consent.labels[0]))
    await server.state.until(lambda: has_action("start:", consent), 30)
    await keep(folder, "telegram-confirm", [*words, *recorded(typed), *agreed, *recorded(consent)])

    anna.presses(consent, "Start")
    card = await anna.sees(lambda message: has_action("cancel:", message), timeout_s=60)
    await server.state.until(lambda: card.file is not None and _percent(card) >= 45, _TRAINED_S)
    await keep(folder, "telegram-card", recorded(card))
    result = await anna.sees(lambda message: has_action("again:", message), timeout_s=_TRAINED_S)
    album = [message for message in anna.received() if message.album]
    await keep(folder, "telegram-result", recorded(*album, result))


def _photos() -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(_ROOT / "examples" / "zuri.zip") as archive:
        kinds = (".jpg", ".jpeg", ".png", ".webp")
        named = [Path(name) for name in archive.namelist()]
        names = sorted(str(name) for name in named if name.suffix.lower() in kinds and not name.name.startswith("."))
        return [(Path(name).name, archive.read(name)) for name in names]


def _percent(card: Message) -> float:
    words = card.text.split(" %")[0].split()
    return float(words[-1]) if words and words[-1].isdigit() else 0.0


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(record(target))
