"""The doctor finds what is broken on this host, says how to mend it, and shows no secret."""

import asyncio
import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from lorabot import doctor
from lorabot.doctor import EXAMINATIONS, Finding, examine
from lorabot.locale import Message, translator
from lorabot.queue import Queue
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.migrations import migrate
from lorabot.queue.model import Outcome
from lorabot.settings import load_settings
from lorabot.supervisor import only_one
from tests.discord.server import DiscordServer
from tests.house import clean_environment, free_port, lorabot
from tests.queue.samples import submit
from tests.telegram.server.serving import TelegramServer
from tests.trainer.bases.files import write_header
from tests.trainer.bases.test_detection import WHOLE
from tests.trainer.nvml import Driver, Silicon, driver

DISCORD = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GaBcDe.abcdefghijklmnopqrstuvwxyz0123456789AB"
TELEGRAM = "1234567890:AAabcdefghijklmnopqrstuvwxyz012345678"


async def findings(place: pytest.MonkeyPatch, *only: str, **settings: str) -> Mapping[str, list[Finding]]:
    for name in list(os.environ):
        if name.upper().startswith("LORABOT_"):
            place.delenv(name)
    for name, value in {"LORABOT_WEB__PORT": str(free_port()), **settings}.items():
        place.setenv(name, value)
    found: dict[str, list[Finding]] = {}
    async for finding in examine(load_settings(), only or EXAMINATIONS):
        found.setdefault(finding.what, []).append(finding)
        for language in ("en", "zh-CN"):
            for message in (finding.found, finding.mend):
                assert message is None or not translator(language).text(message).startswith("doctor-")
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    return monkeypatch


TORCH = """
from types import SimpleNamespace as Properties
__version__ = "2.99"
version = Properties(cuda="13.0")
CARDS = {cards}
class cuda:
    is_available = staticmethod(lambda: bool(CARDS))
    device_count = staticmethod(lambda: len(CARDS))
    get_device_properties = staticmethod(lambda i: Properties(name=CARDS[i][0], uuid=CARDS[i][1]))
    mem_get_info = staticmethod(lambda i: (int(5e9), int(24e9)))
"""
UUIDS = ("aaaaaaaa-1111-2222-3333-444444444444", "bbbbbbbb-1111-2222-3333-444444444444")


def torch_that_sees(place: pytest.MonkeyPatch, folder: Path, *cards: tuple[str, str]) -> None:
    """What the doctor's child takes for torch: one that counts these cards, by name and uuid."""
    (folder / "torch.py").write_text(TORCH.format(cards=list(cards)))
    place.setenv("PYTHONPATH", str(folder))


def texts(found: Mapping[str, list[Finding]], what: str) -> list[str]:
    return [f"{each.state}: {translator('en').text(each.found)}" for each in found[what]]


async def test_base_models_are_looked_at_by_their_headers(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_header(tmp_path / "two.safetensors", {**WHOLE["sd21"], "filler": (3_000_000_000,)})
    write_header(tmp_path / "lora.safetensors", {"lora_unet_a.lora_down.weight": (8, 32)})
    bases = [
        {"id": "two", "title": "Two", "source": "./two.safetensors"},
        {"id": "lora", "title": "Lora", "source": "./lora.safetensors"},
        {"id": "far", "title": "Far", "source": "org/far", "family": "sdxl"},
    ]
    found = (await findings(here, "bases", LORABOT_BASES=json.dumps(bases)))["base"]
    assert [each.state for each in found] == ["ok", "ok", "broken", "missing"]
    told = [translator("en").text(message) for each in found for message in (each.found, each.mend) if message]
    assert "two (sd21), 6000 MB; taken to predict v_prediction" in " ".join(told)
    assert "set its prediction to epsilon" in " ".join(told)
    assert "lora.safetensors is a LoRA and no base model" in " ".join(told)
    assert "lorabot bases --download" in " ".join(told)


async def test_a_fresh_host_has_all_that_is_needed(here: pytest.MonkeyPatch) -> None:
    found = await findings(here)
    assert [finding.what for group in found.values() for finding in group if finding.state == "broken"] == []
    assert set(found) >= {"python", "torch", "gpu", "redis", "database", "blobs", "disk", "web", "discord", "base"}
    assert found["torch"][0].found.params["version"]
    assert found["database"][0].found.code == "doctor-database-new"
    assert not any("torch" in str(finding.mend) for finding in found["torch"])


async def test_what_is_in_use_is_known_as_ours(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = tmp_path / "lorabot-data"
    await migrate(f"sqlite:///{data}/lorabot.sqlite3")
    valkey = EmbeddedValkey(data)
    await valkey.start()
    try:
        with only_one(data):
            found = await findings(here, "redis", "web", "database")
    finally:
        await valkey.stop()
    assert found["redis"][0].found.code == "doctor-valkey-runs"
    assert found["web"][0].found.code == "doctor-web-runs"
    assert found["database"][0].found.code == "doctor-database"


@pytest.mark.parametrize(
    ("errors", "text"),
    [
        ((), "no training here was estimated beforehand yet"),
        ((0.5,), "the last training took 50 % longer or shorter than estimated"),
        ((0.05, -0.1, 0.9), "the last 3 trainings took 10 % longer or shorter than estimated, in the median"),
    ],
)
async def test_the_error_of_past_estimates_is_told(
    here: pytest.MonkeyPatch, queue: Queue, tmp_path: Path, errors: tuple[float, ...], text: str
) -> None:
    for error in (None, *errors):  # the first one nobody could estimate
        await submit(queue)
        lease = await queue.jobs.claim("tester")
        assert lease is not None
        await lease.succeed(Outcome((), {"estimate_error": error}))
    where = f"sqlite:///{tmp_path / 'lorabot.sqlite3'}"
    assert texts(await findings(here, "estimates", LORABOT_DATABASE_URL=where), "estimates") == [f"ok: {text}"]


async def test_a_redis_of_the_operators_is_asked(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path / "other")
    await valkey.start()
    try:
        found = await findings(here, "redis", LORABOT_REDIS_URL=valkey.url)
    finally:
        await valkey.stop()
    assert found["redis"][0].state == "ok"
    assert found["redis"][0].found.params["version"] != "?"


async def test_servers_that_do_not_answer_are_broken_and_their_passwords_stay_hidden(here: pytest.MonkeyPatch) -> None:
    nobody = free_port()
    found = await findings(
        here,
        *("redis", "database", "blobs"),
        LORABOT_REDIS_URL=f"redis://me:s3cr3t@127.0.0.1:{nobody}",
        LORABOT_DATABASE_URL=f"postgresql://me:s3cr3t@127.0.0.1:{nobody}/lorabot",
        LORABOT_BLOB_URL=f"s3://bucket/prefix?endpoint=http://127.0.0.1:{nobody}&region=us-east-1",
        AWS_ACCESS_KEY_ID="me",
        AWS_SECRET_ACCESS_KEY="s3cr3t",
    )
    for what in ("redis", "database", "blobs"):
        (finding,) = found[what]
        assert finding.state == "broken"
        assert finding.mend is not None
    assert "s3cr3t" not in repr(found)


async def test_a_file_that_is_no_database_is_broken_and_the_rest_is_looked_at(
    here: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" * 1000)
    found = await findings(here, "database", "estimates", "disk", LORABOT_DATABASE_URL="sqlite:///photo.png")
    (finding,) = found["database"]
    assert finding.state == "broken"
    assert "not a database" in str(finding.found.params["reason"])
    assert found["disk"]


async def test_a_folder_that_takes_no_files_is_broken(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lorabot-data").mkdir()
    (tmp_path / "lorabot-data" / "blobs").write_text("in the way")
    found = await findings(here, "blobs")
    assert found["blobs"][0].state == "broken"


@pytest.mark.parametrize("place", ["file/data", "/proc/nope"])
async def test_a_data_folder_that_cannot_be_made_is_said_once_as_a_start_says_it(
    here: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("")
    found = await findings(here, LORABOT_DATA_DIR=place)
    (line,) = texts(found, "disk")
    assert line.startswith(f"broken: Nothing can be kept in {tmp_path / place}: ")
    assert not found.keys() & {"database", "estimates", "blobs"}
    assert not any("free" in finding.found.params for finding in found["disk"])
    assert [each.what for group in found.values() for each in group if each.state == "broken"] == ["disk"]


async def test_what_is_kept_elsewhere_is_looked_at_without_a_data_folder(
    here: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = {
        "LORABOT_DATABASE_URL": f"sqlite:///{tmp_path / 'kept.sqlite3'}",
        "LORABOT_BLOB_URL": (tmp_path / "kept").as_uri(),
    }
    found = await findings(here, "disk", "database", "blobs", LORABOT_DATA_DIR="/proc/nope", **elsewhere)
    assert [found[what][0].state for what in ("disk", "database", "blobs")] == ["broken", "ok", "ok"]


async def test_a_data_folder_that_others_may_look_into_is_told(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert len((await findings(here, "disk", "blobs"))["disk"]) == 1
    data = tmp_path / "lorabot-data"
    data.chmod(0o755)
    opened = (await findings(here, "disk"))["disk"][-1]
    assert (opened.state, opened.found.code) == ("missing", "doctor-disk-open")
    assert opened.mend is not None
    assert f"chmod 700 {data}" in translator("en").text(opened.mend)
    assert stat.S_IMODE(data.stat().st_mode) == 0o755


async def test_a_taken_port_is_broken(here: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        found = await findings(here, "web", LORABOT_WEB__PORT=str(other.getsockname()[1]))
    assert found["web"][0].state == "broken"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nokay", "broken"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nok", "broken"),
        (b"SSH-2.0-OpenSSH\r\n", "broken"),
        (b"", "broken"),
    ],
    ids=["lorabot", "another page", "no such page", "no page", "hangs up"],
)
async def test_a_port_where_our_own_page_answers_is_not_taken_by_another(
    here: pytest.MonkeyPatch, answer: bytes, state: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readline()).startswith(b"GET /healthz ")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await findings(here, "web", LORABOT_WEB__PORT=str(port))
    assert found["web"][0].state == state
    assert (found["web"][0].found.code == "doctor-web-answers") == (state == "ok")


async def test_a_web_chat_open_to_all_is_broken(here: pytest.MonkeyPatch) -> None:
    found = await findings(here, "web", LORABOT_WEB__HOST="0.0.0.0")
    assert found["web"][0].state == "broken"
    assert "LORABOT_WEB__PASSWORD" in translator("en").text(found["web"][0].found)


@pytest.mark.parametrize(
    ("discord", "telegram", "state"),
    [("", "", "missing"), ("s3cr3t", "s3cr3t", "broken"), (TELEGRAM, DISCORD, "broken")],
)
async def test_what_does_not_look_like_a_token_is_shown_to_nobody(
    here: pytest.MonkeyPatch, discord: str, telegram: str, state: str
) -> None:
    here.setattr(doctor, "build_opener", None)
    found = await findings(here, "tokens", LORABOT_DISCORD__TOKEN=discord, LORABOT_TELEGRAM__TOKEN=telegram)
    for what, token in (("discord", discord), ("telegram", telegram)):
        (finding,) = found[what]
        assert finding.state == state
        assert not token or token not in repr(finding)


async def test_the_platforms_are_asked_whose_the_tokens_are(here: pytest.MonkeyPatch) -> None:
    async with DiscordServer().running() as discord, TelegramServer().serving() as telegram:
        servers = {"LORABOT_DISCORD__API_URL": f"{discord.api_url}/", "LORABOT_TELEGRAM__API_URL": telegram.url}
        mine = {"LORABOT_DISCORD__TOKEN": discord.token, "LORABOT_TELEGRAM__TOKEN": telegram.token}
        found = await findings(here, "tokens", **servers, **mine)
        assert texts(found, "discord") == [f"ok: LORABOT_DISCORD__TOKEN is the token of {discord.me.name}"]
        assert texts(found, "telegram") == ["ok: LORABOT_TELEGRAM__TOKEN is the token of @test_lorabot"]
        others = {"LORABOT_DISCORD__TOKEN": DISCORD, "LORABOT_TELEGRAM__TOKEN": TELEGRAM}
        found = await findings(here, "tokens", **servers, **others)
    assert texts(found, "discord") == ["broken: Discord does not take LORABOT_DISCORD__TOKEN"]
    assert texts(found, "telegram") == ["broken: Telegram does not take LORABOT_TELEGRAM__TOKEN"]
    assert "@BotFather" in translator("en").text(found["telegram"][0].mend or Message(""))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "could not be asked: HTTP 502"),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", "could not be asked: HTTP 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "is something else"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "is something else"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"result": null}', "is something else"),
        (b"SSH-2.0-OpenSSH\r\n", "could not be asked: SSH-2.0-OpenSSH"),
        (b"", "could not be asked: Remote end closed connection without response"),
        (None, "could not be asked: timed out"),
    ],
    ids=["in trouble", "elsewhere", "a page", "a list", "nobody", "another server", "hangs up", "says nothing"],
)
async def test_a_platform_that_can_not_be_asked_is_said_with_the_reason_and_without_the_token(
    here: pytest.MonkeyPatch, answer: bytes | None, said: str
) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    here.setattr(doctor, "_TOKEN_S", 10.0 if answer is not None else 0.5)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        tokens = {"LORABOT_DISCORD__TOKEN": DISCORD, "LORABOT_TELEGRAM__TOKEN": TELEGRAM}
        servers = {"LORABOT_DISCORD__API_URL": url, "LORABOT_TELEGRAM__API_URL": url}
        found = await findings(here, "tokens", **tokens, **servers)
    assert len(asked) == 2
    for what, token in (("discord", DISCORD), ("telegram", TELEGRAM)):
        (text,) = texts(found, what)
        assert text.startswith(f"broken: LORABOT_{what.upper()}__TOKEN looks like a token; ")
        assert said in text
        assert token not in repr(found[what])
    found = await findings(here, "tokens", **tokens, **servers)
    assert "Connection refused" in texts(found, "telegram")[0]


async def test_a_card_that_is_wanted_and_not_there_is_broken(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch_that_sees(here, tmp_path)
    found = await findings(here, "torch", LORABOT_TRAINER__DEVICE="cuda:7")
    assert any(finding.state == "broken" for finding in found["gpu"])


async def test_who_holds_a_card_s_memory_is_named_with_how_much(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {os.getppid(): int(3.1e9)}
    first = Silicon(f"GPU-{UUIDS[0]}", "A card", int(24e9), int(20.9e9), computing=names)
    second = Silicon(f"GPU-{UUIDS[1]}", "B card", int(24e9), int(4e9), computing=None)
    torch_that_sees(here, tmp_path, ("B card", UUIDS[1]), ("A card", UUIDS[0]))
    with driver(Driver(first, second)):
        found = texts(await findings(here, "torch", LORABOT_TRAINER__MEMORY_LIMIT="0.5"), "gpu")
    name = psutil.Process(os.getppid()).name()
    assert found == [
        f"ok: A card (number 0): 20.9 of 24.0 GB free, held by: {name} (3.1 GB)",
        "missing: B card (number 1): 4.0 of 24.0 GB free, held by: -, "
        "and 20.0 GB by programs that can't be named from here",
        "ok: of B card trainings take at most 12.0 GB, as LORABOT_TRAINER__MEMORY_LIMIT says",
    ]


async def test_a_card_in_a_container_without_nvml_is_known_by_torch(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch_that_sees(here, tmp_path, ("A card", UUIDS[0]))
    found = await findings(here, "torch", LORABOT_TRAINER__DEVICE="cuda:0")
    assert texts(found, "gpu") == ["ok: A card: 5.0 of 24.0 GB free; who holds the rest can't be asked"]
    assert "compute,utility" in translator("en").text(found["gpu"][0].mend or Message(""))


async def test_a_card_that_torch_does_not_count_is_no_card(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch_that_sees(here, tmp_path, ("A card", UUIDS[0]))
    both = (Silicon(f"GPU-{UUIDS[0]}", "A card", int(24e9)), Silicon(f"GPU-{UUIDS[1]}", "GB10", None))
    with driver(Driver(*both)):
        found = await findings(here, "torch", LORABOT_TRAINER__DEVICE="cuda:1")
        assert found["gpu"][0].state == "broken"
        assert "CUDA_VISIBLE_DEVICES" in translator("en").text(found["gpu"][0].mend or Message(""))
        torch_that_sees(here, tmp_path)
        found = await findings(here, "torch")
    assert texts(found, "gpu")[0] == "broken: A card is here, but torch can't use it"
    assert texts(found, "gpu")[-1] == "ok: GB10 (number 1) shares the memory of the host"


async def test_what_compiles_kernels_for_a_card_is_named_where_it_is_missing(
    here: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch_that_sees(here, tmp_path, ("A card", UUIDS[0]))
    here.delenv("CC", raising=False)
    here.setenv("PATH", str(tmp_path))
    (lacking,) = (await findings(here, "torch"))["compiler"]
    assert lacking.state == "missing"
    assert "gcc python3-dev" in translator("en").text(lacking.mend or Message(""))
    here.setenv("CC", "/usr/bin/cc")
    here.setattr(sysconfig, "get_paths", lambda _: {"include": str(tmp_path)})
    assert "Python.h is not here" in texts(await findings(here, "torch"), "compiler")[0]
    (tmp_path / "Python.h").touch()
    assert texts(await findings(here, "torch"), "compiler")[0].startswith("ok: /usr/bin/cc and")
    assert "compiler" not in await findings(here, "torch", LORABOT_TRAINER__DEVICE="cpu")


async def test_a_broken_preset_is_named(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "robot.yaml").write_text("id: robot\n")
    found = await findings(here, "presets", LORABOT_PRESETS_DIR="mine")
    assert {finding.state for finding in found["presets"]} == {"broken", "ok"}
    assert "robot.yaml:1" in translator("en").text(found["presets"][0].found)


async def test_a_newer_database_is_broken(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "lorabot-data" / "lorabot.sqlite3"
    await migrate(f"sqlite:///{file}")
    with sqlite3.connect(file) as database:
        database.execute("UPDATE alembic_version SET version_num = 'from the future'")
    database.close()
    found = await findings(here, "database")
    assert found["database"][0].state == "broken"


def test_a_well_host_is_said_so_without_loading_torch_or_leaving_a_file(tmp_path: Path) -> None:
    script = "import sys\nfrom lorabot.cli.app import run\nprint(run(['doctor']), 'torch' in sys.modules)"
    environment = clean_environment(LORABOT_WEB__PORT=str(free_port()))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["All that is needed is here.", "0 False"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_exit_code_tells_that_something_needed_is_broken(tmp_path: Path) -> None:
    ill = lorabot("doctor", cwd=tmp_path, LORABOT_WEB__PORT=str(free_port()), LORABOT_TELEGRAM__TOKEN="s3cr3t")
    assert ill.returncode == 1
    assert "broken  telegram" in ill.stdout
    assert "One thing is broken." in ill.stdout
    assert "s3cr3t" not in ill.stdout + ill.stderr
