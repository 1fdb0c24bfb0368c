"""Texts fit Telegram's lengths and its HTML, whatever people are called."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from lorabot.bot.config import WebConfig
from lorabot.bot.reply import Button
from lorabot.bot.signing import Signer
from lorabot.bot.telegram.formatting import MOST_TEXT, bar, html_of, length, link, pieces, plain, shortened
from lorabot.bot.telegram.keyboard import keyboard_of
from lorabot.bot.telegram.linking import link_html
from lorabot.bot.web.links import Links
from lorabot.locale import translator
from lorabot.queue import Queue
from tests.telegram.server.markup import read_html
from tests.telegram.server.refusal import Refusal

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("`<>&\n🎨训"), max_size=300)


@given(WORDS)
@settings(max_examples=200, deadline=None)
def test_any_text_is_html_that_telegram_reads_as_meant(text: str) -> None:
    read, _ = read_html(html_of(text))
    assert read == plain(text).strip()


@given(WORDS, st.integers(2, 50))
@settings(max_examples=200, deadline=None)
def test_a_shortened_text_fits_and_begins_alike(text: str, most: int) -> None:
    short = shortened(text, most)
    assert length(short) <= most
    assert short == text or text.startswith(short.removesuffix("…").rstrip())


@given(st.lists(WORDS, max_size=5), st.integers(5, 60))
@settings(max_examples=200, deadline=None)
def test_pieces_fit_and_lose_no_word(lines: list[str], most: int) -> None:
    text = "\n".join(lines)
    found = list(pieces(text, most))
    assert all(0 < length(piece) <= most for piece in found)
    assert "".join("".join(found).split()) == "".join(text.split())


def test_a_short_text_is_one_piece() -> None:
    assert list(pieces("a\nb")) == ["a\nb"]
    assert [length(piece) for piece in pieces("x" * (MOST_TEXT + 1))] == [MOST_TEXT - 1, 2]


def test_a_bar_fills() -> None:
    assert [bar(percent).count("▰") for percent in (-5, 0, 50, 100, 130)] == [0, 0, 6, 12, 12]


def test_short_buttons_stand_side_by_side_and_long_ones_below_each_other() -> None:
    def rows(*labels: str) -> list[int]:
        keyboard = keyboard_of([Button(label, "x") for label in labels])
        assert keyboard is not None
        return [len(row) for row in keyboard.inline_keyboard]

    assert rows("Train", "Clear") == [2]
    assert rows("furuv", "pazud", "jasus") == [3]
    assert rows("Train again, stronger", "Train again, weaker") == [1, 1]
    assert keyboard_of([]) is None


async def test_an_address_without_a_domain_is_written_out_since_telegram_drops_such_links(queue: Queue) -> None:
    web = WebConfig(public_url="http://gpu-box:8080", password=SecretStr("open"))
    links, url = Links(queue, Signer(b"sixteen bytes or more"), web), "http://gpu-box:8080/send/x"
    with pytest.raises(Refusal, match="no domain"):
        read_html(link(url, "Send it here"))
    shown, _ = read_html("\n".join(link_html(links, url, "Send it here", translator("en"))))
    assert shown == f"Send it here\n{url}"
