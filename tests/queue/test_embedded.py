"""The embedded Valkey: found again, started again, ended on request."""

import asyncio
import os
import signal
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from lorabot.queue.embedded import EmbeddedValkey, ValkeyFailed, socket_path
from lorabot.queue.redis import AWAY, connect
from tests.queue.samples import eventually


async def pid(server: EmbeddedValkey) -> int:
    redis = connect(server.url, patient=False)
    number: int = (await redis.info("server"))["process_id"]
    await redis.aclose(close_connection_pool=True)
    return number


async def test_a_second_process_uses_the_first_ones_server(tmp_path: Path) -> None:
    first, second = EmbeddedValkey(tmp_path), EmbeddedValkey(tmp_path)
    assert await first.start()
    assert not await second.start()
    assert await pid(first) == await pid(second)
    await second.stop()
    assert not first.alive
    await first.stop()


async def test_two_that_start_at_once_get_one_server(tmp_path: Path) -> None:
    servers = [EmbeddedValkey(tmp_path) for _ in range(4)]
    try:
        started = await asyncio.gather(*(server.start() for server in servers))
        assert sum(started) == 1
    finally:
        for server in servers:
            await server.stop()


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    for turn in range(2):
        await server.start()
        redis = connect(server.url, patient=False)
        if turn == 0:
            await redis.set("kept", "yes")
        else:
            assert await redis.get("kept") == b"yes"
        await redis.aclose(close_connection_pool=True)
        await server.stop()


async def test_a_killed_server_is_started_again_by_whoever_keeps_it(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    keeper = asyncio.create_task(server.keep())
    try:
        old = await pid(server)
        os.kill(old, signal.SIGKILL)

        async def back() -> bool:
            with suppress(*AWAY):  # the killed one may answer once more, and be gone before it says who it is
                return server.alive and await pid(server) != old
            return False

        await eventually(back)
    finally:
        keeper.cancel()
        await server.stop()
    assert not server.alive


async def test_a_folder_whose_name_is_too_long_for_a_socket_works_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    server = EmbeddedValkey(folder)
    assert len(str(socket_path(folder))) <= 100
    assert socket_path(folder) == socket_path(folder)
    assert socket_path(folder) != socket_path(tmp_path / ("gnol" * 30))
    await server.start()
    assert server.alive
    await server.stop()


async def test_only_the_same_user_can_reach_the_server(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    try:
        assert stat.S_IMODE(socket_path(tmp_path).stat().st_mode) == 0o700
        assert stat.S_IMODE(socket_path(tmp_path).parent.stat().st_mode) == 0o700
    finally:
        await server.stop()


async def test_a_server_that_can_not_start_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "valkey" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(ValkeyFailed, match="manifest"):
        await EmbeddedValkey(tmp_path).start()
