"""arq tickets: each says that something may be runnable, and names no job."""

import secrets

from arq.connections import ArqRedis
from arq.constants import default_queue_name

FUNCTION = "ticket"
_RECONCILER = "lorabot:reconciler"


class Tickets:
    """The tickets in Redis. Methods raise ``redis.AWAY`` errors."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def add(self, count: int = 1) -> None:
        for _ in range(count):
            await self._redis.enqueue_job(FUNCTION)

    async def count(self) -> int:
        """Tickets that wait, and those in the hands of workers."""
        return int(await self._redis.zcard(default_queue_name))

    async def my_turn(self, seconds: float) -> bool:
        """Whether the caller is the one who reconciles for the next ``seconds``: several would add too many tickets."""
        return bool(await self._redis.set(_RECONCILER, secrets.token_hex(8), nx=True, px=int(seconds * 1000)))
