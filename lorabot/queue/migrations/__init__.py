"""The database's versions, and the way to the newest one."""

import asyncio
import importlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from lorabot.queue.database import (
    BUSY_TIMEOUT_MS,
    Database,
    create_engine,
    outages,
    parse_database_url,
    sqlite_file,
)
from lorabot.queue.errors import BadUrl, NewerDatabase

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).parent
_TRY_AGAIN_S = 0.02
_MAY_MAKE_TABLES = "SELECT has_schema_privilege(current_schema(), 'CREATE')"


def _config(connection: Connection | None = None) -> "Config":
    # Alembic is slow to import, and of all a process does only this needs it.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The newest version there is."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def known() -> frozenset[str]:
    """Every version that this lorabot knows the way from."""
    from alembic.script import ScriptDirectory

    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


async def migrate(database_url: str, to: str = "head") -> None:
    """Bring the database to the newest version, or to the version ``to``; make an SQLite file that is not there.

    All or nothing, and safe when several processes start at once. Raises ``BadUrl``, ``StoreUnavailable``, and
    ``NewerDatabase`` when a newer lorabot has been here.
    """
    url = parse_database_url(database_url)
    file = sqlite_file(url)
    if file is not None:
        await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
    database = Database(create_engine(url, create=True))
    try:
        if file is not None:
            with outages():
                await asyncio.to_thread(_use_wal, file)
        await asyncio.to_thread(importlib.import_module, "alembic.command")  # it's slow, and below others wait for us
        async with database.write() as connection:
            await database.lock(connection, "migrate")
            await connection.run_sync(_upgrade, to)
    finally:
        await database.close()


async def current(database_url: str) -> str | None:
    """The version the database has; None when it is empty. Raises ``StoreUnavailable``, and ``BadUrl``.

    The latter also where it is empty and can't be brought to any version: since PostgreSQL 15 only its owner may make
    tables in a database, unless told otherwise.
    """
    database = Database(create_engine(parse_database_url(database_url)))
    try:
        async with database.read() as connection:
            version = await connection.run_sync(_version)
            if version is None and database.postgresql and not await connection.scalar(text(_MAY_MAKE_TABLES)):
                raise BadUrl("its user may not make tables in it; make the user the database's owner")
            return version
    finally:
        await database.close()


def _use_wal(file: Path) -> None:
    """Readers and the writer don't wait for each other in this mode. It is kept in the file.

    SQLite reads the file before it changes the mode, and to a reader who would write while somebody else does it says
    "busy" at once, whatever the timeout: the two would wait for each other for ever. So it is tried again here.
    """
    timeout_s = BUSY_TIMEOUT_MS / 1000
    with closing(sqlite3.connect(file, timeout=timeout_s)) as connection:
        until = time.monotonic() + timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(_TRY_AGAIN_S)
            else:
                return


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: Connection, to: str) -> None:
    from alembic import command

    version = _version(connection)
    if version is not None and version not in known():
        raise NewerDatabase(version)
    command.upgrade(_config(connection), to)
