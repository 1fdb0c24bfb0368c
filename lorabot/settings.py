"""One typed tree of settings, read from the environment, from secret files and from lorabot.toml."""

import difflib
import math
import os
import secrets
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lorabot.bot.config import DeliveryConfig, DiscordConfig, IntakeConfig, TelegramConfig, WebConfig
from lorabot.locale import Message, Param, Translator
from lorabot.queue.config import QueueConfig
from lorabot.trainer.config import TrainerConfig

PREFIX = "LORABOT_"
CONFIG_VARIABLE = "LORABOT_CONFIG"
CONFIG_FILE = "lorabot.toml"
_TESTS_PREFIX = "LORABOT_TEST_"  # for the tests alone: no setting, and no mistake either
_FILE_SUFFIX = "_FILE"


class Settings(BaseSettings):
    """All settings. Rooms get their own part as an argument and never read this tree."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True, extra="forbid", frozen=True
    )

    data_dir: Path = Field(
        Path("lorabot-data"), validate_default=True, description="Folder for everything lorabot keeps."
    )
    database_url: SecretStr | None = Field(
        None,
        description="Job store: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`; none: in data_dir.",
    )
    redis_url: SecretStr | None = Field(
        None, description="Redis or Valkey: `redis://HOST:PORT/0`; none starts one of our own in data_dir."
    )
    blob_url: SecretStr | None = Field(
        None,
        description="Store for uploads and results: `file:///FOLDER` or `s3://BUCKET/PREFIX`; none: in data_dir.",
    )
    language: Literal["en", "zh-CN"] | None = Field(
        None, description="Language where a person's own is not known; none follows the system's, else English."
    )
    secret: SecretStr | None = Field(
        None, min_length=16, description="Key that signs cookies and links; none makes one in data_dir, once."
    )
    presets_dir: Path | None = Field(
        None, validate_default=True, description="Folder with presets of your own, beside the built-in ones."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much the logs say; `debug` also shows tracebacks."
    )
    web: WebConfig = Field(default_factory=WebConfig)
    discord: DiscordConfig = Field(default_factory=DiscordConfig)
    telegram: TelegramConfig = Field(default_factory=TelegramConfig)
    intake: IntakeConfig = Field(default_factory=IntakeConfig)
    delivery: DeliveryConfig = Field(default_factory=DeliveryConfig)
    trainer: TrainerConfig = Field(default_factory=TrainerConfig)
    queue: QueueConfig = Field(default_factory=QueueConfig)

    @field_validator("data_dir", "presets_dir")
    @classmethod
    def _from_here(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @property
    def database(self) -> str:
        """URL of the job store, embedded where none is set."""
        from sqlalchemy import URL

        embedded = URL.create("sqlite", database=str(self.data_dir / "lorabot.sqlite3"))
        return _revealed(self.database_url) or embedded.render_as_string()

    @property
    def blobs(self) -> str:
        """URL of the file store, embedded where none is set."""
        return _revealed(self.blob_url) or (self.data_dir / "blobs").as_uri()

    @property
    def redis(self) -> str | None:
        """URL of Redis; None where the embedded one is to be started."""
        return _revealed(self.redis_url)

    def signing_secret(self) -> SecretStr:
        """The key for cookies and links: the one that is set, else the one in data_dir, made at the first call."""
        if self.secret is not None:
            return self.secret
        path = self.data_dir / "secret"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        while not path.exists():
            # A link to a finished file appears whole or not at all, and the first of two processes wins.
            part = self.data_dir / f".secret.{secrets.token_hex(8)}"
            with open(part, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(secrets.token_urlsafe(48))
            try:
                os.link(part, path)
            except FileExistsError:
                continue
            finally:
                part.unlink()
        return SecretStr(path.read_text(encoding="utf-8").strip())

    def secrets(self) -> tuple[str, ...]:
        """Everything that may stand in no log: tokens, passwords, keys, URLs that hold a password."""
        found = []
        for setting in settings_tree():
            value = _value(self, setting.path)
            if isinstance(value, SecretStr):
                text = value.get_secret_value()
                found.append(text)
                password = urlsplit(text).password if "://" in text else None
                found += [password] if password else []
        return tuple(found)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What ``load`` hands in (secret files and lorabot.toml) stands below the environment."""
        return env_settings, init_settings


@dataclass(frozen=True, slots=True)
class Setting:
    """One leaf of the tree, for messages and documentation."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def variable(self) -> str:
        return PREFIX + "__".join(self.path).upper()

    @property
    def key(self) -> str:
        """The name in lorabot.toml."""
        return ".".join(self.path)

    @property
    def description(self) -> str:
        return self.field.description or ""

    @property
    def is_secret(self) -> bool:
        return SecretStr in _types(self.field.annotation)

    @property
    def allowed(self) -> Message:
        """What a value may be."""
        kinds = _types(self.field.annotation)
        choices = [choice for choice in kinds if isinstance(choice, str)]
        bounds = _bounds(self.field)
        pattern = str(bounds.get("pattern", ""))
        if choices:
            return Message("settings-allowed-choice", {"choices": ", ".join(choices)})
        if bool in kinds:
            return Message("settings-allowed-choice", {"choices": "true, false"})
        if int in kinds or float in kinds:
            return _allowed_number("whole" if int in kinds else "number", bounds)
        if pattern.startswith(("^http", "^ws")):
            return Message("settings-allowed-url", {"scheme": "http" if pattern.startswith("^http") else "ws"})
        if pattern:
            return Message("settings-allowed-form", {"form": pattern.strip("^$"), "description": self.description})
        if "min_length" in bounds:
            return Message("settings-allowed-text", {"least": bounds["min_length"]})
        return Message("settings-allowed-path" if Path in kinds else "settings-allowed-any")


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


def settings_tree() -> tuple[Setting, ...]:
    """Every setting there is, in the order of the tree."""
    return tuple(_leaves(Settings, ()))


def environment_names() -> tuple[str, ...]:
    """Every ``LORABOT_`` variable there is, the ``_FILE`` variants of secrets among them."""
    names = [CONFIG_VARIABLE]
    for setting in settings_tree():
        names.append(setting.variable)
        if setting.is_secret:
            names.append(setting.variable + _FILE_SUFFIX)
    return tuple(names)


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
    if problems:
        raise SettingsError(problems)
    try:
        loaded = Settings(**tree)
    except ValidationError as error:
        origins = _Origins(environment, file)
        raise SettingsError([_explain(detail, settings, origins) for detail in error.errors()]) from None
    origins = _Origins(environment, file)
    problems = [
        Problem(_wrong(origins.name(setting), str(value), setting), setting.allowed)
        for setting in settings
        if isinstance(value := _value(loaded, setting.path), float) and not math.isfinite(value)
    ]
    problems += [
        Problem(Message("settings-wrong-section", {"name": origins.name(_by_path(settings, path)), "reason": reason}))
        for path, reason in _bad_urls(loaded)
    ]
    if problems:
        raise SettingsError(problems)
    return loaded


@dataclass(frozen=True, slots=True)
class _Origins:
    """Where values came from, so that a message can name what the operator has to change."""

    environment: Mapping[str, str]
    file: Path | None

    def name(self, setting: Setting) -> str:
        for name in (setting.variable, setting.variable + _FILE_SUFFIX):
            if any(given.upper() == name and value for given, value in self.environment.items()):
                return name
        return setting.variable if self.file is None else f"{self.file.name}: {setting.key}"


def _refuse_unknown_variables(environment: Mapping[str, str], problems: list[Problem]) -> None:
    known = environment_names()
    for name in sorted(environment):
        if name.upper() in known or name.startswith(_TESTS_PREFIX):
            continue
        problems.append(_unknown("settings-unknown-variable", name, known))


def _unknown(code: str, name: str, known: tuple[str, ...], **params: Param) -> Problem:
    near = difflib.get_close_matches(name.upper() if known[0].isupper() else name, known, n=1, cutoff=0.6)
    if near:
        return Problem(Message(code, {"name": name, "nearest": near[0], **params}))
    return Problem(Message(f"{code}-at-all", {"name": name, **params}))


def _read_toml(
    config: Path | None, environment: Mapping[str, str], settings: tuple[Setting, ...], problems: list[Problem]
) -> tuple[Path | None, dict[str, Any]]:
    named = config or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    file = named or Path(CONFIG_FILE)
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
    known = tuple(setting.key for setting in settings)
    for key in _keys(tree, known):
        if key not in known:
            problems.append(_unknown("settings-unknown-key", key, known, file=file.name))
    return file, _without_empty(tree)


def _keys(tree: Mapping[str, Any], known: tuple[str, ...], above: str = "") -> Iterator[str]:
    for name, value in tree.items():
        key = f"{above}{name}"
        is_section = any(other.startswith(f"{key}.") for other in known)
        if isinstance(value, dict) and is_section:
            yield from _keys(value, known, f"{key}.")
        else:
            yield key


def _without_empty(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_empty(value) if isinstance(value, dict) else value for name, value in tree.items() if value != ""
    }


def _read_secret_files(
    environment: Mapping[str, str], settings: tuple[Setting, ...], tree: dict[str, Any], problems: list[Problem]
) -> None:
    given = {name.upper(): value for name, value in environment.items() if value}
    for setting in settings:
        variable = setting.variable + _FILE_SUFFIX
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
            return Problem(_wrong(origins.name(setting), str(detail["input"]), setting), setting.allowed)
    # A rule between several settings of one section; its text names them.
    section = PREFIX + "__".join(place).upper()
    return Problem(Message("settings-wrong-section", {"name": section, "reason": _reason(detail)}))


def _reason(detail: Mapping[str, Any]) -> str:
    error = detail.get("ctx", {}).get("error")
    return str(error) if error is not None else str(detail["msg"])


def _wrong(name: str, value: str, setting: Setting) -> Message:
    if setting.is_secret:
        return Message("settings-wrong-secret", {"name": name})
    return Message("settings-wrong", {"name": name, "value": value[:80]})


def _bad_urls(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """URLs that no part of the queue understands; the reasons hold no password."""
    from lorabot.queue.blobs import open_blobs
    from lorabot.queue.database import parse_database_url
    from lorabot.queue.redis import connect

    checks: tuple[tuple[str, SecretStr | None, Callable[[str], object]], ...] = (
        ("database_url", settings.database_url, parse_database_url),
        ("redis_url", settings.redis_url, partial(connect, patient=False)),
        ("blob_url", settings.blob_url, open_blobs),
    )
    for name, url, check in checks:
        if url is not None:
            try:
                check(url.get_secret_value())
            except ValueError as error:
                yield (name,), str(error)


def _leaves(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, (*above, name))
        else:
            yield Setting((*above, name), field)


def _by_path(settings: tuple[Setting, ...], path: tuple[str, ...]) -> Setting:
    return next(setting for setting in settings if setting.path == path)


def _value(model: object, path: tuple[str, ...]) -> object:
    for name in path:
        model = getattr(model, name)
    return model


def _types(annotation: Any) -> list[Any]:
    """The plain types and literal values of an annotation."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _types(part)]
    if origin is Literal:
        return list(get_args(annotation))
    if hasattr(annotation, "__metadata__"):
        return _types(get_args(annotation)[0])
    return [annotation]


def _bounds(field: FieldInfo) -> dict[str, Any]:
    """The limits of a field, and of the annotated type within ``| None``."""
    found: dict[str, Any] = {}
    metadata = list(field.metadata)
    for part in get_args(field.annotation):
        metadata += getattr(part, "__metadata__", ())
    for item in metadata:
        for inner in (item, *getattr(item, "metadata", ())):
            for name in ("ge", "gt", "le", "lt", "pattern", "min_length"):
                value = getattr(inner, name, None)
                if value is not None:
                    found[name] = value
    return found


def _allowed_number(kind: str, bounds: Mapping[str, Any]) -> Message:
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    params: dict[str, Param] = {"kind": kind, "above": "yes" if "gt" in bounds else "no"}
    if low is not None and high is not None:
        return Message("settings-allowed-between", {**params, "low": f"{low:.15g}", "high": f"{high:.15g}"})
    if low is not None:
        return Message("settings-allowed-from", {**params, "low": f"{low:.15g}"})
    return Message("settings-allowed-number", params)


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
