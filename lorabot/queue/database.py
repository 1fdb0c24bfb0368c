"""The SQL database: URL to engine, transactions, and which failures mean that it is away for now."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asyncpg.exceptions import InterfaceError, PostgresError
from sqlalchemy import URL, Connection, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from lorabot.queue.errors import BadUrl, StoreUnavailable

_log = logging.getLogger(__name__)
BUSY_TIMEOUT_MS = 5000
_CONNECT_TIMEOUT_S = 5.0
_COMMAND_TIMEOUT_S = 15.0
_COMPLAIN_AGAIN_S = 60.0
# Primary result codes that say nothing about the statement: busy, locked, read-only, I/O error, full, can't open.
_SQLITE_AWAY = {5, 6, 8, 10, 13, 14}
_SQLITE_NOT_A_DATABASE = 26
# SQLSTATE classes: connection exception, insufficient resources, operator intervention, system error.
_POSTGRESQL_AWAY = ("08", "53", "57P", "58")
# Invalid authorization, invalid catalog name, insufficient privilege.
_POSTGRESQL_REFUSES = ("28", "3D", "42501")
# Those asyncpg knows. Dropping another one in silence could drop somebody's encryption.
_POSTGRESQL_OPTIONS = {"ssl", "host", "port", "passfile", "prepared_statement_cache_size"}


def parse_database_url(text: str) -> URL:
    """``sqlite:///file`` or ``postgresql://...`` with our asynchronous driver. Raises ``BadUrl``."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise BadUrl(
            "the database URL is none; it looks like sqlite:///lorabot.sqlite3 or postgresql://host/name"
        ) from None
    kind = url.drivername.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return _for_asyncpg(url)
    if kind == "sqlite":
        if url.query:
            raise BadUrl(f"the database URL has options that SQLite does not take: {', '.join(sorted(url.query))}")
        if not url.database or url.database == ":memory:":
            raise BadUrl("the database URL names no file; several processes share it, so it can't be in memory")
        return url.set(drivername="sqlite+aiosqlite")
    raise BadUrl(f"the database URL starts with {kind!r}; it must be sqlite:// or postgresql://")


def _for_asyncpg(url: URL) -> URL:
    """libpq's spelling of options, as providers hand it out, in asyncpg's."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    if unknown := query.keys() - _POSTGRESQL_OPTIONS:
        raise BadUrl(f"the database URL has options that are not supported: {', '.join(sorted(unknown))}")
    return url.set(drivername="postgresql+asyncpg", query=query)


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite URL; None for other databases."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def create_engine(url: URL, *, create: bool = False) -> AsyncEngine:
    """The engine for a URL of ``parse_database_url``. Only with ``create`` a missing SQLite file is made."""
    file = sqlite_file(url)
    if file is None:
        return create_async_engine(
            url,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=5,
            pool_timeout=10.0,
            connect_args={
                "timeout": _CONNECT_TIMEOUT_S,
                "command_timeout": _COMMAND_TIMEOUT_S,
                "server_settings": {"application_name": "lorabot", "timezone": "UTC"},
            },
        )
    # mode=rw: were the file away for a moment, a plain open would put an empty database in its place.
    name = URL.create(
        "sqlite+aiosqlite",
        database=f"file:{quote(str(file))}",
        query={"mode": "rwc" if create else "rw", "uri": "true"},
    )
    engine = create_async_engine(name, pool_size=5, max_overflow=5, pool_timeout=10.0)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # _begin_sqlite begins, not the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading a reader later fails when somebody else wrote in between.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Database:
    """Transactions on one engine. Raises ``StoreUnavailable`` while the database is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.postgresql = engine.dialect.name == "postgresql"
        # SQLite has one writer; queueing for it here is quicker than its sleeping retries.
        self._turn = None if self.postgresql else asyncio.Lock()
        self._last_away: float | None = None
        self._complained_at = float("-inf")

    @property
    def steady_s(self) -> float:
        """How long the database has been there without interruption, as far as this process knows."""
        return float("inf") if self._last_away is None else time.monotonic() - self._last_away

    @contextmanager
    def _outages(self) -> Iterator[None]:
        try:
            with outages():
                yield
        except StoreUnavailable as error:
            self._last_away = time.monotonic()
            # On a full disk reading goes on and writing does not, so that it is away and back all the time.
            if self._last_away - self._complained_at >= _COMPLAIN_AGAIN_S:
                self._complained_at = self._last_away
                _log.warning("the database is away: %s", error.reason)
            raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        with self._outages():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back when the block raises."""
        with self._outages():
            async with self._turn or nullcontext(), self._engine.connect() as connection:
                await connection.execution_options(writes=True)
                async with connection.begin():
                    yield connection

    async def lock(self, connection: AsyncConnection, name: str) -> None:
        """Keep others who lock the same name out until the transaction ends. SQLite's writer is alone anyway."""
        if self.postgresql:
            await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))

    async def close(self) -> None:
        await self._engine.dispose()


@contextmanager
def outages() -> Iterator[None]:
    """Turn failures that say that the database is away into ``StoreUnavailable``."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, PostgresError, InterfaceError, OSError) as error:
        if is_away(error):
            raise StoreUnavailable(_reason(error)) from error
        if (refusal := _refusal(error)) is not None:
            raise BadUrl(f"the database can't be used: {refusal}") from None
        raise


def is_away(error: BaseException) -> bool:
    """Whether ``error`` says that the database can't be reached now, and nothing about the statement."""
    if isinstance(error, OSError | PoolTimeout):  # TimeoutError is an OSError
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_away(error.orig))
    if isinstance(error, sqlite3.Error):
        return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _SQLITE_AWAY
    if isinstance(error, InterfaceError):
        return True
    state = getattr(error, "sqlstate", None)
    return isinstance(state, str) and state.startswith(_POSTGRESQL_AWAY)


def _reason(error: BaseException) -> str:
    """Why it is away, in its own words, without the statement and its values."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return _reason(error.orig)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _refusal(error: BaseException) -> str | None:
    """What the database says when it is there but not for us: wrong password, no such database, not a database."""
    if isinstance(error, DBAPIError):
        return None if error.orig is None else _refusal(error.orig)
    if isinstance(error, sqlite3.Error):
        return str(error) if (getattr(error, "sqlite_errorcode", 0) & 0xFF) == _SQLITE_NOT_A_DATABASE else None
    state = getattr(error, "sqlstate", None)
    return str(error) if isinstance(state, str) and state.startswith(_POSTGRESQL_REFUSES) else None


def without_password(url: str) -> str:
    """``url`` as it may stand in a log: no password, and no query, which may carry keys."""
    scheme, colon, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    secret, at, host = place.rpartition("@")
    return f"{scheme}{colon}{'***@' if secret or at else ''}{host}{slash}{path}".partition("?")[0]
