"""Where the database is, how it is reached, and how it gets its tables."""

import asyncio
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError

from lorabot.queue import Queue, migrate
from lorabot.queue.clock import now, now_plus
from lorabot.queue.database import Database, create_engine, is_away, parse_database_url, without_password
from lorabot.queue.errors import BadUrl, NewerDatabase, StoreUnavailable
from lorabot.queue.keys import new_id
from lorabot.queue.migrations import current, newest
from lorabot.queue.tables import UtcTime, metadata
from tests.queue.samples import eventually, submit
from tests.queue.servers import PostgreSQL, free_port


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables; in SQLite not even a file, nor its folder."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new folder/100% new?#.sqlite3".replace("?", "%3F").replace("#", "%23")
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = f"test_{new_id()}"
    server.sql(f"CREATE DATABASE {name}")
    return server.url(name)


def open_database(url: str) -> Database:
    return Database(create_engine(parse_database_url(url)))


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://ann:pw@db.example/lora", "postgresql+asyncpg"),
        ("postgres://ann:pw@db.example/lora", "postgresql+asyncpg"),
        ("postgresql+psycopg://db.example/lora", "postgresql+asyncpg"),
        ("sqlite:////var/lib/lorabot/db.sqlite3", "sqlite+aiosqlite"),
        ("sqlite:///db.sqlite3", "sqlite+aiosqlite"),
    ],
)
def test_a_database_url_gets_our_driver(given: str, driver: str) -> None:
    assert parse_database_url(given).drivername == driver


async def test_options_as_providers_write_them_reach_the_driver(postgresql_url: str) -> None:
    database = open_database(f"{postgresql_url}?sslmode=disable")
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) is False
    await database.close()
    with pytest.raises(StoreUnavailable):
        await migrate(f"{postgresql_url}?sslmode=require")


@pytest.mark.parametrize("url", ["postgresql://db/x?channel_binding=require", "sqlite:///x?mode=memory"])
def test_options_that_can_not_be_kept_are_refused_by_name(url: str) -> None:
    with pytest.raises(BadUrl, match=r"channel_binding|mode"):
        parse_database_url(url)


@pytest.mark.parametrize(
    "given", ["mysql://ann:hunter2@db/x", "sqlite://", "sqlite:///:memory:", "hunter2", "", "a b://"]
)
def test_a_useless_database_url_is_refused_without_repeating_it(given: str) -> None:
    with pytest.raises(BadUrl) as refused:
        parse_database_url(given)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:hunter2@db.example:5432/lora?password=hunter2", "postgresql://***@db.example:5432/lora"),
        ("rediss://:hunter2@cache:6380/1", "rediss://***@cache:6380/1"),
        ("sqlite:////data/db.sqlite3", "sqlite:////data/db.sqlite3"),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock"),
    ],
)
def test_urls_are_shown_without_their_secrets(url: str, shown: str) -> None:
    assert without_password(url) == shown


async def test_migrating_twice_and_from_several_processes_at_once_is_fine(empty_url: str) -> None:
    await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    await migrate(empty_url)
    assert await current(empty_url) == newest()


async def test_migrating_waits_for_who_writes_to_the_file_before_it_has_a_write_ahead_log(tmp_path: Path) -> None:
    file = tmp_path / "lorabot.sqlite3"
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        migrating = asyncio.create_task(migrate(f"sqlite:///{file}"))
        await asyncio.wait({migrating}, timeout=0.5)
        writer.rollback()
        await migrating
    assert await current(f"sqlite:///{file}") == newest()


async def test_the_migrations_make_the_tables_that_the_code_expects(database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[object] = compare_metadata(context, metadata)
        return found

    database = open_database(database_url)
    async with database.read() as connection:
        found = await connection.run_sync(differences)
    await database.close()
    # A time is a plain integer in SQLite, which the comparison can't know.
    real = [one for one in found if not (isinstance(one, list) and isinstance(one[0][-1], UtcTime))]
    assert real == []


async def test_jobs_of_before_the_communities_get_theirs_and_a_pause_stays(empty_url: str) -> None:
    await migrate(empty_url, "0001")
    database = open_database(empty_url)
    async with database.write() as connection:
        for statement in (
            "INSERT INTO datasets (id, owner, images, created_at) VALUES ('d', 'web:ann', '[]', {now})",
            *(
                "INSERT INTO jobs (id, name, owner, address, language, preset, trigger, base, dataset_id, seed,"
                f" options, state, created_at) VALUES ('{number}', 'zuri', 'web:ann', '{address}', 'en', '{{{{}}}}',"
                " 'zuri', 'demo', 'd', 1, '{{}}', 'queued', {now})"
                for number, address in enumerate(("web:abc", "discord:1/2", "discord:@me/3"))
            ),
            "INSERT INTO switches (name, value, changed_at, changed_by) VALUES ('paused', 'true', {now}, 'mod')",
        ):
            time = "now()" if database.postgresql else "1"
            await connection.execute(text(statement.format(now=time).replace(":", r"\:")))
    await migrate(empty_url)
    async with database.read() as connection:
        found = (await connection.execute(text("SELECT scope FROM jobs ORDER BY id"))).scalars().all()
        pause = (await connection.execute(text("SELECT scope, actor FROM pauses"))).one()
    await database.close()
    assert found == ["web:abc", "discord:1", "discord:@me"]
    assert tuple(pause) == ("", "mod")


async def test_a_database_of_a_newer_lorabot_is_left_alone(spoilable_url: str) -> None:
    database = open_database(spoilable_url)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with pytest.raises(NewerDatabase):
        await migrate(spoilable_url)


async def test_the_databases_clock_is_read_as_aware_utc(queue: Queue) -> None:
    async with queue.database.read() as connection:
        here, later = (await connection.execute(select(now(), now_plus(1.5)))).one()
    assert here.tzinfo is UTC
    assert abs(datetime.now(UTC) - here) < timedelta(seconds=30)
    assert later - here == timedelta(seconds=1.5)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UtcTime().process_bind_param(datetime(2026, 1, 1), create_engine(parse_database_url("sqlite:///x")).dialect)


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE jobs SET state = 'running'",
        "UPDATE jobs SET state = 'succeeded'",
        "UPDATE jobs SET lease_until = created_at",
        "UPDATE jobs SET state = 'lost'",
        "UPDATE jobs SET dataset_id = 'none'",
        "DELETE FROM datasets",
    ],
)
async def test_the_database_itself_refuses_jobs_that_can_not_be(queue: Queue, broken: str) -> None:
    await submit(queue)

    async def write() -> None:
        async with queue.database.write() as connection:
            await connection.execute(text(broken))

    with pytest.raises(IntegrityError):
        await write()


async def test_a_missing_sqlite_file_is_away_and_no_empty_one_takes_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    database = open_database(f"sqlite:///{tmp_path}/gone.sqlite3")

    async def look() -> None:
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))

    for _ in range(3):
        with pytest.raises(StoreUnavailable) as away:
            await look()
    await database.close()
    assert away.value.reason == "unable to open database file"
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "the database is away: unable to open database file"
    ]
    assert not (tmp_path / "gone.sqlite3").exists()

    async def no_thread_left() -> bool:
        new = set(threading.enumerate()) - before
        return not any("connection_worker" in thread.name for thread in new)

    await eventually(no_thread_left)


async def test_an_unreachable_postgresql_is_away() -> None:
    with pytest.raises(StoreUnavailable):
        await migrate(f"postgresql://ann:hunter2@127.0.0.1:{free_port()}/lora")


async def test_a_database_that_does_not_exist_is_a_wrong_url_not_an_outage(postgresql: PostgreSQL) -> None:
    with pytest.raises(BadUrl, match="does not exist"):
        await migrate(postgresql.url("nothere"))


async def test_a_database_whose_user_may_not_make_tables_is_a_wrong_url_before_and_at_the_start(
    postgresql: PostgreSQL,
) -> None:
    postgresql.sql("CREATE ROLE guest LOGIN")
    postgresql.sql("CREATE DATABASE anothers")
    url = postgresql.url("anothers").replace("postgres@", "guest@")
    with pytest.raises(BadUrl, match="the database's owner"):
        await current(url)
    with pytest.raises(BadUrl, match="permission denied for schema public"):
        await migrate(url)


async def test_a_file_that_is_no_database_is_a_wrong_url_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(b"\x89PNG" * 1000)
    with pytest.raises(BadUrl, match="not a database"):
        await migrate(f"sqlite:///{file}")
    assert file.read_bytes() == b"\x89PNG" * 1000


async def test_a_wrong_statement_is_not_mistaken_for_an_outage(queue: Queue) -> None:
    async def ask() -> None:
        async with queue.database.read() as connection:
            await connection.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises(Exception, match="nowhere") as wrong:
        await ask()
    assert not is_away(wrong.value)


async def test_sqlite_keeps_its_write_ahead_log_and_its_references(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    async with database.read() as connection:
        assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await connection.scalar(text("PRAGMA foreign_keys")) == 1
    await database.close()


async def test_a_block_that_raises_leaves_no_trace(queue: Queue) -> None:
    job = await submit(queue)

    async def half() -> None:
        async with queue.database.write() as connection:
            await connection.execute(text("UPDATE jobs SET name = 'changed'"))
            raise KeyError

    with pytest.raises(KeyError):
        await half()
    assert await queue.jobs.get(job.id) == job


async def test_a_relative_sqlite_path_is_one_below_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await migrate("sqlite:///below/db.sqlite3")
    assert (tmp_path / "below" / "db.sqlite3").exists()
    shutil.rmtree(tmp_path / "below")
