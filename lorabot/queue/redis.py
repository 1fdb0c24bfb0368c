"""Connections to Redis or Valkey."""

import json
from typing import Any

from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, TimeoutError  # noqa: A004

from lorabot.queue.errors import BadUrl

# What it looks like when Redis is away. RedisError as a whole: a broken connection within WATCH is a WatchError.
AWAY = (RedisError, OSError)
_CONNECT_TIMEOUT_S = 2.0
_ANSWER_TIMEOUT_S = 5.0


def connect(url: str, *, patient: bool, expires_s: float = 604_800.0) -> ArqRedis:
    """A lazy connection pool for a ``redis://``, ``rediss://`` or ``unix://`` URL. Raises ``BadUrl``.

    A ``patient`` one retries for about two seconds before it fails: for workers. Jobs are JSON, since arq's pickle
    lets anyone who can write to Redis run code in the worker.
    """
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise BadUrl("the Redis URL must start with redis://, rediss:// or unix://")
    backoff = ExponentialBackoff(cap=0.5, base=0.05) if patient else NoBackoff()
    try:
        pool = ConnectionPool.from_url(
            url,
            retry=Retry(backoff, 6 if patient else 0),
            retry_on_error=[ConnectionError, TimeoutError, BusyLoadingError] if patient else [],
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            socket_timeout=_ANSWER_TIMEOUT_S,
            health_check_interval=30,
        )
    except ValueError:
        raise BadUrl("the Redis URL can't be read; it looks like redis://user:password@host:6379/0") from None
    return ArqRedis(
        pool,
        job_serializer=serialize,
        job_deserializer=deserialize,
        expires_extra_ms=int(expires_s * 1000),
    )


def serialize(value: dict[str, Any]) -> bytes:
    return json.dumps(value, default=str).encode()


def deserialize(data: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(data)
    return value
