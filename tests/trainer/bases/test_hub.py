"""Base models come from the hub whole and once; what goes wrong there is said. The hub is a server on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lorabot.locale import translator
from lorabot.presets import NamedBase
from lorabot.trainer.bases import BaseStore, LocatedBase
from lorabot.trainer.bases.hub import wanted
from lorabot.trainer.errors import BadBase
from tests.trainer.bases.files import write_header
from tests.trainer.bases.test_detection import WHOLE

COMMIT = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """The two paths of the hub that a download asks: what is in a repository, and a file of it."""

    files: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        path = urlsplit(self.path).path
        self.asked.append(path)
        if "org/closed" in path:
            return self._send(403, {"X-Error-Code": "GatedRepo"}, b"{}", body)
        if "org/model" not in path:
            return self._send(404, {"X-Error-Code": "RepoNotFound"}, b"{}", body)
        if path.startswith("/api/models/"):
            siblings = [{"rfilename": name, "size": len(content)} for name, content in self.files.items()]
            answer = json.dumps({"id": "org/model", "sha": COMMIT, "siblings": siblings}).encode()
            return self._send(200, {"Content-Type": "application/json"}, answer, body)
        name = path.split(f"/resolve/{COMMIT}/")[1]
        return self._send(200, {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT}, self.files[name], body)

    def _send(self, status: int, headers: dict[str, str], content: bytes, body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing to standard error."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    model = write_header(tmp_path / "m.safetensors", WHOLE["sd15"]).read_bytes()
    handler = type("OneHub", (Hub,), {"files": {"model.safetensors": model, "README.md": b"hello"}, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for variable in ("HF_HUB_OFFLINE", "HF_TOKEN", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    yield handler
    server.shutdown()
    server.server_close()


def locate(source: str, folder: Path) -> LocatedBase:
    named = NamedBase(id="mine", title="Mine", source=source, family="sd15")
    return BaseStore(folder).locate(named.of("sd15"), lambda: None)


def refusal(source: str, folder: Path) -> str:
    with pytest.raises(BadBase) as caught:
        locate(source, folder)
    return translator("en").text(caught.value.message)


def test_a_model_comes_once_and_only_what_of_it_is_needed(hub: type[Hub], tmp_path: Path) -> None:
    store = tmp_path / "store"
    with pytest.raises(BadBase) as caught:
        BaseStore(store).survey(NamedBase(id="mine", title="Mine", source="org/model", family="sd15"))
    assert caught.value.message.code == "base-hub-not-yet"
    assert hub.asked == []  # to look is not to download
    located = locate("org/model", store)
    assert located.path.read_bytes() == hub.files["model.safetensors"]
    assert located.known_as == "org/model"
    assert not any("README" in path for path in hub.asked)
    asked = len(hub.asked)
    assert locate("org/model", store) == located
    assert len(hub.asked) == asked


def test_a_model_that_is_not_there_and_one_behind_terms_are_told_apart(hub: type[Hub], tmp_path: Path) -> None:
    assert "There is no org/nothing on the Hugging Face Hub" in refusal("org/nothing", tmp_path / "store")
    assert "only for those who agreed to its terms" in refusal("org/closed", tmp_path / "store")


def test_a_hub_that_can_not_be_reached_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "can't be reached (OfflineModeIsEnabled)" in refusal("org/model", tmp_path / "store")


def test_a_download_ends_when_nobody_wants_it_any_more(hub: type[Hub], tmp_path: Path) -> None:
    def check() -> None:
        raise KeyboardInterrupt

    named = NamedBase(id="mine", title="Mine", source="org/model", family="sd15")
    with pytest.raises(KeyboardInterrupt):
        BaseStore(tmp_path / "store").locate(named.of("sd15"), check)


SHARDED = (
    "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
    "unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors",
    "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
)


def test_of_a_repository_only_safetensors_in_half_precision_and_configurations_are_wanted() -> None:
    assert wanted(["a.safetensors", "a.ckpt", "README.md"]) == ("a.safetensors", ["a.safetensors"])
    files = [
        *(
            "model_index.json",
            "whole.safetensors",
            "scheduler/scheduler_config.json",
            "safety_checker/model.safetensors",
        ),
        *("unet/config.json", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"),
        *("unet/diffusion_pytorch_model.safetensors.index.json", *SHARDED),
        *(
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
        ),
    ]
    assert wanted(files) == (
        ".",
        [
            *("model_index.json", "scheduler/scheduler_config.json", "unet/config.json"),
            *SHARDED,
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
        ],
    )


@pytest.mark.parametrize(
    ("files", "code"),
    [
        (["a.safetensors", "b.safetensors"], "base-hub-several"),
        (["a.ckpt"], "base-hub-none"),
        (["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.bin"], "base-hub-pickle"),
    ],
)
def test_a_repository_without_one_clear_model_is_refused(files: list[str], code: str) -> None:
    with pytest.raises(BadBase) as caught:
        wanted(files)
    assert caught.value.message.code == code
