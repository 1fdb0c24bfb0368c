"""Holds the decoder's process: asks it questions, and ends it when it takes too long."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

import lorabot
from lorabot.bot.intake.answers import Answer, answer
from lorabot.bot.intake.questions import Question, write
from lorabot.children import start_child

_ROOT = Path(lorabot.__file__).parent.parent
_MOST_ANSWER_BYTES = 16 * 1024 * 1024  # a zip's list of names and captions
_START_SECONDS = 60.0  # the interpreter on a machine that is busy training


class DecoderDied(Exception):
    """The process ended in the middle of a question: the file crashed it, or used up its memory or CPU time."""


class DecoderSlow(Exception):
    """No answer in time; the process was killed."""


class Decoder:
    """One decoder's process, started when first asked. After it died the next question starts another."""

    def __init__(self, most_memory: int, most_file: int) -> None:
        self._limits = (str(most_memory), str(most_file))
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def ask(self, asked: Question, seconds: float) -> Answer:
        """Raises ``DecoderDied`` or ``DecoderSlow``; both leave the decoder ready for the next question."""
        fresh = self._process is None
        process = self._process or await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(write(asked))
            await process.stdin.drain()
            async with asyncio.timeout(seconds + (_START_SECONDS if fresh else 0)):
                line = await process.stdout.readline()
            return answer.validate_json(line)
        except TimeoutError as error:
            await self._end()
            raise DecoderSlow from error
        except (ValidationError, ValueError, ConnectionError) as error:
            await self._end()
            raise DecoderDied from error
        except asyncio.CancelledError:
            await self._end()
            raise

    async def _start(self) -> asyncio.subprocess.Process:
        # It gets no environment: tokens and passwords live there, and it has no use for them.
        self._process = await start_child(
            *(sys.executable, "-P", "-m", "lorabot.bot.intake.decoder", *self._limits, str(os.getpid())),
            stderr=asyncio.subprocess.DEVNULL,
            environment={"PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"},
            limit=_MOST_ANSWER_BYTES,
            cwd="/",
        )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
