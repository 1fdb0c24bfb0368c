"""The live line of a training in the terminal: stage, bar, step, rate, time left, loss."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text


class Meter:
    """A progress line; where the output is no terminal, one plain line for each stage and each tenth of the way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[steps]}", style="cyan"),
            TextColumn("{task.fields[details]}", style="dim"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, steps="", details="")
        self._said: tuple[str, int] = ("", -1)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, stage: str, step: int = 0, total: int = 0, *, details: tuple[str, ...] = ()) -> None:
        """What is going on now. ``total`` 0, or all steps done: nobody knows how long it takes."""
        shown = "  ".join(detail for detail in details if detail)
        steps = f"{step}/{total}" if total else ""
        # Not by update(), for which None is "as before". A full bar would stand still, as if everything had stopped.
        self._progress.tasks[0].total = total if step < total else None
        self._progress.update(self._task, description=stage, completed=step, steps=steps, details=shown)
        tenth = 10 * step // total if total else 0
        if not self._console.is_terminal and (stage, tenth) != self._said:
            self._said = (stage, tenth)
            self._console.print(Text("  ".join(part for part in (stage, steps, shown) if part)))

    def print(self, text: str, style: str = "") -> None:
        """A line that stays."""
        self._console.print(Text(text, style))
