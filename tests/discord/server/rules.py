"""Discord's rules for what a message, a modal and an autocompletion may hold."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from tests.discord.server.wire import EMPTY_MESSAGE, Json, check, malformed
from tests.discord.server.world import COMPONENTS_V2, walk

ACTION_ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER = 9, 10, 11, 12, 13, 14, 17
LABEL, FILE_UPLOAD = 18, 19
_SELECTS = (3, 5, 6, 7, 8)
_IN_LABEL = (*_SELECTS, TEXT_INPUT, FILE_UPLOAD, 21, 22, 23)
_TOP_V2 = (ACTION_ROW, SECTION, TEXT_DISPLAY, GALLERY, FILE, SEPARATOR, CONTAINER)
_LINK, _PREMIUM = 5, 6
_EMBED_TEXTS = {"title": 256, "description": 4096}
_MOST_FILES = 10
_MENTION = re.compile(r"<@!?(\d+)>")


def check_message(payload: Mapping[str, object], files: Sequence[str], flags: int) -> None:
    """A message as it would stand afterwards: ``files`` are the names of its attachments."""
    content = payload.get("content") or ""
    embeds = _list(payload.get("embeds"))
    components = _list(payload.get("components"))
    check(isinstance(content, str), "content: a string")
    check(len(files) <= _MOST_FILES, f"attachments: at most {_MOST_FILES}")
    check(len(set(files)) == len(files), f"attachments: two files of one name in {list(files)}")
    if flags & COMPONENTS_V2:
        check(not content and not embeds, "content, embeds: not together with IS_COMPONENTS_V2")
        check(components, "components: required with IS_COMPONENTS_V2")
        check_layout(components, files)
        return
    if not (content or embeds or files or components or payload.get("sticker_ids") or payload.get("poll")):
        raise EMPTY_MESSAGE
    check(len(str(content)) <= 2000, "content: at most 2000 characters")
    check_embeds(embeds, files)
    check(len(components) <= 5, "components: at most 5 rows")
    for row in components:
        check(row["type"] == ACTION_ROW, f"components: type {row['type']} needs IS_COMPONENTS_V2")
        _check_row(row)
    _check_custom_ids(components)


def check_layout(components: list[Json], files: Sequence[str]) -> None:
    """Components V2: 40 of them, 4,000 characters, and each file shown by one."""
    everything = list(walk(components))
    check(len(everything) <= 40, f"components: {len(everything)} of at most 40")
    texts = [part.get("content", "") for part in everything if part["type"] == TEXT_DISPLAY]
    check(sum(map(len, texts)) <= 4000, "components: at most 4000 characters in all")
    check(all(text.strip() for text in texts), "components: an empty text display")
    for component in components:
        check(component["type"] in _TOP_V2, f"components: type {component['type']} may not stand alone")
        _check_part(component, files)
    _check_custom_ids(components)
    shown = {name for part in everything for name in _referred(part)}
    hidden = set(files) - shown
    check(not hidden, f"attachments {sorted(hidden)}: no component shows them")


def check_embeds(embeds: list[Json], files: Sequence[str]) -> None:
    check(len(embeds) <= 10, "embeds: at most 10")
    total = 0
    for embed in embeds:
        for part, most in _EMBED_TEXTS.items():
            check(len(embed.get(part) or "") <= most, f"embeds.{part}: at most {most} characters")
            total += len(embed.get(part) or "")
        fields = embed.get("fields") or []
        check(len(fields) <= 25, "embeds.fields: at most 25")
        for one in fields:
            check(1 <= len(one["name"]) <= 256, "embeds.fields.name: 1 to 256 characters")
            check(1 <= len(one["value"]) <= 1024, "embeds.fields.value: 1 to 1024 characters")
            total += len(one["name"]) + len(one["value"])
        footer, author = (embed.get("footer") or {}).get("text", ""), (embed.get("author") or {}).get("name", "")
        check(len(footer) <= 2048, "embeds.footer.text: at most 2048 characters")
        check(len(author) <= 256, "embeds.author.name: at most 256 characters")
        total += len(footer) + len(author)
        for part in ("image", "thumbnail"):
            _check_media((embed.get(part) or {}).get("url", ""), files)
    check(total <= 6000, "embeds: at most 6000 characters in all")


def check_modal(data: Json) -> None:
    check(1 <= len(data.get("title", "")) <= 45, "modal.title: 1 to 45 characters")
    _check_custom_id(data)
    components = _list(data.get("components"))
    check(1 <= len(components) <= 5, "modal.components: 1 to 5")
    for component in components:
        match component["type"]:
            case 10:
                check(component.get("content", "").strip(), "modal: an empty text display")
            case 18:
                check(1 <= len(component.get("label", "")) <= 45, "modal.label: 1 to 45 characters")
                check(len(component.get("description") or "") <= 100, "modal.label.description: at most 100 characters")
                _check_field(component["component"])
            case 1:
                check(len(component["components"]) == 1, "modal: one input a row")
                _check_field(component["components"][0])
            case other:
                raise malformed(f"modal.components: type {other} is not allowed")
    _check_custom_ids(components)


def check_choices(choices: Sequence[Json]) -> None:
    """What an autocompletion may offer."""
    check(len(choices) <= 25, "choices: at most 25")
    for choice in choices:
        check(1 <= len(choice["name"]) <= 100, "choices.name: 1 to 100 characters")
        for name in (choice.get("name_localizations") or {}).values():
            check(1 <= len(name) <= 100, "choices.name_localizations: 1 to 100 characters")
        value = choice["value"]
        check(not isinstance(value, str) or 1 <= len(value) <= 100, "choices.value: 1 to 100 characters")


def pinged_by(text: str, allowed: Json | None) -> set[int]:
    """The people whom ``text`` notifies under ``allowed_mentions``. Raises where those contradict themselves."""
    named = {int(user) for user in _MENTION.findall(text)}
    if allowed is None:
        return named
    kinds, users = allowed.get("parse", []), [int(user) for user in allowed.get("users", [])]
    check(set(kinds) <= {"users", "roles", "everyone"}, f"allowed_mentions.parse: {kinds}")
    check(not ("users" in kinds and users), "allowed_mentions: parse users and users exclude each other")
    check(len(users) <= 100, "allowed_mentions.users: at most 100")
    return named if "users" in kinds else named & set(users)


def _check_part(part: Json, files: Sequence[str]) -> None:
    match part["type"]:
        case 1:
            _check_row(part)
        case 9:
            texts = part["components"]
            check(1 <= len(texts) <= 3, "section: 1 to 3 texts")
            check(all(text["type"] == TEXT_DISPLAY for text in texts), "section: texts only")
            accessory = part.get("accessory")
            if accessory is None:
                raise malformed("section: needs an accessory")
            if accessory["type"] == BUTTON:
                _check_button(accessory)
            else:
                check(accessory["type"] == THUMBNAIL, "section: the accessory is a button or a thumbnail")
                _check_media(accessory["media"]["url"], files)
        case 12:
            items = part["items"]
            check(1 <= len(items) <= 10, "gallery: 1 to 10 items")
            for item in items:
                check(len(item.get("description") or "") <= 1024, "gallery.description: at most 1024 characters")
                _check_media(item["media"]["url"], files)
        case 13:
            check(part["file"]["url"].startswith("attachment://"), "file: attachment:// only")
            _check_media(part["file"]["url"], files)
        case 17:
            inner = part["components"]
            check(inner, "container: empty")
            for one in inner:
                check(one["type"] in _TOP_V2 and one["type"] != CONTAINER, f"container: no type {one['type']}")
                _check_part(one, files)
        case 10 | 14:
            pass
        case other:
            raise malformed(f"components: type {other}")


def _check_row(row: Json) -> None:
    parts = row["components"]
    check(1 <= len(parts) <= 5, "action row: 1 to 5 components")
    if any(part["type"] in _SELECTS for part in parts):
        check(len(parts) == 1, "action row: a select stands alone")
        _check_field(parts[0])
        return
    for part in parts:
        check(part["type"] == BUTTON, f"action row: no type {part['type']}")
        _check_button(part)


def _check_button(button: Json) -> None:
    style = button["style"]
    label = button.get("label") or ""
    check(1 <= style <= _PREMIUM, f"button.style: {style}")
    check(label or button.get("emoji"), "button: needs a label or an emoji")
    check(len(label) <= 80, f"button.label: at most 80 characters, {label!r}")
    if style == _LINK:
        check(re.match(r"(https?|discord)://", button.get("url", "")), "button.url: http, https or discord")
        check(len(button["url"]) <= 512, "button.url: at most 512 characters")
        check("." in (urlsplit(button["url"]).hostname or ""), f"button.url: Not a well formed URL, {button['url']!r}")
        check("custom_id" not in button, "button: a link has no custom_id")
    else:
        check("url" not in button, "button: only a link has a url")
        _check_custom_id(button)


def _check_field(field: Json) -> None:
    kind = field["type"]
    check(kind in _IN_LABEL, f"field: type {kind}")
    _check_custom_id(field)
    if kind == STRING_SELECT:
        options = field.get("options", [])
        check(1 <= len(options) <= 25, "select.options: 1 to 25")
        check(len({option["value"] for option in options}) == len(options), "select.options: two of one value")
        check(len(field.get("placeholder") or "") <= 150, "select.placeholder: at most 150 characters")
        for option in options:
            check(1 <= len(option["label"]) <= 100, "select.options.label: 1 to 100 characters")
            check(1 <= len(option["value"]) <= 100, "select.options.value: 1 to 100 characters")
            check(len(option.get("description") or "") <= 100, "select.options.description: at most 100 characters")
    if kind == TEXT_INPUT:
        check(field["style"] in (1, 2), "text input: style 1 or 2")
        check(len(field.get("placeholder") or "") <= 100, "text input.placeholder: at most 100 characters")
        check(1 <= field.get("max_length", 4000) <= 4000, "text input.max_length: 1 to 4000")
        check(len(field.get("value") or "") <= field.get("max_length", 4000), "text input.value: too long")
    if kind == FILE_UPLOAD:
        least, most = field.get("min_values", 1), field.get("max_values", 1)
        check(0 <= least <= 10 and 1 <= most <= 10 and least <= most, "file upload: 0 to 10 files")


def _check_custom_id(part: Json) -> None:
    check(1 <= len(part.get("custom_id", "")) <= 100, f"custom_id: 1 to 100 characters in {part}")


def _check_custom_ids(components: list[Json]) -> None:
    given = [part["custom_id"] for part in walk(components) if "custom_id" in part]
    check(len(set(given)) == len(given), f"custom_id: two of one in {given}")


def _check_media(url: str, files: Sequence[str]) -> None:
    if url.startswith("attachment://"):
        check(url.removeprefix("attachment://") in files, f"{url}: no such attachment in {list(files)}")
    elif url:
        check(url.startswith(("http://", "https://")), f"media: {url!r}")


def _referred(part: Json) -> list[str]:
    media = [part.get("media"), part.get("file"), *(item["media"] for item in part.get("items", ()))]
    urls = [one["url"] for one in media if one]
    return [url.rpartition("/")[2].partition("?")[0] for url in urls]


def _list(value: object) -> list[Json]:
    check(value is None or isinstance(value, list), "a list is expected")
    return list(value) if isinstance(value, list) else []
