"""``python -m tools.chat_pictures RECORDING.json PICTURE.png``: draw a recorded conversation."""

import asyncio
import sys
from pathlib import Path

from tools.chat_pictures import discord_dress
from tools.chat_pictures.recorded import Recording
from tools.chat_pictures.shooting import shoot

_WIDTH = 720


def draw(recording: Recording) -> str:
    """The page of a recording, by its platform."""
    match recording.platform:
        case "discord":
            return discord_dress.page(recording)
        case "telegram":
            raise SystemExit("there is no dress for Telegram")


if __name__ == "__main__":
    source, target = sys.argv[1:]
    asyncio.run(shoot(draw(Recording.load(Path(source))), Path(target), width=_WIDTH))
