"""Reads a message's files from the blobs, as discord.py wants them."""

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import discord

from lorabot.bot.discord.message import Attached, cut_alt
from lorabot.bot.reply import Picture
from lorabot.queue.blobs import Blobs


@asynccontextmanager
async def opened(attached: Sequence[Attached], blobs: Blobs) -> AsyncIterator[list[discord.File]]:
    """The files, open until the block ends. Raises ``BlobMissing``."""
    async with AsyncExitStack() as stack:
        files = []
        for one in attached:
            file = await _file(one, blobs)
            stack.callback(file.close)
            files.append(discord.File(file, one.name, description=cut_alt(one.alt)))
        yield files


async def _file(one: Attached, blobs: Blobs) -> io.BufferedIOBase:
    if isinstance(one.source, bytes):
        return io.BytesIO(one.source)
    if isinstance(one.source, Picture):
        return io.BytesIO(await blobs.get(one.source.key))
    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        async for part in blobs.stream(one.source.key):
            await asyncio.to_thread(file.write, part)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file
