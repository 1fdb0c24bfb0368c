"""Reads the settings from the environment, secret files and lorabot.toml, and names every mistake in one line."""

import difflib
import math
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lorabot.locale import Message, Param, Translator
from lorabot.settings.tree import (
    CONFIG_VARIABLE,
    FILE_SUFFIX,
    PREFIX,
    Setting,
    Settings,
    environment_names,
    settings_tree,
    value_at,
)

_CONFIG_FILE = "lorabot.toml"
_TESTS_PREFIX = "LORABOT_TEST_"  # for the tests alone: no setting, and no mistake either


class SettingsError(Exception):
    """Settings that cannot be used. ``problems`` holds one message for each."""

    def __init__(self, problems: list["Problem"]) -> None:
        super().__init__("; ".join(problem.message.code for problem in problems))
        self.problems = tuple(problems)

    def lines(self, translate: Translator) -> list[str]:
        """One line a problem, in the language of ``translate``."""
        return [problem.text(translate) for problem in self.problems]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one setting, and what its value may be."""

    message: Message
    allowed: Message | None = None

    def text(self, translate: Translator) -> str:
        if self.allowed is None:
            return translate.text(self.message)
        return translate(self.message.code, **self.message.params, allowed=translate.text(self.allowed))


def load_settings(config: Path | None = None) -> Settings:
    """Read the settings: environment over ``_FILE`` variables over ``config`` (else LORABOT_CONFIG, else lorabot.toml).

    An empty value counts as not given. Raises ``SettingsError`` with everything that is wrong at once.
    """
    problems: list[Problem] = []
    environment = {name: value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
    settings = settings_tree()
    _refuse_unknown_variables(environment, problems)
    file, tree = _read_toml(config, environment, settings, problems)
    _read_secret_files(environment, settings, tree, problems)
    origins = _Origins(environment, file)
    sections = {setting.variable.rpartition("__")[0] for setting in settings}
    if not sections.isdisjoint(name.upper() for name in environment):
        raise SettingsError(problems)  # a value for a whole section: pydantic makes nothing of it
    try:
        loaded = Settings(**tree)
    except ValidationError as error:
        details = [detail for detail in error.errors() if not _is_unknown(detail, settings)]  # these are said already
        raise SettingsError([*problems, *(_explain(detail, settings, origins) for detail in details)]) from None
    problems += [
        Problem(_wrong(origins.name(setting), str(value), setting), setting.allowed)
        for setting in settings
        if isinstance(value := value_at(loaded, setting.path), float) and not math.isfinite(value)
    ]
    problems += [
        Problem(Message("settings-wrong-section", {"name": origins.name(_by_path(settings, path)), "reason": reason}))
        for path, reason in _bad_urls(loaded)
    ]
    if problems:
        raise SettingsError(problems)
    return loaded


def _is_unknown(detail: Mapping[str, Any], settings: tuple[Setting, ...]) -> bool:
    place = tuple(str(part) for part in detail["loc"])
    known = any(place[: len(setting.path)] == setting.path for setting in settings)
    return detail["type"] == "extra_forbidden" and not known


@dataclass(frozen=True, slots=True)
class _Origins:
    """Where values came from, so that a message can name what the operator has to change."""

    environment: Mapping[str, str]
    file: Path | None

    def name(self, setting: Setting) -> str:
        for name in (setting.variable, setting.variable + FILE_SUFFIX):
            if any(given.upper() == name and value for given, value in self.environment.items()):
                return name
        return setting.variable if self.file is None else f"{self.file.name}: {setting.key}"


def _refuse_unknown_variables(environment: Mapping[str, str], problems: list[Problem]) -> None:
    known = environment_names()
    plain = {setting.variable.removeprefix(PREFIX): setting for setting in settings_tree()}
    for name in sorted(environment):
        if name.upper() in known or name.upper().startswith(_TESTS_PREFIX):
            continue
        wish = name.upper().removeprefix(PREFIX)
        section = next((other for other in plain if other.startswith(f"{wish}__")), None)
        near = section or _nearest(wish.removesuffix(FILE_SUFFIX), plain)
        if near is not None:
            suffix = FILE_SUFFIX if wish.endswith(FILE_SUFFIX) and plain[near].is_secret else ""
            params: dict[str, Param] = {"name": name, "nearest": f"{PREFIX}{near}{suffix}"}
            problems.append(Problem(Message("settings-unknown-variable", params)))
        else:
            problems.append(Problem(Message("settings-unknown-variable-at-all", {"name": name})))


def _nearest(wish: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(wish, list(known), n=1)
    return near[0] if near else None


def _read_toml(
    config: Path | None, environment: Mapping[str, str], settings: tuple[Setting, ...], problems: list[Problem]
) -> tuple[Path | None, dict[str, Any]]:
    named = config or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    file = named or Path(_CONFIG_FILE)
    if named is None and not file.exists():
        return None, {}
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(Problem(Message("settings-no-file", {"file": str(file), "reason": error.strerror or ""})))
        return file, {}
    except ValueError as error:  # not TOML, or not UTF-8
        problems.append(Problem(Message("settings-not-toml", {"file": str(file), "reason": str(error)})))
        return file, {}
    known = {setting.key for setting in settings}
    sections = {key.partition(".")[0] for key in known if "." in key}
    for key in list(_keys(tree, known)):
        if key in known:
            continue
        _take_out(tree, key)
        if key in sections:
            problems.append(Problem(Message("settings-no-section", {"file": file.name, "name": key})))
            continue
        near = _nearest(key, known | sections)
        params: dict[str, Param] = {"file": file.name, "name": key, "nearest": near or ""}
        problems.append(Problem(Message("settings-unknown-key" if near else "settings-unknown-key-at-all", params)))
    return file, _without_empty(tree)


def _keys(tree: Mapping[str, Any], known: Iterable[str], above: str = "") -> Iterator[str]:
    for name, value in tree.items():
        key = f"{above}{name}"
        is_section = any(other.startswith(f"{key}.") for other in known)
        if isinstance(value, dict) and is_section:
            yield from _keys(value, known, f"{key}.")
        else:
            yield key


def _take_out(tree: dict[str, Any], key: str) -> None:
    *above, name = key.split(".")
    for section in above:
        tree = tree[section]
    del tree[name]


def _without_empty(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_empty(value) if isinstance(value, dict) else value for name, value in tree.items() if value != ""
    }


def _read_secret_files(
    environment: Mapping[str, str], settings: tuple[Setting, ...], tree: dict[str, Any], problems: list[Problem]
) -> None:
    given = {name.upper(): value for name, value in environment.items() if value}
    for setting in settings:
        variable = setting.variable + FILE_SUFFIX
        if not setting.is_secret or variable not in given:
            continue
        if setting.variable in given:
            problems.append(Problem(Message("settings-twice", {"name": setting.variable, "file": variable})))
            continue
        try:
            text = Path(given[variable]).read_text(encoding="utf-8").strip()
        except OSError as error:
            params = {"name": variable, "file": given[variable], "reason": error.strerror or ""}
            problems.append(Problem(Message("settings-no-secret-file", params)))
            continue
        except UnicodeDecodeError:
            params = {"name": variable, "file": given[variable], "reason": "not UTF-8 text"}
            problems.append(Problem(Message("settings-no-secret-file", params)))
            continue
        here = tree
        for name in setting.path[:-1]:
            here = here.setdefault(name, {})
        if text:
            here[setting.path[-1]] = text


def _explain(detail: Mapping[str, Any], settings: tuple[Setting, ...], origins: _Origins) -> Problem:
    place = tuple(str(part) for part in detail["loc"])
    for setting in settings:
        if place[: len(setting.path)] == setting.path:
            if setting.listed is not None:
                return _explain_listed(detail, setting, setting.listed, origins.name(setting))
            return Problem(_wrong(origins.name(setting), str(detail["input"]), setting), setting.allowed)
    # A rule between several settings of one section; its text names them.
    section = PREFIX + "__".join(place).upper()
    return Problem(Message("settings-wrong-section", {"name": section, "reason": _reason(detail)}))


def _explain_listed(detail: Mapping[str, Any], setting: Setting, element: type[BaseModel], name: str) -> Problem:
    """What is wrong with one element of a list: ``LORABOT_BASES[0].family``."""
    index, field = "", [str(part) for part in detail["loc"][len(setting.path) :]]
    if field:
        index = field.pop(0)
    where = ".".join([f"{name}[{index}]" if index else name, *field])
    if detail["type"] == "value_error":
        return Problem(Message("settings-wrong-section", {"name": where, "reason": _reason(detail)}))
    known = element.model_fields
    if field and field[0] not in known:
        near = _nearest(field[0], known) or ""
        params: dict[str, Param] = {"file": f"{name}[{index}]", "name": field[0], "nearest": near}
        return Problem(Message("settings-unknown-key" if near else "settings-unknown-key-at-all", params))
    part = Setting((*setting.path, index, *field), known[field[0]]) if field else setting
    if detail["type"] == "missing":
        return Problem(Message("settings-missing", {"name": where}), part.allowed)
    return Problem(_wrong(where, str(detail["input"]), part), part.allowed)


def _reason(detail: Mapping[str, Any]) -> str:
    error = detail.get("ctx", {}).get("error")
    return str(error) if error is not None else str(detail["msg"])


def _wrong(name: str, value: str, setting: Setting) -> Message:
    if setting.is_secret:
        return Message("settings-wrong-secret", {"name": name})
    return Message("settings-wrong", {"name": name, "value": value[:80]})


def _bad_urls(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """URLs that no part of the queue understands; the reasons hold no password."""
    urls = {name: getattr(settings, name) for name in _URL_CHECKS}
    for name, url in urls.items():
        if url is not None:
            try:
                _URL_CHECKS[name](url.get_secret_value())
            except ValueError as error:
                yield (name,), str(error)


def _check_database_url(url: str) -> None:
    from lorabot.queue.database import parse_database_url

    parse_database_url(url)


def _check_redis_url(url: str) -> None:
    from lorabot.queue.redis import connect

    connect(url, patient=False)


def _check_blob_url(url: str) -> None:
    from lorabot.queue.blobs import open_blobs

    open_blobs(url)


# These bring drivers along that most commands have no use for, so they are loaded only where a URL is set.
_URL_CHECKS: dict[str, Callable[[str], None]] = {
    "database_url": _check_database_url,
    "redis_url": _check_redis_url,
    "blob_url": _check_blob_url,
}


def _by_path(settings: tuple[Setting, ...], path: tuple[str, ...]) -> Setting:
    return next(setting for setting in settings if setting.path == path)
