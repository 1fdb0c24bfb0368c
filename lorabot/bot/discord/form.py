"""The form that ``/train`` opens where no file came with it: preset, trigger word, up to ten photos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from discord import ui

from lorabot.bot.commands.requests import Train
from lorabot.bot.discord import limits
from lorabot.bot.discord.place import BINDING, bound, unbound
from lorabot.locale import Translator
from lorabot.presets import Catalogue
from lorabot.queue.model import Address

FORM = "form"
_PRESET, _TRIGGER, _FILES = "preset", "trigger", "files"
_OPEN_S = 3600.0
_MOST_TRIGGER = 24


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that a person sent with a command, a form or a message."""

    name: str
    url: str
    size: int


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it came back. ``about`` is the conversation that it goes on with, if it is another one."""

    train: Train
    files: tuple[Sent, ...]
    about: Address | None = None


def form_of(train: Train, presets: Catalogue, say: Translator, about: Address | None = None) -> ui.Modal:
    """The form, with what is known of ``train`` filled in. It can be sent back after a restart of the bot too.

    ``about`` is the conversation that it goes on with; None: the one where it is opened.
    """
    custom_id = form_id(train) if about is None else bound(form_id(train), about)
    form = ui.Modal(title=say("discord-form-title"), custom_id=custom_id, timeout=_OPEN_S)
    language = say.language
    chosen = train.preset.casefold() if train.preset else None
    options = [
        discord.SelectOption(
            label=preset.title.get(language)[: limits.CHOICE_TEXT],
            value=preset.id,
            description=preset.description.get(language)[: limits.CHOICE_TEXT],
            default=preset.id == chosen,
        )
        for preset in list(presets.presets.values())[: limits.CHOICES]
    ]
    preset = ui.Select[ui.Modal](custom_id=_PRESET, options=options, placeholder=say("discord-form-preset-hint"))
    trigger = ui.TextInput[ui.Modal](
        custom_id=_TRIGGER,
        required=False,
        max_length=_MOST_TRIGGER,
        placeholder=say("discord-form-trigger-example"),
        default=train.trigger[:_MOST_TRIGGER] if train.trigger else None,
    )
    files = ui.FileUpload[ui.Modal](custom_id=_FILES, required=False, min_values=0, max_values=limits.FORM_FILES)
    form.add_item(ui.Label(text=say("discord-form-preset"), component=preset))
    form.add_item(
        ui.Label(text=say("discord-form-trigger"), description=say("discord-form-trigger-hint"), component=trigger)
    )
    form.add_item(ui.Label(text=say("discord-form-files"), description=say("discord-form-files-hint"), component=files))
    form.add_item(ui.TextDisplay(say("discord-form-more")))
    return form


def form_id(train: Train) -> str:
    """What the form must remember of ``train`` beside its fields."""
    return ":".join((FORM, train.base or "", train.name or "", train.seed or ""))[: limits.CUSTOM_ID]


def opening_action(train: Train) -> str:
    """The action of a button that opens the form. A word that finds no room is left out whole, to be typed again."""
    words = [FORM, train.preset or "", train.trigger or "", train.base or "", train.name or ""]
    while len(":".join(words)) > limits.CUSTOM_ID - BINDING:
        words.pop()
    return ":".join(words)


def opened_by(action: str) -> Train:
    """What ``opening_action`` wrote."""
    preset, trigger, base, name = [part or None for part in [*action.split(":")[1:], "", "", "", ""][:4]]
    return Train(preset, trigger, base, name)


def is_form(custom_id: str) -> bool:
    """Is it that of a form, or of a button that opens one?"""
    return unbound(custom_id)[0].partition(":")[0] == FORM


def filled(data: Mapping[str, Any]) -> Filled:
    """Read a form that was sent back, from the interaction's own data: no memory of having opened it is needed."""
    action, about = unbound(str(data["custom_id"]))
    base, name, seed = [part or None for part in [*action.split(":")[1:], "", "", ""][:3]]
    fields = {field["custom_id"]: field for field in _fields(data.get("components", ()))}
    presets: Sequence[str] = fields.get(_PRESET, {}).get("values", ())
    trigger = str(fields.get(_TRIGGER, {}).get("value") or "").strip()
    resolved = data.get("resolved", {}).get("attachments", {})
    wanted: Sequence[str] = fields.get(_FILES, {}).get("values", ())
    files = tuple(
        Sent(resolved[key]["filename"], resolved[key]["url"], int(resolved[key]["size"]))
        for key in wanted
        if key in resolved
    )
    return Filled(Train(presets[0] if presets else None, trigger or None, base, name, seed), files, about)


def _fields(components: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for component in components:
        if "component" in component:
            yield component["component"]
        yield from component.get("components", ())
