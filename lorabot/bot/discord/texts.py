"""How cards and replies read on Discord."""

import re
from collections.abc import Callable
from dataclasses import replace

import discord

from lorabot.bot.card import Card
from lorabot.bot.discord import limits
from lorabot.bot.discord.message import BLURPLE, GREEN, GREY, RED, YELLOW, Attached, Link, Out, distinct
from lorabot.bot.reply import File, Picture, Reply
from lorabot.bot.web.links import Links
from lorabot.locale import Translator

_ACCENTS = {
    "held": YELLOW,
    "queued": GREY,
    "running": BLURPLE,
    "succeeded": GREEN,
    "failed": RED,
    "cancelled": GREY,
}
_SAMPLES = 4
_BAR = 20
_MIB = 1024 * 1024
LOSS_PICTURE = "loss.png"
_OWNER = re.compile(r"`?\bdiscord:(\d{15,20})\b(?!/)`?")


def card_out(card: Card, loss: bytes | None, owner: int | None, say: Translator) -> Out:
    """A job's card: what it is, how far it is, the loss so far and the newest samples. It notifies nobody."""
    lines = [f"### `{card.name}` · {card.title}"]
    lines.append(f"**{card.status_text}**")
    if card.percent is not None and card.state == "running":
        lines.append(f"{bar(card.percent)} {card.percent:.0f} %")
    numbers = [say("command-steps", step=card.step, total=card.total_steps)] if card.total_steps else []
    numbers += [text for text in (card.rate_text, card.eta_text) if text]
    if numbers and card.state == "running":
        lines.append(" · ".join(numbers))
    if card.note:
        lines.append(card.note)
    whom = f"<@{owner}>" if owner is not None else ""
    lines.append(f"-# {say('discord-card-for', trigger=card.trigger, whom=whom)}")
    pictures = []
    if card.state != "succeeded":  # the result shows better ones
        pictures += [Attached(LOSS_PICTURE, loss, say("result-alt-plot"))] if loss is not None else []
        pictures += [
            Attached(sample.picture.filename, sample.picture, sample.picture.alt) for sample in card.samples[-_SAMPLES:]
        ]
    return Out(
        "\n".join(lines), pictures=distinct(pictures), buttons=card.buttons, accent=_ACCENTS.get(card.state, GREY)
    )


def reply_out(reply: Reply, guild_of: Callable[[int], discord.Guild | None] = lambda _: None) -> Out:
    """An answer as it stands; its files are still to be fitted to the place.

    People in it are mentioned, and servers that ``guild_of`` knows are called by their names.
    """

    def called(found: re.Match[str]) -> str:
        guild = guild_of(int(found[1]))
        return f"<@{found[1]}>" if guild is None else f"**{discord.utils.escape_markdown(guild.name)}**"

    pictures = [Attached(picture.filename, picture, picture.alt) for picture in reply.pictures]
    files = [Attached(file.filename, file) for file in reply.files]
    everything = distinct([*pictures, *files])
    return Out(
        _OWNER.sub(called, reply.text),
        pictures=everything[: len(pictures)],
        files=everything[len(pictures) :],
        buttons=reply.buttons,
        accent=(GREEN if reply.pictures else GREY) if reply.result else None,
    )


def result_outs(reply: Reply, most: int, links: dict[str, str], local: bool, say: Translator) -> list[Out]:
    """The message that ends a job, in as many as the place needs: files over ``most`` bytes become links.

    ``links`` are the signed addresses of the files by their keys; ``local``: they lead to this machine only.
    """
    out = reply_out(replace(reply, files=tuple(file for file in reply.files if not file.filename.endswith(".json"))))
    fitting = [one for one in out.files if _size(one) <= most]
    large = [one for one in out.files if _size(one) > most]
    out = linked(replace(out, files=tuple(fitting)), large, links, local, say)
    if sum(map(_size, fitting)) + len(out.pictures) * _MIB <= max(limits.REQUEST_BYTES, most):
        return [out]
    first = replace(out, files=(), buttons=())
    return [first, Out(f"`{fitting[0].name}`", files=tuple(fitting), buttons=out.buttons, accent=out.accent)]


def linked(out: Out, large: list[Attached], links: dict[str, str], local: bool, say: Translator) -> Out:
    """``out`` with links in place of files that the place does not take."""
    lines, made = [], []
    for one in large:
        assert not isinstance(one.source, bytes)
        url = links[one.source.key]
        if isinstance(one.source, Picture):
            lines.append(f"[{one.name}]({url})")
            continue
        size = megabytes(one.source.size)
        lines.append(say("discord-too-large-here", name=one.name, size=size, url=url))
        made.append(Link(say("discord-download", name=one.name, size=size), url))
    if large and local:
        lines.append(say("discord-link-local"))
    return replace(out, text="\n".join([out.text, *lines]), links=(*out.links, *made))


def file_links(reply: Reply, links: Links) -> dict[str, str]:
    """Signed addresses of a reply's files and pictures by their keys."""
    files: tuple[File | Picture, ...] = (*reply.files, *reply.pictures)
    return {one.key: links.url(one) for one in files}


def unattached(out: Out, links: dict[str, str], local: bool, say: Translator) -> Out:
    """``out`` for a place that takes no files at all, or less than it said: a link for each."""
    plain = replace(out, pictures=(), files=())
    return linked(plain, [one for one in out.attached if not isinstance(one.source, bytes)], links, local, say)


def bar(percent: float) -> str:
    full = round(_BAR * min(100.0, max(0.0, percent)) / 100)
    return f"`{'█' * full}{'░' * (_BAR - full)}`"


def megabytes(size: int) -> str:
    return f"{size / _MIB:.0f}" if size >= 10 * _MIB else f"{size / _MIB:.1f}"


def _size(attached: Attached) -> int:
    return attached.source.size if isinstance(attached.source, File) else 0
