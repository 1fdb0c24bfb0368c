"""Texts as Telegram shows them: its HTML, its lengths, a bar of signs."""

import html
import re
from collections.abc import Iterator

MOST_TEXT = 4096
MOST_CAPTION = 1024
MOST_ALERT = 200
_CODE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"/[a-z]{1,32}")
_BAR = 12


def html_of(text: str) -> str:
    """``text`` with its `words in backticks` as code and everything else as it is."""
    parts = _CODE.split(text)
    return "".join(_styled(part) if odd % 2 else html.escape(part, quote=False) for odd, part in enumerate(parts))


def _styled(word: str) -> str:
    """Code can be copied by a touch; a command that stands alone is better touched itself, and then it is no code."""
    escaped = html.escape(word, quote=False)
    return escaped if _COMMAND.fullmatch(word) else f"<code>{escaped}</code>"


def bold(text: str) -> str:
    """``text`` in bold, as HTML."""
    return f"<b>{html.escape(text, quote=False)}</b>"


def mention(user: int, name: str) -> str:
    """A person's name that tells them, as HTML."""
    return f'<a href="tg://user?id={user}">{html.escape(name)}</a>'


def link(url: str, words: str) -> str:
    """``words`` that lead to ``url``, as HTML."""
    return f'<a href="{html.escape(url)}">{html.escape(words, quote=False)}</a>'


def plain(text: str) -> str:
    """``text`` without backticks, for where nothing can be styled."""
    return _CODE.sub(r"\1", text)


def length(text: str) -> int:
    """Length of plain ``text`` as Telegram counts it: UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def shortened(text: str, most: int) -> str:
    """``text`` of at most ``most`` units, with an ellipsis where something is missing."""
    if length(text) <= most:
        return text
    while length(text) > most - 1:
        text = text[: max(0, len(text) - max(1, (length(text) - most) // 2))]
    return text.rstrip() + "…"


def pieces(text: str, most: int = MOST_TEXT) -> Iterator[str]:
    """``text`` in messages of at most ``most`` units, broken between lines where that is possible."""
    piece = ""
    for line in text.split("\n"):
        while length(line) > most:
            if piece:
                yield piece
                piece = ""
            head = shortened(line, most)[:-1]
            yield head
            line = line[len(head) :].lstrip()
        if piece and length(piece) + 1 + length(line) > most:
            yield piece
            piece = line
        else:
            piece = f"{piece}\n{line}" if piece else line
    if piece.strip():
        yield piece


def bar(percent: float) -> str:
    """How much is done, as a bar."""
    done = round(_BAR * max(0.0, min(100.0, percent)) / 100)
    return "▰" * done + "▱" * (_BAR - done)
