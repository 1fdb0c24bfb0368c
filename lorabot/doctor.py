"""Looks at everything lorabot needs on this host: what is there, what is missing, and how to mend it."""

import asyncio
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from pydantic import SecretStr
from sqlalchemy.exc import DatabaseError

from lorabot.folders import NO_DATA_FOLDER, NoFolder, make_data_folder
from lorabot.locale import Message, Param, UserError
from lorabot.presets import DEMO, load_presets
from lorabot.queue.blobs import open_blobs
from lorabot.queue.database import Database, create_engine, parse_database_url, sqlite_file, without_password
from lorabot.queue.embedded import EmbeddedValkey, ValkeyFailed
from lorabot.queue.errors import BadUrl, StoreUnavailable
from lorabot.queue.history import History
from lorabot.queue.migrations import current, known, newest
from lorabot.queue.redis import AWAY, connect
from lorabot.settings import Settings
from lorabot.supervisor import PortTaken, is_running, refuse_taken_port
from lorabot.trainer.config import TrainerConfig

if TYPE_CHECKING:
    from lorabot.trainer.devices import Card

State = Literal["ok", "missing", "broken"]
"""``missing`` is something that one can do without; only ``broken`` makes the doctor worried."""

_TORCH_S = 120.0
_WEB_S = 3.0
_TOKEN_S = 10.0
_MOST_SAID = 2**16
_SOME_DISK = 10 * 1024**3
_LEAST_DISK = 1024**3
_LEAST_GPU_FREE = 0.25
# Less than this nobody is asked about: the driver's own tables, a display's picture.
_SOME_GPU_MEMORY = 256 * 1024**2
_PACKAGES = {
    "bot": ("aiohttp", "discord.py", "python-telegram-bot"),
    "trainer": ("torch", "diffusers", "transformers", "peft", "open_clip_torch", "safetensors", "matplotlib"),
}
# The documented shapes: three base64url parts; the bot's number, a colon and 35 characters.
_DISCORD_TOKEN = re.compile(r"[\w-]{18,}\.[\w-]{6,}\.[\w-]{25,}")
_TELEGRAM_TOKEN = re.compile(r"\d{5,}:[\w-]{30,}")
_DISCORD, _TELEGRAM = "https://discord.com/api/v10", "https://api.telegram.org"
_REFUSED = (401, 404)
"""What Discord and Telegram answer to a token that is nobody's."""
_ASK_TORCH = """
import json, torch
cards = []
for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
    about = torch.cuda.get_device_properties(i)
    free, total = torch.cuda.mem_get_info(i)
    cards.append({"name": about.name, "uuid": str(about.uuid), "free": free, "total": total})
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "cards": cards}))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination: ``what`` was looked at, ``found`` says how it is, ``mend`` what to do about it."""

    what: str
    state: State
    found: Message
    mend: Message | None = None


def _finding(what: str, state: State, found: str, mend: str | None = None, /, **params: Param) -> Finding:
    return Finding(what, state, Message(found, params), Message(mend, params) if mend else None)


async def _python(_: Settings) -> list[Finding]:
    return [_finding("python", "ok", "doctor-python", version=sys.version.split()[0], path=sys.executable)]


async def _packages(_: Settings) -> list[Finding]:
    return [_extra(name) for name in _PACKAGES]


def _extra(extra: str) -> Finding:
    found, absent = [], []
    for name in _PACKAGES[extra]:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            absent.append(name)
    if absent:
        return _finding(
            extra, "missing", "doctor-packages-missing", "doctor-packages-mend", names=", ".join(absent), extra=extra
        )
    return _finding(extra, "ok", "doctor-packages", names=", ".join(found))


async def _torch_and_cards(settings: Settings) -> list[Finding]:
    from lorabot.trainer.devices import cards

    try:
        version("torch")
    except PackageNotFoundError:
        return []  # said among the packages: a chat host needs none
    torch = await _ask_torch()
    if isinstance(torch, str):
        return [_finding("torch", "broken", "doctor-torch-broken", "doctor-torch-mend", reason=torch)]
    said = _finding("torch", "ok", "doctor-torch", version=torch.version, cuda=torch.cuda or "-")
    found = [said, *_cards(settings.trainer, await asyncio.to_thread(cards), torch.cards)]
    return [*found, _compiler()] if torch.cards and settings.trainer.device != "cpu" else found


def _compiler() -> Finding:
    from lorabot.trainer.compiler import c_compiler, python_headers

    compiler = c_compiler()
    if compiler is None:
        return _finding("compiler", "missing", "doctor-compiler-none", "doctor-compiler-mend")
    if python_headers() is None:
        return _finding("compiler", "missing", "doctor-compiler-no-headers", "doctor-compiler-mend")
    return _finding("compiler", "ok", "doctor-compiler", compiler=compiler)


def _cards(config: TrainerConfig, seen: tuple["Card", ...], by_torch: Sequence["_TorchCard"]) -> Iterator[Finding]:
    """What there is to say of the cards that the driver has ``seen`` and of those that torch counts, in its order."""
    from lorabot.trainer.devices import bytes_of, card_by

    device = config.device
    wanted = int(device.partition(":")[2] or 0)
    if device.startswith("cuda") and wanted >= max(len(seen), len(by_torch)):
        yield _finding("gpu", "broken", "doctor-gpu-wanted", "doctor-gpu-wanted-mend", device=device)
    elif not seen and not by_torch:
        yield _finding("gpu", "missing", "doctor-gpu-none", "doctor-gpu-none-mend")
    elif not by_torch and device != "cpu":
        yield _finding("gpu", "broken", "doctor-gpu-unused", "doctor-gpu-unused-mend", name=seen[0].name)
    elif device.startswith("cuda") and wanted >= len(by_torch):
        yield _finding("gpu", "broken", "doctor-gpu-wanted", "doctor-gpu-hidden-mend", device=device)
    for card in seen:
        yield _card(card)
    for number, torchs in enumerate(by_torch):
        if card_by(torchs.uuid, seen, number) is None:
            mend = "doctor-gpu-no-nvml-mend"
            params: dict[str, Param] = {"name": torchs.name, "free": _gb(torchs.free), "total": _gb(torchs.total)}
            yield _finding("gpu", "ok", "doctor-gpu-no-nvml", mend, **params)
    if by_torch and device != "cpu" and wanted < len(by_torch) and config.memory_limit != 1.0:
        used = by_torch[wanted]
        most = _gb(min(bytes_of(config.memory_limit, used.total), used.total))
        yield _finding("gpu", "ok", "doctor-gpu-limit", name=used.name, most=most)


def _card(card: "Card") -> Finding:
    from lorabot.trainer.devices import holders_text

    params: dict[str, Param] = {"index": card.index, "name": card.name}
    if not card.total:
        return _finding("gpu", "ok", "doctor-gpu-unmeasured", **params)
    params |= {"free": _gb(card.free), "total": _gb(card.total), "holders": holders_text(card, os.getpid()) or "-"}
    scarce = card.free < _LEAST_GPU_FREE * card.total
    state: State = "missing" if scarce else "ok"
    if card.unnamed >= _SOME_GPU_MEMORY:
        found, params["unnamed"] = "doctor-gpu-unnamed", _gb(card.unnamed)
    else:
        found = "doctor-gpu"
    return _finding("gpu", state, found, "doctor-gpu-full-mend" if scarce else None, **params)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f}"


@dataclass(frozen=True, slots=True)
class _TorchCard:
    name: str
    uuid: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class _Torch:
    """What torch says of itself, and of the cards in its own order."""

    version: str
    cuda: str | None
    cards: tuple[_TorchCard, ...]


async def _ask_torch() -> _Torch | str:
    """What torch says of itself, or why it says nothing; in a child, since a broken one can take its process along."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ASK_TORCH, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), _TORCH_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"no answer within {_TORCH_S:.0f} s"
    if process.returncode != 0:
        lines = err.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {process.returncode}"
    answer = json.loads(out.splitlines()[-1])
    return _Torch(answer["version"], answer["cuda"], tuple(_TorchCard(**card) for card in answer["cards"]))


async def _redis(settings: Settings) -> list[Finding]:
    if settings.redis is None:
        return [await _own_valkey(settings)]
    where = without_password(settings.redis)
    redis = connect(settings.redis, patient=False)
    try:
        server = await redis.info("server")
    except AWAY as error:
        reason = type(error).__name__
        return [_finding("redis", "broken", "doctor-redis-away", "doctor-redis-mend", where=where, reason=reason)]
    finally:
        await redis.aclose(close_connection_pool=True)
    release = str(server.get("valkey_version") or server.get("redis_version") or "?")
    return [_finding("redis", "ok", "doctor-redis", where=where, version=release)]


async def _own_valkey(settings: Settings) -> Finding:
    if EmbeddedValkey(settings.data_dir).alive:
        return _finding("redis", "ok", "doctor-valkey-runs")
    with tempfile.TemporaryDirectory(prefix="lorabot-doctor-") as folder:
        trial = EmbeddedValkey(Path(folder))
        try:
            await trial.start()
            await trial.stop()
        except ValkeyFailed as error:
            return _finding("redis", "broken", "doctor-valkey-broken", "doctor-valkey-mend", reason=str(error))
    return _finding("redis", "ok", "doctor-valkey")


async def _database(settings: Settings) -> list[Finding]:
    file = sqlite_file(parse_database_url(settings.database))
    where = str(file) if file is not None else without_password(settings.database)
    if file is not None and not file.exists():
        return [_finding("database", "ok", "doctor-database-new", where=where)]
    try:
        has, wants = await current(settings.database), await asyncio.to_thread(newest)
    except (StoreUnavailable, BadUrl) as error:
        away = isinstance(error, StoreUnavailable)
        found = "doctor-database-away" if away else "doctor-database-bad"
        reason = error.reason if isinstance(error, StoreUnavailable) else str(error)
        return [_finding("database", "broken", found, "doctor-database-mend", where=where, reason=reason)]
    if has is not None and has not in await asyncio.to_thread(known):
        params: dict[str, Param] = {"where": where, "version": has}
        return [_finding("database", "broken", "doctor-database-newer", "doctor-database-newer-mend", **params)]
    if has == wants:
        return [_finding("database", "ok", "doctor-database", where=where, version=wants)]
    return [_finding("database", "ok", "doctor-database-older", where=where, version=has or "-", newest=wants)]


async def _estimates(settings: Settings) -> list[Finding]:
    """How far off the last estimates were, where there is a database to ask."""
    url = parse_database_url(settings.database)
    file = sqlite_file(url)
    if file is not None and not file.exists():
        return []
    database = Database(create_engine(url))
    try:
        errors = await History(database).errors()
    except (StoreUnavailable, BadUrl, DatabaseError):
        return []  # away, not ours, or of another version: that is said of the database itself
    finally:
        await database.close()
    if not errors:
        return [_finding("estimates", "ok", "doctor-estimates-none")]
    percent = round(100 * median(abs(error) for error in errors))
    return [_finding("estimates", "ok", "doctor-estimates", count=len(errors), percent=percent)]


async def _blobs(settings: Settings) -> list[Finding]:
    where = without_password(settings.blobs).removeprefix("file://")
    try:
        await open_blobs(settings.blobs).check()
    except (UserError, ValueError) as error:
        cause = error.__cause__ or error
        reason = str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
        return [_finding("blobs", "broken", "doctor-blobs-broken", "doctor-blobs-mend", where=where, reason=reason)]
    return [_finding("blobs", "ok", "doctor-blobs", where=where)]


async def _disk(settings: Settings) -> list[Finding]:
    """The data folder, which is made as a start would make it, its rights and its room."""
    folder = settings.data_dir
    try:
        make_data_folder(folder)
    except NoFolder as error:
        return [Finding("disk", "broken", error.message)]
    free = shutil.disk_usage(folder).free
    state: State = "ok" if free >= _SOME_DISK else "missing" if free >= _LEAST_DISK else "broken"
    params: dict[str, Param] = {"folder": str(folder), "free": f"{free / 1e9:.1f}"}
    found = [_finding("disk", state, "doctor-disk", None if state == "ok" else "doctor-disk-mend", **params)]
    about = folder.stat()
    if about.st_mode & stat.S_IRWXO and about.st_uid == os.getuid():
        found.append(_finding("disk", "missing", "doctor-disk-open", "doctor-disk-open-mend", **params))
    return found


def _kept_there(settings: Settings) -> set[str]:
    """What lies in the data folder, by the names of the examinations."""
    kept = {"disk"}
    if settings.database_url is None:
        kept |= {"database", "estimates"}
    if settings.blob_url is None:
        kept.add("blobs")
    return kept


async def _web(settings: Settings) -> list[Finding]:
    web = settings.web
    params: dict[str, Param] = {"host": web.host, "port": str(web.port)}
    try:
        from lorabot.bot.front_end import CannotStart
        from lorabot.bot.web.guard import refuse_exposure
    except ModuleNotFoundError:  # said among the packages: a GPU host serves no pages
        return []
    try:
        refuse_exposure(web)
    except CannotStart as error:
        return [Finding("web", "broken", error.message)]
    if is_running(settings.data_dir):
        return [_finding("web", "ok", "doctor-web-runs", **params)]
    try:
        refuse_taken_port(web.host, web.port)
    except PortTaken as error:
        if await asyncio.to_thread(_answers, web.host, web.port):
            return [_finding("web", "ok", "doctor-web-answers", **params)]
        return [Finding("web", "broken", error.message, Message("doctor-web-mend"))]
    return [_finding("web", "ok", "doctor-web", **params)]


def _answers(host: str, port: int) -> bool:
    """Whether a bot that runs alone, without the lock of ``lorabot up``, answers at the web chat's address."""
    direct = build_opener(ProxyHandler({}))
    try:
        with direct.open(f"http://{f'[{host}]' if ':' in host else host}:{port}/healthz", timeout=_WEB_S) as answer:
            return bool(answer.read(3) == b"ok")
    except (OSError, HTTPException):
        return False


async def _tokens(settings: Settings) -> list[Finding]:
    """Whether tokens are there, and whose they are, of which the platforms are asked; they are never shown."""
    discord, telegram = settings.discord, settings.telegram
    of_discord = _secret(discord.token)
    return list(
        await asyncio.gather(
            asyncio.to_thread(
                _token,
                "discord",
                of_discord,
                _DISCORD_TOKEN,
                f"{(discord.api_url or _DISCORD).rstrip('/')}/users/@me",
                {"Authorization": f"Bot {of_discord}"},
            ),
            asyncio.to_thread(
                _token,
                "telegram",
                _secret(telegram.token),
                _TELEGRAM_TOKEN,
                f"{(telegram.api_url or _TELEGRAM).rstrip('/')}/bot{_secret(telegram.token)}/getMe",
                {},
            ),
        )
    )


def _secret(token: SecretStr | None) -> str | None:
    return None if token is None else token.get_secret_value()


class _Straight(HTTPRedirectHandler):
    """A token is shown to nobody but who was named."""

    def redirect_request(self, *_: object) -> None:
        return None


def _token(name: str, token: str | None, shape: re.Pattern[str], url: str, headers: Mapping[str, str]) -> Finding:
    """``name`` of a platform, ``url`` where it says whose ``token`` this is to who shows it."""
    params: dict[str, Param] = {"setting": f"LORABOT_{name.upper()}__TOKEN", "platform": name.capitalize()}
    get_one = f"doctor-token-{name}"
    if token is None:
        return _finding(name, "missing", "doctor-token-missing", get_one, **params)
    if not shape.fullmatch(token):
        return _finding(name, "broken", "doctor-token-odd", get_one, **params)
    try:
        # Discord turns away who does not say which bot this is.
        request = Request(url, headers={"User-Agent": f"DiscordBot (lorabot, {version('lorabot')})", **headers})  # noqa: S310
        with build_opener(_Straight).open(request, timeout=_TOKEN_S) as answer:
            said = json.loads(answer.read(_MOST_SAID))
        owner = f"@{said['result']['username']}" if "result" in said else str(said["username"])
    except HTTPError as error:
        if error.code in _REFUSED:
            return _finding(name, "broken", "doctor-token-refused", get_one, **params)
        params["reason"] = f"HTTP {error.code}"
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        params["reason"] = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
    except (ValueError, AttributeError, KeyError, TypeError):
        return _finding(name, "broken", "doctor-token-nonsense", "doctor-token-unasked-mend", **params)
    else:
        return _finding(name, "ok", "doctor-token", owner=owner, **params)
    return _finding(name, "broken", "doctor-token-unasked", "doctor-token-unasked-mend", **params)


async def _bases(settings: Settings) -> list[Finding]:
    """By their headers alone, so that the largest takes no longer than the smallest."""
    from lorabot.trainer.bases import DEMO_FOLDER, BaseStore

    store = BaseStore(settings.data_dir / "trainer" / "bases")
    built_in = sum(path.stat().st_size for path in DEMO_FOLDER.rglob("*.safetensors"))
    found = [_finding("base", "ok", "doctor-base", base=DEMO.id, family=DEMO.family, size=f"{built_in / 1e6:.0f}")]
    for named in settings.bases:
        try:
            survey = await asyncio.to_thread(store.survey, named)
        except UserError as error:
            state: State = "missing" if error.message.code == "base-hub-not-yet" else "broken"
            found.append(Finding("base", state, Message("doctor-base-bad", {"base": named.id}), error.message))
            continue
        params: dict[str, Param] = {"base": named.id, "family": survey.family, "size": f"{survey.size / 1e6:.0f}"}
        if survey.sure:
            found.append(_finding("base", "ok", "doctor-base", **params))
        else:
            params["prediction"] = survey.prediction
            mend = "doctor-base-guess-mend" if survey.family == "sd21" else None
            found.append(_finding("base", "ok", "doctor-base-guess", mend, **params))
    return found


async def _presets(settings: Settings) -> list[Finding]:
    catalogue = await asyncio.to_thread(load_presets, settings.presets_dir)
    found = [
        _finding("presets", "broken", "doctor-preset-broken", "doctor-preset-mend", reason=str(broken))
        for broken in catalogue.broken
    ]
    return [*found, _finding("presets", "ok", "doctor-presets", count=len(catalogue.presets))]


EXAMINATIONS: Mapping[str, Callable[[Settings], Awaitable[list[Finding]]]] = MappingProxyType(
    {
        "python": _python,
        "packages": _packages,
        "torch": _torch_and_cards,
        "disk": _disk,
        "redis": _redis,
        "database": _database,
        "estimates": _estimates,
        "blobs": _blobs,
        "web": _web,
        "tokens": _tokens,
        "bases": _bases,
        "presets": _presets,
    }
)
"""Everything that is looked at, in this order."""


async def examine(settings: Settings, only: Container[str] = EXAMINATIONS) -> AsyncIterator[Finding]:
    """Look at one thing after the other. Never raises for what is broken: that is what it is for.

    Where the data folder is not to be had, that is said once, and what would lie there is left out.
    """
    without: set[str] = set()
    for name, look in EXAMINATIONS.items():
        if name in only and name not in without:
            for finding in await look(settings):
                if finding.found.code == NO_DATA_FOLDER:
                    without = _kept_there(settings)
                yield finding
