"""How soon Discord hears from us when a whole server trains at once: ``python -m benchmarks.discord_acknowledgements``.

100 members ask within ten seconds, and an unpatched ``lorabot bot`` process has to take the files, look through them
and answer meanwhile: first each with ``/train`` and a zip of 12 photos, then each with 'Train a LoRA from this' on a
message of ten photos. Discord drops what is not acknowledged within 3 seconds.
Prints milliseconds from the press to the acknowledgement as JSON; ``--save`` keeps it in ``benchmarks/results``.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

from tests.bot.pictures import photo, zip_of_photos
from tests.discord.server import Attachment, DiscordServer, Interaction, Person
from tests.house import free_port, started

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("discord.py", "aiohttp", "pillow", "sqlalchemy")
_LIMIT_MS = 3000.0


Ask = Callable[[Person], Awaitable[Callable[[], Awaitable[Interaction]]]]
"""Prepares what a person asks with; what it returns asks."""


async def _zip(person: Person) -> Callable[[], Awaitable[Interaction]]:
    photos = Attachment("photos.zip", _some_zip(person.user.id % 8))
    return lambda: person.slash("train", preset="anime", trigger="zuri", images=photos)


async def _loose(person: Person) -> Callable[[], Awaitable[Interaction]]:
    photos = [Attachment(f"{number}.jpg", _some_photo(number)) for number in range(10)]
    message = await person.send("my photos", *photos)
    return lambda: person.use(message, "Train a LoRA from this")


@cache
def _some_zip(number: int) -> bytes:
    return zip_of_photos(12, number)


@cache
def _some_photo(number: int) -> bytes:
    return photo(number)


async def measure(ask: Ask, members: int, seconds: float) -> dict[str, object]:
    load = os.getloadavg()[0]
    server = DiscordServer()
    server.expect_late()
    with tempfile.TemporaryDirectory() as folder:
        async with server.running():
            settings = {
                "LORABOT_DATA_DIR": f"{folder}/data",
                "LORABOT_WEB__PORT": str(free_port()),
                "LORABOT_DISCORD__TOKEN": server.token,
                "LORABOT_DISCORD__API_URL": server.api_url,
                "LORABOT_DISCORD__GATEWAY_URL": server.gateway_url,
            }
            guild = server.guild()
            channel = server.channel(guild)
            people = [Person.at(server, channel, f"member{number}") for number in range(members)]
            with started("bot", cwd=Path(folder), **settings):
                await server.gateway.until_connected(90)
                await server.until(lambda: server.rest.commands, 60)
                ready = [await ask(person) for person in people]
                moments = sorted(random.Random(1).uniform(0, seconds) for _ in people)
                begun = time.perf_counter()
                pressed = [
                    asyncio.create_task(_press(one, begun + moment)) for one, moment in zip(ready, moments, strict=True)
                ]
                interactions = [await one for one in pressed]
                await server.until(
                    lambda: all(one.took_s is not None for one in interactions) or server.missed(), seconds + 30
                )
                await server.until(lambda: all(one.replies or one in server.missed() for one in interactions), 600)
                answered_s = time.perf_counter() - begun
    took = sorted(one.took_s * 1000 for one in interactions if one.took_s is not None)
    return {
        "load_before": round(load, 1),
        "acknowledged_in_time": sum(one < _LIMIT_MS for one in took),
        "p50_ms": round(statistics.median(took), 1),
        "p99_ms": round(took[math.ceil(0.99 * len(took)) - 1], 1),
        "max_ms": round(took[-1], 1),
        "all_answered_after_s": round(answered_s, 1),
        "violations": server.violations,
    }


async def _press(ask: Callable[[], Awaitable[Interaction]], moment: float) -> Interaction:
    await asyncio.sleep(max(0.0, moment - time.perf_counter()))
    return await ask()


async def measure_both(members: int, seconds: float) -> dict[str, object]:
    return {
        "benchmark": "discord_acknowledgements",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "members": members,
        "within_s": seconds,
        "a zip of 12 photos each": await measure(_zip, members, seconds),
        "ten loose photos each": await measure(_loose, members, seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    result = asyncio.run(measure_both(arguments.members, arguments.seconds))
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "discord_acknowledgements.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
