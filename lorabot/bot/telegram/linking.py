"""Links to the web front end, and the truth about those that lead nowhere from a phone."""

import html
import ipaddress
from urllib.parse import urlsplit

from lorabot.bot.reply import File
from lorabot.bot.telegram.formatting import html_of, link
from lorabot.bot.web.links import Links
from lorabot.locale import Translator


def link_lines(links: Links, file: File, text: Translator) -> list[str]:
    """HTML lines with a link to ``file``."""
    return link_html(links.url(file), text("telegram-link-file", name=file.filename), text)


def link_html(url: str, words: str, text: Translator) -> list[str]:
    """HTML lines: the link, and where it can be opened if not from everywhere."""
    if reachable(url):
        return [link(url, words)]
    # Telegram makes no link of such an address; it can still be copied.
    return [html_of(words), html.escape(url, quote=False), html_of(text("telegram-link-here"))]


def reachable(url: str) -> bool:
    """Can another machine follow ``url``, as far as it shows?"""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost" and "." in host
