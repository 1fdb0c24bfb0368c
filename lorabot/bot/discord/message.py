"""A message of ours before Discord has it, and the components it is made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import discord
from discord import ui

from lorabot.bot.discord import limits
from lorabot.bot.discord.place import bound
from lorabot.bot.reply import Button, ButtonStyle, File, Picture
from lorabot.queue.model import Address

BLURPLE, GREY, GREEN, RED, YELLOW = 0x5865F2, 0x80848E, 0x23A55A, 0xF23F43, 0xF0B232

_LEAST_CONTEXT = 100
_STYLES: dict[ButtonStyle, discord.ButtonStyle] = {
    "primary": discord.ButtonStyle.primary,
    "danger": discord.ButtonStyle.danger,
    "plain": discord.ButtonStyle.secondary,
}


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of the message: from the blobs, or its bytes. ``name`` is unlike that of any other in it."""

    name: str
    source: Picture | File | bytes
    alt: str | None = None

    @property
    def mark(self) -> str:
        """The same for the same content."""
        return f"{len(self.source)} bytes" if isinstance(self.source, bytes) else self.source.key


@dataclass(frozen=True, slots=True)
class Link:
    """A button that opens a page."""

    label: str
    url: str

    @property
    def fits(self) -> bool:
        """Does Discord take it? A computer's bare name, as in ``http://gpu-box:8080``, is no well-formed URL to it."""
        return len(self.url) <= limits.LINK and "." in (urlsplit(self.url).hostname or "")


@dataclass(frozen=True, slots=True)
class Out:
    """What a message shows. ``mention``: the one person whom it may notify."""

    text: str
    pictures: tuple[Attached, ...] = ()
    files: tuple[Attached, ...] = ()
    buttons: tuple[Button, ...] = ()
    links: tuple[Link, ...] = ()
    accent: int | None = None
    mention: int | None = None

    @property
    def attached(self) -> tuple[Attached, ...]:
        return (*self.pictures, *self.files)

    def said_first(self, line: str) -> "Out":
        """With ``line`` above everything else."""
        return replace(self, text=f"{line}\n{self.text}")

    def below(self, context: str) -> "Out":
        """With ``context`` above, of which only the beginning is kept where there is no room for it and all of this."""
        room = limits.MESSAGE_TEXT - len(self.text) - len("\n\n")
        return replace(self, text=f"{cut(context, room)}\n\n{self.text}") if room > _LEAST_CONTEXT else self

    def about(self, conversation: Address | None, here: Address) -> "Out":
        """For a message that stands ``here``: its buttons go on with another ``conversation``, if there is one."""
        if conversation is None or conversation == here:
            return self
        buttons = tuple(replace(button, action=bound(button.action, conversation)) for button in self.buttons)
        return replace(self, buttons=buttons)

    def notifying(self, user: int) -> "Out":
        """Beginning with the mention of ``user``, who is notified."""
        return replace(self, text=f"<@{user}> {self.text}", mention=user)

    def without_files(self, reason: str) -> "Out":
        """The words and buttons alone, and why there is nothing else."""
        return replace(self, text=f"{self.text}\n-# {reason}", pictures=(), files=())


class Layout(ui.LayoutView):
    """Components of a message. Presses are heard by their custom_id, so discord.py need not remember the message."""

    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.stop()


def layout_of(out: Out) -> Layout:
    """The components of ``out``, within Discord's limits."""
    box: ui.Container[Layout] = ui.Container(accent_colour=out.accent)
    box.add_item(ui.TextDisplay(cut(out.text, limits.MESSAGE_TEXT)))
    if out.pictures:
        shown = out.pictures[: limits.GALLERY]
        box.add_item(
            ui.MediaGallery(*(discord.MediaGalleryItem(_uri(one), description=cut_alt(one.alt)) for one in shown))
        )
    for one in out.files:
        box.add_item(ui.File(_uri(one)))
    for row in _rows(out.buttons, out.links):
        box.add_item(row)
    view = Layout()
    view.add_item(box)
    return view


def mentions_of(out: Out) -> discord.AllowedMentions:
    """Nobody is notified but the one whom it is for."""
    users = [discord.Object(out.mention)] if out.mention is not None else False
    return discord.AllowedMentions(everyone=False, roles=False, users=users, replied_user=False)


def cut(text: str, most: int) -> str:
    """``text``, or its beginning up to the end of a line where that is near."""
    if len(text) <= most:
        return text or "…"
    kept = text[: most - 2]
    line = kept.rfind("\n")
    return (kept[:line] if line > most // 2 else kept) + "\n…"


def distinct(attached: Sequence[Attached]) -> tuple[Attached, ...]:
    """The same files, no two of one name."""
    taken: set[str] = set()
    made = []
    for one in attached:
        name, number = one.name, 1
        while name in taken:
            number += 1
            stem, dot, suffix = one.name.rpartition(".")
            name = f"{stem}-{number}{dot}{suffix}" if dot else f"{one.name}-{number}"
        taken.add(name)
        made.append(replace(one, name=name))
    return tuple(made)


def _uri(attached: Attached) -> str:
    return f"attachment://{attached.name}"


def _rows(buttons: Sequence[Button], links: Sequence[Link]) -> Iterator["ui.ActionRow[Layout]"]:
    made: list[ui.Button[Layout]] = [
        ui.Button(label=cut_label(one.label), custom_id=one.action, style=_STYLES[one.style]) for one in buttons
    ]
    made += [ui.Button(label=cut_label(link.label), url=link.url) for link in links if link.fits]
    made = made[: limits.BUTTONS]
    for at in range(0, len(made), limits.BUTTONS_A_ROW):
        yield ui.ActionRow(*made[at : at + limits.BUTTONS_A_ROW])


def cut_alt(alt: str | None) -> str | None:
    return alt[: limits.ALT] if alt else None


def cut_label(label: str) -> str:
    most = limits.BUTTON_LABEL
    return label if len(label) <= most else label[: most - 1] + "…"
