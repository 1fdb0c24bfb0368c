"""The real bot with its Telegram front end, on loopback, over the real queue."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from lorabot.bot.config import TelegramConfig, WebConfig
from lorabot.bot.parts import Parts
from lorabot.bot.telegram.front_end import TelegramFrontEnd
from lorabot.bot.telegram.pace import Limits
from lorabot.bot.telegram.results import MOST_UPLOAD
from lorabot.bot.telegram.timing import Timing
from lorabot.queue import Queue
from tests.bot.house import INTAKE, WEB, running_bot
from tests.telegram.server import TelegramServer

# The bot waits for nothing where the server counts nothing.
NO_LIMITS = Limits(chat_s=0, group_per_minute=10**6, progress_per_minute=10**6, overall_per_s=10**6)
QUICK = Timing(
    edit_s=0, group_edit_s=0, first_s=0.05, quiet_s=0.15, count_edit_s=0.2, album_s=1.0, fetch_again_s=(0.05, 0.05, 0.1)
)
OPERATOR = 42
ROOMY = INTAKE.model_copy(update={"max_file_bytes": 100_000_000, "max_unpacked_bytes": 100_000_000})


@dataclass(frozen=True, slots=True)
class House:
    """A running bot and the Telegram it talks to."""

    telegram: TelegramServer
    queue: Queue
    folder: Path
    url: str


def config_for(server: TelegramServer, **more: object) -> TelegramConfig:
    return TelegramConfig.model_validate(
        {"token": SecretStr(server.token), "api_url": server.url, "file_url": server.file_url, "operators": (OPERATOR,)}
        | more
    )


@asynccontextmanager
async def telegram_bot(
    server: TelegramServer,
    queue: Queue,
    folder: Path,
    config: TelegramConfig | None = None,
    limits: Limits = NO_LIMITS,
    most_upload: int | None = MOST_UPLOAD,
    web: WebConfig = WEB,
    timing: Timing = QUICK,
    connects: bool = True,
) -> AsyncIterator[House]:
    """The bot until the block ends."""

    def make(parts: Parts) -> TelegramFrontEnd:
        return TelegramFrontEnd(parts, config or config_for(server), limits, timing, most_upload)

    async with running_bot(queue, folder, web=web, intake=ROOMY, front_ends=[make]) as running:
        if connects:
            await server.state.until(lambda: server.state.polls > 0 or server.state.webhook is not None)
        yield House(server, queue, folder, running.url)
