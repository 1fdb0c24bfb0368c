"""Links to the web front end, and the truth about those that lead nowhere from a phone."""

import html
from urllib.parse import urlsplit

from lorabot.bot.telegram.formatting import html_of, link
from lorabot.bot.web.links import Links
from lorabot.locale import Translator


def link_html(links: Links, url: str, words: str, text: Translator) -> list[str]:
    """HTML lines: the link, and that it can't be opened from everywhere where that is so."""
    if links.public and "." in (urlsplit(url).hostname or ""):
        return [link(url, words)]
    # Telegram makes no link of an address without a domain; it can still be copied.
    lines = [html_of(words), html.escape(url, quote=False)]
    return lines if links.public else [*lines, html_of(text("telegram-link-here"))]
