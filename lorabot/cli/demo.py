"""``lorabot demo``: the whole house once, from a zip sent to the web chat to the files in a folder."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import lorabot
from lorabot.cli.meter import Meter
from lorabot.cli.stopping import run_stoppable
from lorabot.cli.terminal import EXIT_FAILED, Terminal
from lorabot.folders import make_results_folder
from lorabot.locale import UserError
from lorabot.visitor import Line, VisitFailed, Visitor

_COMMAND = "/train preset:anime trigger:zuri"
_EXAMPLE = "zuri.zip"
# What of the operator's settings also holds for the demo; the rest, tokens above all, stays out of it.
_KEPT = ("LORABOT_TRAINER__", "LORABOT_LANGUAGE", "LORABOT_LOG_LEVEL")
_START_S = 60.0
_MOST_S = 1200.0
_STOP_S = 90.0
_LAST_LINES = 15


class DemoFailed(UserError):
    """The demo could not run to its end."""


def run_demo(terminal: Terminal, out: Path) -> int:
    """Run the demo and leave its files in ``out``; returns the exit code."""
    photos = _example()
    make_results_folder(out)
    with tempfile.TemporaryDirectory(prefix="lorabot-demo-") as folder:
        data_dir = Path(folder) / "data"
        try:
            run_stoppable(_run(terminal, photos, data_dir, out))
        except UserError as error:
            terminal.fail(terminal.translate.text(error.message))
            _show_log(terminal, data_dir, out)
            return EXIT_FAILED
    return 0


def _example() -> Path:
    """The example photos: of the checkout, or those that were installed."""
    package = Path(lorabot.__file__).parent
    for folder in (package.parent / "examples", package / "examples", Path("examples")):
        if (folder / _EXAMPLE).is_file():
            return folder / _EXAMPLE
    raise DemoFailed("demo-no-example", file=f"examples/{_EXAMPLE}")


async def _run(terminal: Terminal, photos: Path, data_dir: Path, out: Path) -> None:
    begun = time.monotonic()
    with Meter(terminal.err) as meter:
        meter.show(terminal.translate("demo-starting"))
        async with _house(data_dir) as (url, ended), Visitor(url, terminal.translate.language) as visitor:
            saved = await _before_it_ends(_visit(terminal, visitor, photos, out, meter), ended)
    terminal.print("demo-done", "bold green", seconds=round(time.monotonic() - begun))
    for path in sorted(saved):
        terminal.out.print(f"  {path}  ({path.stat().st_size / 1000:,.0f} kB)", markup=False)
    terminal.print("demo-next")


async def _visit(terminal: Terminal, visitor: Visitor, photos: Path, out: Path, meter: Meter) -> list[Path]:
    try:
        async with asyncio.timeout(_START_S):
            await visitor.arrive()
    except TimeoutError:
        raise VisitFailed("demo-not-started", seconds=round(_START_S)) from None
    chat = _Chat(terminal, meter)
    await visitor.upload(photos)
    try:
        async with asyncio.timeout(_MOST_S):
            result = await visitor.train(_COMMAND, chat.show)
    except TimeoutError:
        raise VisitFailed("demo-too-long", minutes=round(_MOST_S / 60)) from None
    return await visitor.download(result, out)


async def _before_it_ends(visit: Coroutine[None, None, list[Path]], ended: asyncio.Task[int]) -> list[Path]:
    """The visit's files; raises ``DemoFailed`` at once when the house falls down meanwhile."""
    visiting = asyncio.create_task(visit)
    try:
        await asyncio.wait([visiting, ended], return_when=asyncio.FIRST_COMPLETED)
        if not visiting.done():
            raise DemoFailed("demo-ended", code=ended.result())
        return visiting.result()
    finally:
        visiting.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await visiting


@contextlib.asynccontextmanager
async def _house(data_dir: Path) -> AsyncIterator[tuple[str, asyncio.Task[int]]]:
    """``lorabot up`` on a fresh folder and a free port, with none of the operator's tokens; its address and its end."""
    port = _free_port()
    config = _configure(data_dir, port)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LORABOT_") or name.startswith(_KEPT)
    }
    with (data_dir / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lorabot", "--config", str(config), "up", "--parent", str(os.getpid())),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,  # Ctrl-C is ours; we end it in order
        )
    ended = asyncio.create_task(process.wait())
    try:
        yield f"http://127.0.0.1:{port}", ended
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait([ended], timeout=_STOP_S)
        if not ended.done():
            process.kill()
        await ended


def _configure(data_dir: Path, port: int) -> Path:
    """A lorabot.toml that says nothing but where the demo is; naming it keeps the operator's own out."""
    data_dir.mkdir(parents=True)
    config = data_dir / "lorabot.toml"
    config.write_text(f"data_dir = '{data_dir}'\n[web]\nhost = '127.0.0.1'\nport = {port}\n", encoding="utf-8")
    return config


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Chat:
    """Shows the conversation in the terminal: sentences as they come, the card as a live line."""

    def __init__(self, terminal: Terminal, meter: Meter) -> None:
        self._terminal = terminal
        self._meter = meter
        self._shown: dict[int, str] = {}

    def show(self, line: Line) -> None:
        if line["kind"] == "card":
            self._card(line["card"])
        elif not line["busy"]:
            self._text(line)

    def _text(self, line: Line) -> None:
        names = ", ".join(str(file["name"]) for file in line["files"]) if line["kind"] == "upload" else ""
        said = "\n".join(part for part in (line["text"], names) if part)
        if not said or self._shown.get(line["id"]) == said:
            return
        self._shown[line["id"]] = said
        who = self._terminal.translate("page-you" if line["author"] == "you" else "page-bot")
        first, *rest = said.splitlines()
        self._meter.print(f"{who:>8} | {first}", "bold" if line["author"] == "you" else "")
        for more in rest:
            self._meter.print(f"{'':>8} | {more}")

    def _card(self, card: Line) -> None:
        loss = self._terminal.translate("cli-loss", loss=f"{card['loss'][-1][1]:.4f}") if card["loss"] else ""
        details = (card["rate_text"], card["eta_text"], loss)
        self._meter.show(card["stage_text"] or card["state_text"], card["step"], card["total_steps"], details=details)


def _show_log(terminal: Terminal, data_dir: Path, out: Path) -> None:
    """The last lines of the log on the terminal, and all of it beside the results."""
    log = data_dir / "up.log"
    if not log.exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    kept = out / "lorabot.log"
    shutil.copyfile(log, kept)
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]:
        terminal.err.print(f"  {line}", markup=False, style="dim")
    terminal.err.print(terminal.translate("demo-log", file=str(kept)), markup=False)
