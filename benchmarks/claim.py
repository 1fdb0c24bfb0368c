"""How long claiming takes with a long queue: ``python -m benchmarks.claim [DATABASE_URL] [--jobs 10000]``.

Fills a database (a temporary SQLite file by default) with waiting jobs of many owners, claims some of them one after
the other, and prints milliseconds as JSON.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time

from sqlalchemy import insert

from lorabot.queue import QueueConfig, migrate, open_queue
from lorabot.queue.clock import now
from lorabot.queue.tables import datasets, jobs


async def measure(
    database_url: str, count: int, claims: int, paused: int, bases: list[str] | None
) -> dict[str, object]:
    await migrate(database_url)
    with tempfile.TemporaryDirectory() as folder:
        async with open_queue(QueueConfig(), database_url, f"unix://{folder}/none", folder) as queue:
            async with queue.database.write() as connection:
                await connection.execute(insert(datasets).values(id="d", owner="web:0", images=[], created_at=now()))
                rows = [
                    {
                        "id": f"j{number}",
                        "name": "zuri",
                        "owner": f"web:{number % 300}",
                        "address": f"web:c{number * 10 // count}",
                        "scope": f"web:c{number * 10 // count}",
                        "language": "en",
                        "preset": {"id": "anime", "padding": "x" * 2000},
                        "trigger": "zuri",
                        "base": "demo" if number * 10 >= count * 9 else "sdxl",
                        "dataset_id": "d",
                        "seed": 1,
                        "options": {},
                        "state": "queued",
                        "turn": number // 300,
                    }
                    for number in range(count)
                ]
                await connection.execute(insert(jobs).values(created_at=now()), rows)
            for community in range(paused):
                await queue.jobs.pause("benchmark", f"web:c{community}")
            times = []
            for _ in range(claims):
                begin = time.perf_counter()
                lease = await queue.jobs.claim("benchmark", bases)
                times.append((time.perf_counter() - begin) * 1000)
                assert lease is not None
            begin = time.perf_counter()
            place = await queue.jobs.position(f"j{count - 1}")
            position_ms = (time.perf_counter() - begin) * 1000
    times.sort()
    return {
        "jobs": count,
        "claims": claims,
        "paused": paused,
        "claim_ms_median": round(statistics.median(times), 2),
        "claim_ms_p99": round(times[int(len(times) * 0.99)], 2),
        "position_ms": round(position_ms, 2),
        "last_position": place,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database_url", nargs="?")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--claims", type=int, default=300)
    parser.add_argument("--bases", nargs="+", help="base models that the worker has (demo, sdxl); left out: all")
    parser.add_argument("--paused", type=int, default=0, help="communities of ten, the first in line, that are paused")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = words.database_url or f"sqlite:///{folder}/lorabot.sqlite3"
        print(json.dumps(asyncio.run(measure(url, words.jobs, words.claims, words.paused, words.bases))))


if __name__ == "__main__":
    main()
