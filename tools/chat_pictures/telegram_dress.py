"""A recorded conversation as Telegram shows it on a phone, light."""

import html
import re
from pathlib import Path

from tools.chat_pictures.recorded import Button, File, Message, Recording

_STYLE = (Path(__file__).parent / "telegram.css").read_text(encoding="utf-8")
# The app makes links of commands by itself, where they are no code.
_COMMAND = re.compile(r"(?<![\w<>/])(/[a-z]+)\b(?![^<]*</code>)")
_TOUCHED = r"<a>\1</a>"
_SHEET = (
    '<svg width="20" height="24" viewBox="0 0 20 24"><path fill="#fff" d="M2 0h10l6 6v16a2 2 0 0 1-2 2H2'
    'a2 2 0 0 1-2-2V2a2 2 0 0 1 2-2z"/><path fill="#0003" d="M12 0l6 6h-6z"/></svg>'
)


def page(recording: Recording) -> str:
    """The page to take a picture of; it needs nothing else."""
    title = html.escape(recording.title)
    head = f'<header><div class="avatar">{title[:1].upper()}</div><div><b>{title}</b><span>bot</span></div></header>'
    rows = "".join(map(_message, recording.messages))
    return f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style><div id="chat">{head}{rows}</div>'


def _message(message: Message) -> str:
    own = "" if message.bot else " own"
    inner = _album(message) + "".join(map(_file, message.files))
    # The texts are Telegram's own HTML, which a browser reads alike.
    inner += f'<div class="text">{_COMMAND.sub(_TOUCHED, message.text)}</div>' if message.text else ""
    media = " media" if message.pictures else ""
    media += " small" if message.pictures and not message.bot else ""
    media += " bare" if message.pictures and not message.text else ""
    bubble = f'<div class="bubble{media}">{inner}<span class="time">{message.time}</span></div>'
    keys = "".join("<div>" + "".join(map(_button, row)) + "</div>" for row in message.buttons)
    return f'<div class="row{own}">{bubble}{f"""<div class="keys">{keys}</div>""" if keys else ""}</div>'


def _album(message: Message) -> str:
    shown = [f'<img alt="" src="data:{one.content_type};base64,{one.data}">' for one in message.pictures]
    if len(shown) <= 1:
        return "".join(shown)
    return f'<div class="album of{len(shown)}">{"".join(shown)}</div>'


def _file(file: File) -> str:
    size = f"{file.size / 1024**2:.1f} MB" if file.size >= 1024**2 else f"{max(1, file.size // 1024)} KB"
    return f'<div class="file"><i>{_SHEET}</i><div><b>{html.escape(file.name)}</b><span>{size}</span></div></div>'


def _button(button: Button) -> str:
    return f'<span class="{button.style}">{html.escape(button.label)}</span>'
