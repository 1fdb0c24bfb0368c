"""The live line of the terminal: it moves while anything goes on, fits the width, and is plain lines in a pipe."""

import re
from collections.abc import Callable
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from lorabot.cli.meter import Meter

SPINNING = "[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]"
LOOKED = ("Looking through the photos", 12, 12)


def drawn(width: int, *shown: Callable[[Meter], None]) -> str:
    """The line as it was drawn last on a terminal of ``width`` columns."""
    screen = StringIO()
    with Meter(Console(file=screen, force_terminal=True, color_system=None, width=width)) as meter:
        for show in shown:
            show(meter)
    lines = [re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", line).rstrip() for line in re.split("[\r\n]", screen.getvalue())]
    return [line for line in lines if line][-1]


def test_it_still_moves_after_a_full_bar() -> None:
    full = drawn(100, lambda meter: meter.show(*LOOKED))
    assert re.match(f"{SPINNING} Looking through the photos .* 12/12", full), full
    after = drawn(100, lambda meter: meter.show(*LOOKED), lambda meter: meter.show("Planning"))
    assert re.match(f"{SPINNING} Planning", after), after
    assert "12/12" not in after


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_with_all_that_is_said_of_a_training(width: int) -> None:
    details = ("0.37 steps/s", "16 min left", "loss 0.0892")
    line = drawn(width, lambda meter: meter.show("Training", 43, 400, details=details))
    assert cell_len(line) <= width
    assert re.match(rf"{SPINNING} Training ━+.* 43/400 0\.37 steps/s  16 min left  loss 0\.0892$", line), line


def test_a_pipe_gets_one_line_for_each_stage_and_each_tenth_of_the_way() -> None:
    pipe = StringIO()
    with Meter(Console(file=pipe, width=80)) as meter:
        for step in range(41):
            meter.show("Training", step, 40)
        meter.show("Writing the files")
        meter.print("a line that stays")
    lines = pipe.getvalue().splitlines()
    assert lines[:2] == ["Training  0/40", "Training  4/40"]
    assert lines[-3:] == ["Training  40/40", "Writing the files", "a line that stays"]
    assert len(lines) == 13
