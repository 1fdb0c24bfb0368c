"""A recorded conversation as Discord shows it, dark."""

import html
import re
from pathlib import Path

from tools.chat_pictures.recorded import Button, File, Form, FormField, Message, Recording

_STYLE = (Path(__file__).parent / "discord.css").read_text(encoding="utf-8")
_EYE = (
    '<svg width="14" height="14" viewBox="0 0 24 24"><path fill="#949ba4" '
    'd="M12 5C6 5 2 12 2 12s4 7 10 7 10-7 10-7-4-7-10-7zm0 11a4 4 0 110-8 4 4 0 010 8z"/></svg>'
)
_AVATARS = ("#f23f43", "#f0b232", "#23a55a", "#eb459e", "#3ba55c", "#9b59b6")
_SHEET = (
    '<svg width="30" height="40" viewBox="0 0 30 40"><path fill="#d3d6fd" d="M0 0h20l10 10v30H0z"/>'
    '<path fill="#939bf9" d="M20 0l10 10H20z"/>'
    '<path stroke="#5865f2" stroke-width="2" d="M7 18h16M7 24h16M7 30h10"/></svg>'
)


def page(recording: Recording) -> str:
    """The page to take a picture of; it needs nothing else."""
    inner = _form(recording.form) if recording.form else "".join(map(_message, recording.messages))
    title = "" if recording.form else f"<h1>{html.escape(recording.title)}</h1>"
    return f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style><div id="chat">{title}{inner}</div>'


def _message(message: Message) -> str:
    classes = " ".join(("message", *(["bot"] if message.bot else []), *(["private"] if message.private else [])))
    colour = "#5865f2" if message.bot else _AVATARS[sum(map(ord, message.author)) % len(_AVATARS)]
    parts = [f'<div class="{classes}">']
    if message.invoked:
        who, what = html.escape(message.invoked.by), html.escape(message.invoked.name)
        parts.append(f'<div class="invoked">↱ <b>{who}</b> used <i>{what}</i></div>')
    parts.append(f'<div class="avatar" style="background:{colour}">{html.escape(message.author[:1].upper())}</div>')
    tag = '<span class="tag">APP</span>' if message.bot else ""
    parts.append(f'<span class="who">{html.escape(message.author)}</span>{tag}<span class="time">{message.time}</span>')
    inner = [f'<div class="text">{marked_up(message.text, message.mentions)}</div>'] if message.text else []
    inner += [_gallery(message)] if message.pictures else []
    inner += [_file(file) for file in message.files]
    inner += ['<div class="row">' + "".join(map(_button, row)) + "</div>" for row in message.buttons]
    if message.bot:
        accent = f' style="--accent:{message.accent}"' if message.accent else ""
        parts.append(f'<div class="box"{accent}>{"".join(inner)}</div>')
    else:
        parts += inner
    if message.private:
        parts.append('<div class="only">' + _EYE + " Only you can see this · <b>Dismiss message</b></div>")
    return "".join([*parts, "</div>"])


def _gallery(message: Message) -> str:
    shown = [
        f'<img alt="{html.escape(one.alt)}" src="data:{one.content_type};base64,{one.data}">'
        for one in message.pictures
    ]
    if len(shown) <= 2:
        return f'<div class="gallery{" two" if len(shown) == 2 else ""}">{"".join(shown)}</div>'
    return f'<div class="gallery">{shown[0]}<div class="rest">{"".join(shown[1:])}</div></div>'


def _file(file: File) -> str:
    size = f"{file.size / 1024**2:.1f} MB" if file.size >= 1024**2 else f"{max(1, file.size // 1024)} KB"
    return f'<div class="file">{_SHEET}<div><b>{html.escape(file.name)}</b><span>{size}</span></div></div>'


def _button(button: Button) -> str:
    return f'<span class="button {button.style}">{html.escape(button.label)}</span>'


def _form(form: Form) -> str:
    fields = "".join(map(_field, form.fields))
    buttons = '<span class="button">Cancel</span><span class="button primary">Submit</span>'
    return f'<div class="form"><h2>{html.escape(form.title)}</h2>{fields}<footer>{buttons}</footer></div>'


def _field(field: FormField) -> str:
    if field.kind == "note":
        return f'<div class="field note">{marked_up(field.label, {})}</div>'
    hint = f"<em>{html.escape(field.hint)}</em>" if field.hint else ""
    if field.kind == "files":
        inner = f'<div class="drop">{html.escape(field.value or "Drop your files here, or browse")}</div>'
    else:
        empty = "" if field.value else " empty"
        inner = f'<div class="input {field.kind}{empty}">{html.escape(field.value or field.placeholder)}</div>'
    return f'<div class="field"><b>{html.escape(field.label)}</b>{hint}{inner}</div>'


def marked_up(text: str, mentions: dict[str, str]) -> str:
    """The part of Discord's Markdown that we send: headings, small print, bold, code, links, mentions."""
    lines = []
    for line in html.escape(text, quote=False).split("\n"):
        line = re.sub(r"`([^`]+)`", r"<code>\1</code>", line)
        line = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", line)
        line = re.sub(r"\[([^\]]+)\]\((https?://[^)]+)\)", r'<a href="\2">\1</a>', line)
        line = re.sub(r"&lt;@(\d+)&gt;", lambda found: _mention("@" + mentions.get(found[1], "someone")), line)
        line = re.sub(r"&lt;#(\d+)&gt;", lambda found: _mention("#" + mentions.get(found[1], "channel")), line)
        if line.startswith("### "):
            lines.append(f"<h3>{line[4:]}</h3>")
        elif line.startswith("-# "):
            lines.append(f"<small>{line[3:]}</small>\n")
        else:
            lines.append(f"{line}\n")
    return "".join(lines).rstrip("\n")


def _mention(name: str) -> str:
    return f'<span class="mention">{html.escape(name)}</span>'
