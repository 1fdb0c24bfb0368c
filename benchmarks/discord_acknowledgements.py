"""How soon Discord hears from us when a whole server trains at once: ``python benchmarks/discord_acknowledgements.py``.

100 members send ``/train`` with a zip of 12 photos within ten seconds to an unpatched ``lorabot bot`` process, which
has to take the files, look through them and answer meanwhile. Discord drops what is not acknowledged within 3 seconds.
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
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.discord.server import Attachment, DiscordServer, Interaction, Person
from tests.house import free_port, started

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("discord.py", "aiohttp", "pillow", "sqlalchemy")
_LIMIT_MS = 3000.0


async def measure(members: int, seconds: float) -> dict[str, object]:
    from tests.bot.pictures import zip_of_photos

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
                photos = [Attachment(f"{number}.zip", zip_of_photos(12, number)) for number in range(8)]
                moments = sorted(random.Random(1).uniform(0, seconds) for _ in people)
                begun = time.perf_counter()
                pressed = [
                    asyncio.create_task(_press(person, photos[number % 8], begun + moment))
                    for number, (person, moment) in enumerate(zip(people, moments, strict=True))
                ]
                interactions = [await one for one in pressed]
                await server.until(
                    lambda: all(one.took_s is not None for one in interactions) or server.missed(), seconds + 30
                )
                await server.until(lambda: all(one.replies or one in server.missed() for one in interactions), 600)
                answered_s = time.perf_counter() - begun
    took = sorted(one.took_s * 1000 for one in interactions if one.took_s is not None)
    return {
        "benchmark": "discord_acknowledgements",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_before": round(load, 1),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "members": members,
        "within_s": seconds,
        "acknowledged_in_time": sum(one < _LIMIT_MS for one in took),
        "p50_ms": round(statistics.median(took), 1),
        "p99_ms": round(took[math.ceil(0.99 * len(took)) - 1], 1),
        "max_ms": round(took[-1], 1),
        "all_answered_after_s": round(answered_s, 1),
        "violations": server.violations,
    }


async def _press(person: Person, photos: Attachment, moment: float) -> Interaction:
    await asyncio.sleep(max(0.0, moment - time.perf_counter()))
    return await person.slash("train", preset="anime", trigger="zuri", images=photos)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.members, arguments.seconds))
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "discord_acknowledgements.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
