"""The queue on real servers: each test gets a database, a Valkey and a blob folder of its own."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lorabot.queue import Queue, QueueConfig, migrate, open_queue
from lorabot.queue.keys import new_id
from lorabot.queue.tables import metadata
from tests.queue.servers import PostgreSQL

# Short times, so that what takes seconds in service takes a moment here. The order of the times is the same.
LAPSING = QueueConfig(lease_s=2.0, heartbeat_s=0.1, reconcile_s=0.2, poll_s=0.05, shutdown_s=5.0, jobs_per_owner=1000)
# Where the test itself is the worker nothing renews its leases: they outlive it, however busy the machine is.
QUICK = LAPSING.model_copy(update={"lease_s": 120.0})


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    server.start()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgresql_template(postgresql: PostgreSQL) -> str:
    """A migrated, empty database to copy."""
    postgresql.sql("CREATE DATABASE migrated")
    asyncio.run(migrate(postgresql.url("migrated")))
    return "migrated"


@pytest.fixture
def sqlite_url(migrated_database: Path, tmp_path: Path) -> str:
    """For tests whose point is elsewhere than in the database."""
    copy = shutil.copy(migrated_database, tmp_path / "lorabot.sqlite3")
    return f"sqlite:///{copy}"


@pytest.fixture(scope="session")
def postgresql_shared(postgresql: PostgreSQL, postgresql_template: str) -> str:
    postgresql.sql(f"CREATE DATABASE shared TEMPLATE {postgresql_template}")
    return "shared"


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL, postgresql_shared: str) -> str:
    # One database emptied for each test: making and removing hundreds of them takes longer than all tests.
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    postgresql.sql(f"TRUNCATE {tables} RESTART IDENTITY", postgresql_shared)
    return postgresql.url(postgresql_shared)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty, migrated database; every test that asks for it runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def spoilable_url(request: pytest.FixtureRequest) -> str:
    """The same for tests that change the tables themselves."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = f"spoiled_{new_id()}"
    server.sql(f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('postgresql_template')}")
    return server.url(name)


@pytest.fixture
def no_redis(tmp_path: Path) -> str:
    """Where a Redis would be."""
    return f"unix://{tmp_path}/nobody.sock"


@pytest.fixture
async def queue(database_url: str, no_redis: str, tmp_path: Path) -> AsyncIterator[Queue]:
    """A queue without Redis: whatever is asked of it must work all the same."""
    async with open_queue(QUICK, database_url, no_redis, str(tmp_path / "blobs")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_credentials_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
