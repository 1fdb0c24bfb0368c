"""What ``lorabot up`` writes down can be read weeks later, and a disk that is full does not bury it."""

import re
from pathlib import Path

import pytest

from lorabot.cli.part_log import PartLog
from lorabot.cli.terminal import Terminal
from lorabot.locale import Message


def test_what_the_supervisor_says_is_kept_with_its_date_beside_the_lines_of_the_parts(tmp_path: Path) -> None:
    log = PartLog(Terminal(), tmp_path / "logs" / "lorabot.log", ("s3cr3t",))
    log.say(Message("supervisor-died-signal", {"part": "trainer", "signal": "SIGKILL", "seconds": 1}))
    log.line("trainer", "the token is s3cr3t")
    said, line = (tmp_path / "logs" / "lorabot.log").read_text().splitlines()
    assert re.fullmatch(r"lorabot: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d trainer was killed \(SIGKILL\).*", said)
    assert line == "trainer: the token is ***"


def test_on_a_full_disk_a_line_is_shown_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lorabot.log").symlink_to("/dev/full")
    log = PartLog(Terminal(), tmp_path / "lorabot.log", ())
    log.line("bot", "the database is away: disk full")
    shown = capsys.readouterr()
    assert shown.out.split() == ["bot", "|", "the", "database", "is", "away:", "disk", "full"]
    assert shown.err == ""
