"""The process that owns the device: takes jobs over stdin, does them one by one, tells about them over stdout.

``python -m lorabot.trainer.engine CONFIG`` with the ``TrainerConfig`` as JSON. It stays warm between jobs and ends when
its stdin does, that is, with its parent. Whatever libraries print goes to stderr; stdout belongs to the protocol.
"""

import contextlib
import ctypes
import faulthandler
import functools
import gc
import importlib.metadata
import logging
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

from lorabot.locale import UserError
from lorabot.trainer import wire
from lorabot.trainer.bases import demo_base
from lorabot.trainer.compiler import can_compile
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.control import Control
from lorabot.trainer.devices import MIB
from lorabot.trainer.disk import disk_is_full
from lorabot.trainer.errors import Cancelled, DiskTakesNoMore, OutOfMemory, Suspended
from lorabot.trainer.heaps import trim

if TYPE_CHECKING:
    from lorabot.trainer.models import Models

EXIT_PROTOCOL = 76
"""Exit status after a line that is no command; EX_PROTOCOL of sysexits.h."""
EXIT_CONFIG = 78
"""Exit status when the settings can't be worked with; EX_CONFIG of sysexits.h."""
_PR_SET_PDEATHSIG = 1
_log = logging.getLogger("lorabot.trainer.engine")


class Outlet:
    """Writes events to the parent, from any thread, one whole line at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, event: wire.Event) -> None:
        with self._lock:
            self._stream.write(wire.line(event))
            self._stream.flush()


class Inlet:
    """Reads commands on a thread of its own: jobs wait in ``jobs``, the others act at once on the job they name."""

    def __init__(self, stream: BinaryIO) -> None:
        self.jobs: queue.SimpleQueue[tuple[wire.TrainingJob, Control] | wire.Measure | None] = queue.SimpleQueue()
        self._stream = stream
        self._controls: dict[str, Control] = {}
        self._closing = False

    def start(self) -> None:
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def forget(self, job: wire.TrainingJob) -> None:
        """The job has ended; called before the parent hears of it, since it may send the same job again at once."""
        self._controls.pop(job.id, None)

    def close(self) -> None:
        """Suspend what runs, and have the main thread end when that is done."""
        self._closing = True
        for control in list(self._controls.values()):
            control.suspend()
        self.jobs.put(None)

    def _read(self) -> None:
        for text in self._stream:
            try:
                command = wire.read_command(text)
            except wire.ProtocolError as error:
                _log.error("not a command of this protocol (%s); ending", error)
                os._exit(EXIT_PROTOCOL)
            match command:
                case wire.Train(job=job):
                    self._controls[job.id] = control = Control()
                    if self._closing:
                        control.suspend()
                    self.jobs.put((job, control))
                case wire.Measure():
                    self.jobs.put(command)
                case wire.Cancel(job=job_id):
                    if job_id in self._controls:
                        self._controls[job_id].cancel()
                case wire.Suspend(job=job_id):
                    if job_id in self._controls:
                        self._controls[job_id].suspend()
        # The parent has closed the pipe or is dead: nobody wants what runs here any more.
        os._exit(0)


def main(arguments: list[str]) -> int:
    began = time.perf_counter()
    die_with(os.getppid())
    faulthandler.enable()
    outlet = Outlet(_take_stdout())
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("lorabot").setLevel(logging.INFO)
    config = TrainerConfig.model_validate_json(arguments[0])
    inlet = Inlet(sys.stdin.buffer)
    inlet.start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what follows

    def close(_number: int, _frame: FrameType | None) -> None:
        inlet.close()

    signal.signal(signal.SIGTERM, close)
    threading.Thread(target=_breathe, args=(outlet, config.alive_s), name="alive", daemon=True).start()
    try:
        models = _load(config)
        device = models.hardware()
    except UserError as error:
        outlet.send(wire.Failed(job="", message=error.message))
        return EXIT_CONFIG
    outlet.send(
        wire.Hello(
            version=wire.VERSION,
            pid=os.getpid(),
            device=device.device,
            device_name=device.name,
            card=device.card.uuid if device.card else None,
            loading_s=round(time.perf_counter() - began, 2),
        )
    )
    while (given := inlet.jobs.get()) is not None:
        if isinstance(given, wire.Measure):
            outlet.send(measured(given, models))
            continue
        job, control = given
        terminal = do(job, models, config, control, outlet)
        inlet.forget(job)
        outlet.send(terminal)
        trim()
    return 0


def do(
    job: wire.TrainingJob, models: "Models", config: TrainerConfig, control: Control, outlet: Outlet
) -> wire.Terminal:
    """Run ``job`` to its end, whatever that is."""
    from lorabot.trainer.job import run
    from lorabot.trainer.memory import ran_out_of_memory

    try:
        return run(job, models, config, control, outlet.send)
    except Cancelled:
        return wire.Stopped(job=job.id, how="cancelled")
    except Suspended:
        return wire.Stopped(job=job.id, how="suspended")
    except UserError as error:
        _log.warning("job %s failed: %s", job.id, error)
        return wire.Failed(job=job.id, message=error.message)
    except Exception as error:
        if ran_out_of_memory(error):
            _log.exception("job %s ran out of memory", job.id)
            return wire.Failed(job=job.id, message=OutOfMemory(models.hardware().holders).message)
        if disk_is_full(error):
            _log.exception("job %s: the disk takes no more", job.id)
            free = shutil.disk_usage(job.folder).free // MIB
            return wire.Failed(job=job.id, message=DiskTakesNoMore(free).message)
        _log.exception("job %s crashed", job.id)
        return wire.Crashed(job=job.id, signature=signature(error))


def measured(wanted: wire.Measure, models: "Models") -> wire.Measured:
    """How fast a step of ``wanted`` is here; all zeros where that can't be said, which stands in no job's way."""
    from lorabot.trainer.measuring import measure

    try:
        models.gauge()  # from here on no more of the card is taken than may be
        return measure(models.base(wanted.base), wanted.recipe, models.hardware().precision, models.warm)
    except Exception as error:
        _log.warning("no speed measured: %s", signature(error))
        return wire.Measured()


def signature(error: BaseException) -> str:
    """The error's type and the innermost place of ours that it came through; the same for the same fault."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}lorabot{os.sep}" in frame.filename] or frames
    place = f"{Path(ours[-1].filename).stem}.{ours[-1].name}" if ours else "nowhere"
    return f"{type(error).__name__} in {place}"


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux; elsewhere stdin's end must do)."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def _take_stdout() -> BinaryIO:
    """The parent's pipe, for the protocol alone; file descriptor 1 becomes stderr, also for native libraries."""
    pipe = os.dup(1)
    os.set_inheritable(pipe, False)
    os.dup2(2, 1)
    return os.fdopen(pipe, "wb")


def _breathe(outlet: Outlet, interval_s: float) -> None:
    while True:
        time.sleep(interval_s)
        try:
            outlet.send(wire.Alive())
        except OSError:  # the parent has gone; the commands' thread ends us
            return


def _wake_triton() -> None:
    try:
        from lorabot.trainer.kernels.ahead import wake

        wake()
    except Exception:  # it is asked again when there is something to compile, and what it says then is told
        _log.debug("Triton does not wake", exc_info=True)


def _load(config: TrainerConfig) -> "Models":
    """Everything that a first job would otherwise wait for: libraries, the default base model, the CLIP."""
    gc.disable()  # all of this is here to stay: to look for garbage among it takes a fifth of the time
    # diffusers looks through all installed packages when it is imported, and so does transformers.
    importlib.metadata.packages_distributions = functools.cache(importlib.metadata.packages_distributions)
    import torch
    from matplotlib.backends import backend_agg
    from transformers.utils import logging as transformers_logging

    from lorabot.trainer import job
    from lorabot.trainer.models import Models, cores

    torch.set_num_threads(config.threads or cores())
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    models = Models(config.device, config.memory_limit)
    if models.hardware().card is not None and can_compile():
        threading.Thread(target=_wake_triton, name="Triton", daemon=True).start()
    models.base(demo_base())
    models.clip()
    _log.debug("loaded %s, %s", job.__name__, backend_agg.__name__)
    gc.freeze()
    gc.enable()
    return models


if __name__ == "__main__":
    # Not sys.exit: the thread that waits for commands would hold up the interpreter's end.
    os._exit(main(sys.argv[1:]))
