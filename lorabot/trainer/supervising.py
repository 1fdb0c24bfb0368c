"""The daemon's side of the engine: starts it, talks with it, stops it and reaps it. Imports no torch."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from lorabot.children import has_ended, start_child
from lorabot.locale import UserError
from lorabot.trainer import wire
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.devices import GIB, MIB

ENGINE = (sys.executable, "-m", "lorabot.trainer.engine")
ENVIRONMENT = {
    # libgomp's threads spin while they wait. Where a core is shared, that stalls the others' work: with two busy
    # neighbours on two cores, a training step took 2-11 s instead of 0.5 s.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Everything is on this machine; a look-up would only fail where there is no network.
    "HF_HUB_OFFLINE": "1",
    # As the kernels were measured; Triton's next version would choose otherwise, and this one warns of that.
    "TRITON_DEFAULT_FP_FUSION": "1",
    # glibc would let the threads that open pictures fill a heap each: 200 MiB more after ten jobs of large ones.
    "MALLOC_ARENA_MAX": "2",
}
_SECRET = ("LORABOT_", "AWS_")
_LINE_LIMIT = 16 * 1024 * 1024
_log = logging.getLogger(__name__)


class EngineDied(Exception):
    """The engine ended, fell silent or spoke nonsense. ``signature`` says which, the same for the same fault."""

    def __init__(self, signature: str) -> None:
        super().__init__(signature)
        self.signature = signature


class EngineRefused(UserError):
    """The engine can't work with these settings; its message says which."""


class Engine:
    """One engine process, started when needed and kept warm; replaced after it died, disobeyed or did its jobs.

    To be used as an async context manager, by one job at a time, from the thread that runs the event loop: the process
    dies with that thread. ``kernels``: where compiled kernels are kept for later engines; none is where Triton and
    the driver would.
    """

    def __init__(self, config: TrainerConfig, command: Sequence[str] = ENGINE, kernels: Path | None = None) -> None:
        self._config = config
        self._command = command
        self._kernels = kernels
        self._process: _Process | None = None
        self._starting: asyncio.Task[_Process] | None = None
        self._jobs = 0
        self._least: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def warm_up(self) -> None:
        """Begin to start the process, so that the first job need not wait for its libraries."""
        if self._process is None and self._starting is None:
            self._starting = asyncio.create_task(
                _Process.start(self._config, self._command, self._kernels), name="engine start"
            )

    async def start(self) -> None:
        """Have the process up and waiting for a job. Raises ``EngineDied`` and ``EngineRefused``."""
        await self._ready()

    async def run(
        self, job: wire.TrainingJob, on_event: Callable[[wire.Event], None], keep: Callable[[], bool]
    ) -> wire.Terminal:
        """Have ``job`` done; ``on_event`` gets what comes before the terminal event.

        When the caller is cancelled, the engine is told to end the job, after saving it where ``keep()`` says so; the
        call leaves once the engine has obeyed or is gone. Raises ``EngineDied`` and ``EngineRefused``.
        """
        process = await self._ready()
        process.send(wire.Train(job=job))
        try:
            terminal = await self._listen(process, job.id, on_event)
        except EngineDied:
            await self._renew()
            raise
        except asyncio.CancelledError:
            await self._withdraw(process, wire.Suspend(job=job.id) if keep() else wire.Cancel(job=job.id), on_event)
            raise
        self._jobs += 1
        if isinstance(terminal, wire.Crashed) or self._jobs >= self._config.recycle_jobs or self._has_grown(process):
            await self._renew()
        return terminal

    def _has_grown(self, process: "_Process") -> bool:
        """Whether the process holds much more of the host's memory than it did after another job."""
        held = process.held()
        if held is None:
            return False
        self._least = min(held, self._least or held)
        if grown := held - self._least > self._config.recycle_gib * GIB:
            _log.warning("the engine process holds %d MiB more than after an earlier job", (held - self._least) // MIB)
        return grown

    async def close(self) -> None:
        """End the process: SIGTERM, a bounded wait, SIGKILL, reap."""
        if self._starting is not None:
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, EngineDied, EngineRefused):
                await self._starting
            self._starting = None
        process, self._process, self._jobs, self._least = self._process, None, 0, None
        if process is not None:
            await process.end(self._config.terminate_grace_s)

    async def _renew(self) -> None:
        """End the process and begin to start the next, which loads while nobody waits for it."""
        await self.close()
        self.warm_up()

    async def measure(self, wanted: wire.Measure) -> wire.Measured:
        """How fast a training step is; to be asked between jobs. Raises ``EngineDied`` and ``EngineRefused``."""
        process = await self._ready()
        process.send(wanted)
        try:
            async for event in process.events(self._config.silence_s):
                if isinstance(event, wire.Measured):
                    return event
        except BaseException:
            await self._renew()  # its answer would be taken for the next one's
            raise
        raise AssertionError("events end with an exception")

    @property
    def pid(self) -> int | None:
        """The process id of the engine that is up now."""
        return self._process.pid if self._process is not None else None

    @property
    def hello(self) -> wire.Hello | None:
        """What the engine that is up now said of its device."""
        return self._process.hello if self._process is not None else None

    async def _ready(self) -> "_Process":
        if self._process is not None and not self._process.alive:
            _log.warning("the idle engine has ended; starting another")
            await self.close()
        if self._process is None:
            self.warm_up()
            assert self._starting is not None
            starting = self._starting
            try:
                self._process = await starting
            except asyncio.CancelledError:
                await self.close()
                raise
            finally:
                self._starting = None
        return self._process

    async def _listen(self, process: "_Process", job: str, on_event: Callable[[wire.Event], None]) -> wire.Terminal:
        async for event in process.events(self._config.silence_s):
            if getattr(event, "job", job) != job:
                continue
            match event:
                case wire.Done() | wire.Failed() | wire.Stopped() | wire.Crashed():
                    return event
                case _:
                    on_event(event)
        raise AssertionError("events end with an exception")

    async def _withdraw(
        self, process: "_Process", command: wire.Cancel | wire.Suspend, on_event: Callable[[wire.Event], None]
    ) -> None:
        """Give ``command`` and wait until the engine is free again, or end it."""
        process.send(command)
        try:
            async with asyncio.timeout(self._config.cancel_grace_s):
                await self._listen(process, command.job, on_event)
        except (TimeoutError, EngineDied, asyncio.CancelledError) as reason:
            _log.warning("the engine did not obey a %s (%s); ending it", command.type, type(reason).__name__)
            process.kill()
            await self.close()


class _Process:
    """A started engine and its pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self.hello: wire.Hello | None = None

    @classmethod
    async def start(cls, config: TrainerConfig, command: Sequence[str], kernels: Path | None) -> Self:
        """Start the engine and wait for its hello. Raises ``EngineDied``."""
        process = cls(
            await start_child(*command, config.model_dump_json(), environment=_environment(kernels), limit=_LINE_LIMIT)
        )
        try:
            async with asyncio.timeout(config.start_timeout_s):
                async for event in process.events(config.start_timeout_s):
                    if isinstance(event, wire.Failed):
                        raise EngineRefused(event.message.code, **event.message.params)
                    if isinstance(event, wire.Hello):
                        if event.version != wire.VERSION:
                            raise EngineDied("engine of another version")
                        process.hello = event
                        _log.info(
                            "engine %d is ready on %s after %.1f s", event.pid, event.device_name, event.loading_s
                        )
                        break
        except TimeoutError:
            await process.end(0.0)
            raise EngineDied("engine did not start in time") from None
        except BaseException:
            await process.end(0.0)
            raise
        return process

    @property
    def pid(self) -> int:
        return self._process.pid

    def held(self) -> int | None:
        """How many bytes of the host's memory it holds; None once it has ended."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return None

    @property
    def alive(self) -> bool:
        return not has_ended(self._process) and not self._stdout.at_eof()

    def send(self, command: wire.Command) -> None:
        """Write ``command``; a dead engine's is lost, and its death is met when listening."""
        with contextlib.suppress(OSError, RuntimeError):
            self._stdin.write(wire.line(command))

    async def events(self, silence_s: float) -> AsyncIterator[wire.Event]:
        """What the engine says, until it ends, says nothing for ``silence_s`` or says nonsense: ``EngineDied``."""
        while True:
            try:
                async with asyncio.timeout(silence_s):
                    text = await self._stdout.readline()
            except TimeoutError:
                raise EngineDied("engine fell silent") from None
            except ValueError:
                raise EngineDied("engine wrote an endless line") from None
            if not text:
                raise EngineDied(f"engine ended by {_ending(await self._process.wait())}")
            try:
                event = wire.read_event(text)
            except wire.ProtocolError as error:
                _log.error("the engine wrote a line that is no event: %s", error)
                raise EngineDied("engine broke the protocol") from None
            if not isinstance(event, wire.Alive):
                yield event

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self, grace_s: float) -> None:
        """SIGTERM, wait ``grace_s``, SIGKILL, reap."""
        with contextlib.suppress(ProcessLookupError):
            if grace_s:
                self._process.terminate()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(grace_s):
                        await self._drained()
            if self._process.returncode is None:
                self._process.kill()
        self._stdin.close()
        await self._drained()

    async def _drained(self) -> None:
        """Wait for the end; reading on meanwhile, or a full pipe would keep the engine from ending."""
        while await self._stdout.read(65536):
            pass
        await self._process.wait()


def _environment(kernels: Path | None) -> dict[str, str]:
    """This process's, without the settings and their secrets: the engine gets all it needs over its pipe."""
    # The driver compiles too, cuDNN's attention, a second for each kind of head; and for each size it makes a plan.
    folders = {"TRITON_CACHE_DIR": "triton", "CUDA_CACHE_PATH": "cuda", "CUDNN_PLANS_DIR": "cudnn"}
    return {
        **ENVIRONMENT,
        **({name: str(kernels / folder) for name, folder in folders.items()} if kernels else {}),
        **{name: value for name, value in os.environ.items() if not name.startswith(_SECRET)},
    }


def _ending(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"status {status}"
