"""Telegram's HTML and inline keyboards, read as strictly as Telegram reads them."""

import html
import json
import re
from typing import Any
from urllib.parse import urlsplit

from tests.telegram.server.refusal import bad_request

# https://core.telegram.org/bots/api#html-style
_STYLES = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    "tg-spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "a": "text_link",
}
_TOKEN = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)((?:\s+[a-z-]+(?:=\"[^\"<>]*\")?)*)\s*>|&(#?\w+);|([<&])|([^<&]+)")
_HREF = re.compile(r'\s+href="([^"]*)"')
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_MOST_ENTITIES = 100
_MOST_BUTTONS = 100
_MOST_IN_A_ROW = 8
_MOST_DATA = 64


def utf16(text: str) -> int:
    """Length as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


def read_html(source: str) -> tuple[str, list[dict[str, Any]]]:
    """The text and its entities. Raises ``Refusal`` where Telegram can't parse it."""
    text = ""
    entities: list[dict[str, Any]] = []
    open_tags: list[tuple[str, int, str | None]] = []
    for match in _TOKEN.finditer(source):
        closing, name, attributes, escape, odd, plain = match.groups()
        if plain is not None:
            text += plain
        elif odd is not None:
            raise bad_request(f"can't parse entities: unescaped {odd!r} at {match.start()} of {source!r}")
        elif escape is not None:
            if escape not in _NAMED and not escape.startswith("#"):
                raise bad_request(f"can't parse entities: unknown entity &{escape}; in {source!r}")
            text += _NAMED.get(escape) or html.unescape(f"&{escape};")
        elif name not in _STYLES:
            raise bad_request(f'can\'t parse entities: Unsupported start tag "{name}" in {source!r}')
        elif closing:
            if not open_tags or open_tags[-1][0] != name:
                raise bad_request(f"can't parse entities: unexpected end tag {name!r} in {source!r}")
            opened, at, url = open_tags.pop()
            length = utf16(text) - at
            if length:
                entity = {"type": _STYLES[opened], "offset": at, "length": length}
                entities.append(entity | ({"url": url} if url is not None else {}))
        else:
            href = _HREF.fullmatch(attributes or "")
            if name == "a" and href is None:
                raise bad_request(f"can't parse entities: a link without href in {source!r}")
            url = html.unescape(href[1]) if href else None
            if url is not None and "." not in (urlsplit(url).hostname or "") and not url.startswith("tg://"):
                raise bad_request(f"the link to {url!r} would be dropped: it has no domain")
            if any(style in ("code", "pre") for style, _, _ in open_tags):
                raise bad_request(f"can't parse entities: {name!r} inside of code in {source!r}")
            open_tags.append((name, utf16(text), url))
    if open_tags:
        raise bad_request(f"can't parse entities: can't find end tag of {open_tags[-1][0]!r} in {source!r}")
    if len(entities) > _MOST_ENTITIES:
        raise bad_request("more than 100 entities: the rest would be dropped")
    return text.strip(), sorted(entities, key=lambda entity: (entity["offset"], -entity["length"]))


def read_markup(given: object) -> dict[str, Any] | None:
    """The reply markup. Raises ``Refusal`` for keyboards that Telegram refuses."""
    if given in (None, ""):
        return None
    markup = json.loads(given) if isinstance(given, str) else given
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" in markup:
        _check_keyboard(markup["inline_keyboard"])
    elif not set(markup) & {"force_reply", "remove_keyboard", "keyboard"}:
        raise bad_request("unknown reply markup")
    return markup if markup.get("inline_keyboard") or "inline_keyboard" not in markup else None


def _check_keyboard(rows: list[list[dict[str, Any]]]) -> None:
    if sum(len(row) for row in rows) > _MOST_BUTTONS:
        raise bad_request("reply markup is too long")
    for row in rows:
        if len(row) > _MOST_IN_A_ROW:
            raise bad_request("a row of more than 8 buttons: the rest would be dropped")
        for button in row:
            _check_button(button)


def _check_button(button: dict[str, Any]) -> None:
    if not str(button.get("text", "")).strip():
        raise bad_request("text buttons are allowed in inline keyboards only with a text")
    if "callback_data" in button:
        if not 1 <= len(str(button["callback_data"]).encode()) <= _MOST_DATA:
            raise bad_request(f"BUTTON_DATA_INVALID: {button['callback_data']!r}")
    elif "url" in button:
        parts = urlsplit(str(button["url"]))
        if parts.scheme not in ("http", "https", "tg") or "." not in (parts.hostname or ""):
            raise bad_request(f"inline keyboard button URL {button['url']!r} is invalid: Wrong HTTP URL")
    else:
        raise bad_request("inline keyboard button without an action")
