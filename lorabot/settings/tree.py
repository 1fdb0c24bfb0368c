"""The tree of all settings, each with its type, default, limits and one line about it."""

import contextlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from lorabot.bot.config import SITE, DeliveryConfig, DiscordConfig, IntakeConfig, TelegramConfig, WebConfig
from lorabot.folders import make_private
from lorabot.locale import Message, Param
from lorabot.presets import NamedBase
from lorabot.queue.config import QueueConfig
from lorabot.trainer.config import TrainerConfig

PREFIX = "LORABOT_"
CONFIG_VARIABLE = "LORABOT_CONFIG"
FILE_SUFFIX = "_FILE"


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
    bases: Annotated[tuple[NamedBase, ...], NoDecode] = Field(
        (), description="Base models beside the demo, as JSON: docs/bases.md. The first is what `/train` uses."
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

    @field_validator("bases", mode="before")
    @classmethod
    def _from_json(cls, given: object) -> object:
        """A list in lorabot.toml, JSON in the environment; anything else stays as it is, and is refused."""
        if isinstance(given, str):
            with contextlib.suppress(ValueError):
                return json.loads(given)
        return given

    @field_validator("bases")
    @classmethod
    def _each_id_once(cls, bases: tuple[NamedBase, ...]) -> tuple[NamedBase, ...]:
        twice = [base for base, count in Counter(base.id for base in bases).items() if count > 1]
        if twice:
            raise ValueError(f"two base models have the id {twice[0]}; give one of them another")
        return bases

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
        make_private(self.data_dir)
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
            value = value_at(self, setting.path)
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
        """What ``load_settings`` hands in (secret files and lorabot.toml) stands below the environment."""
        assert isinstance(env_settings, EnvSettingsSource)
        files = {(setting.variable + FILE_SUFFIX).lower() for setting in settings_tree() if setting.is_secret}
        env_settings.env_vars = {name: value for name, value in env_settings.env_vars.items() if name not in files}
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
    def listed(self) -> type[BaseModel] | None:
        """What each element of a list of sections is; None for any other setting."""
        element = next(iter(get_args(self.field.annotation)), None)
        return element if isinstance(element, type) and issubclass(element, BaseModel) else None

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
        if self.listed is not None:
            return Message("settings-allowed-bases")
        if tuple in kinds:
            ids = int in _types(get_args(self.field.annotation)[0])
            return Message("settings-allowed-ids" if ids else "settings-allowed-networks")
        if bool in kinds:
            return Message("settings-allowed-choice", {"choices": "true, false"})
        if int in kinds or float in kinds:
            return _allowed_number("whole" if int in kinds else "number", bounds)
        if pattern == SITE:
            return Message("settings-allowed-site")
        if pattern.startswith(("^http", "^ws")):
            return Message("settings-allowed-url", {"scheme": "http" if pattern.startswith("^http") else "ws"})
        if pattern:
            return Message("settings-allowed-form", {"form": pattern.strip("^$"), "description": self.description})
        if "min_length" in bounds:
            return Message("settings-allowed-text", {"least": bounds["min_length"]})
        return Message("settings-allowed-path" if Path in kinds else "settings-allowed-any")


def settings_tree() -> tuple[Setting, ...]:
    """Every setting there is, in the order of the tree."""
    return tuple(_leaves(Settings, ()))


def environment_names() -> tuple[str, ...]:
    """Every ``LORABOT_`` variable there is, the ``_FILE`` variants of secrets among them."""
    names = [CONFIG_VARIABLE]
    for setting in settings_tree():
        names.append(setting.variable)
        if setting.is_secret:
            names.append(setting.variable + FILE_SUFFIX)
    return tuple(names)


def _leaves(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, (*above, name))
        else:
            yield Setting((*above, name), field)


def value_at(model: object, path: tuple[str, ...]) -> object:
    """The value of the setting at ``path``."""
    for name in path:
        model = getattr(model, name)
    return model


def _types(annotation: Any) -> list[Any]:
    """The plain types and literal values of an annotation."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _types(part)]
    if origin is tuple:
        return [tuple]
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
