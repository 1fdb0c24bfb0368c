"""``python -m tools.chat_pictures RECORDING.json PICTURE.png``: draw a recorded conversation."""

import asyncio
import sys
from pathlib import Path

from tools.chat_pictures import discord_dress, telegram_dress
from tools.chat_pictures.recorded import Recording
from tools.chat_pictures.shooting import shoot

_WIDTHS = {"discord": 720, "telegram": 440}


def draw(recording: Recording) -> str:
    """The page of a recording, by its platform."""
    match recording.platform:
        case "discord":
            return discord_dress.page(recording)
        case "telegram":
            return telegram_dress.page(recording)


if __name__ == "__main__":
    source, target = sys.argv[1:]
    recording = Recording.load(Path(source))
    asyncio.run(shoot(draw(recording), Path(target), width=_WIDTHS[recording.platform]))
