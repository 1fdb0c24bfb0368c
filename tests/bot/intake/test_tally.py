"""One message keeps count of files that come together, and knows when it has all of them."""

import pytest

from lorabot.bot.intake import tally as tally_module
from lorabot.bot.intake.looking import LeftOut
from lorabot.bot.intake.service import Intaken
from lorabot.bot.intake.spool import Upload
from lorabot.bot.intake.tally import Tally
from lorabot.locale import Message
from lorabot.queue.model import Image
from tests.bot.house import PRESETS


def upload(name: str, of: int = 1) -> Upload:
    return Upload(name, "fake:ann", "fake:ann", "en", "b", f"{name}.jpg", 10, 0.0, of)


def good(draft: int) -> Intaken:
    return Intaken(1, 0, [Image("a.jpg", "k", "s", 64, 64, 10)], draft=draft)


def test_it_settles_when_all_that_were_announced_are_looked_through() -> None:
    tally = Tally(PRESETS, "en")
    assert tally.take(upload("a", of=2), Intaken(), False)
    assert not tally.take(upload("a", of=2), good(1), True)
    assert not tally.settled
    assert tally.reply().buttons == ()
    tally.take(upload("b", of=2), Intaken(), False)
    assert not tally.settled
    tally.take(upload("b", of=2), good(20), True)
    assert tally.settled
    reply = tally.reply()
    assert "2 good pictures" in reply.text
    actions = [button.action for button in reply.buttons]
    assert "pick:anime" in actions
    assert actions[-1] == "clear"


def test_a_file_that_was_refused_is_not_waited_for() -> None:
    tally = Tally(PRESETS, "en")
    tally.take(upload("a", of=3), good(1), True)
    tally.lose()
    assert not tally.settled
    tally.lose()
    assert tally.settled


def test_a_file_that_never_comes_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally(PRESETS, "en")
    tally.take(upload("a", of=2), good(1), True)
    assert not tally.settled
    assert tally.patience_s > 10
    monkeypatch.setattr(tally_module, "_PATIENCE_S", 0.0)
    assert tally.patience_s == 0
    assert tally.settled


def test_a_second_handful_counts_on_from_the_first() -> None:
    tally = Tally(PRESETS, "zh-CN", "train")
    tally.take(upload("a"), good(12), True)
    assert tally.settled
    tally.take(upload("b", of=1), Intaken(left_out=[LeftOut("b.jpg", Message("intake-blank"))], draft=12), False)
    assert not tally.settled
    tally.take(upload("b"), Intaken(left_out=[LeftOut("b.jpg", Message("intake-blank"))], draft=12), True)
    assert tally.settled
    reply = tally.reply()
    assert "`b.jpg`" in reply.text
    assert "train:anime" in [button.action for button in reply.buttons]
