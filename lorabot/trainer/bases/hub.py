"""Downloads a base model from the Hugging Face Hub, in a process of its own that can be ended at any moment.

Only what training needs comes: safetensors and configurations, in half precision where the repository offers it.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lorabot.locale import Param
from lorabot.trainer.errors import BadBase

_LOOK_S = 0.2
_ROOM = 1.05
"""Of the download's size must be free on the disk."""
_PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")


def downloaded(source: str, folder: Path) -> Path | None:
    """The file or folder that the hub's ``source`` was downloaded to whole; None where it was not yet."""
    place = _place(source, folder)
    try:
        inside = json.loads((place / "complete.json").read_text(encoding="utf-8"))["path"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    found = place / inside
    return found if found.exists() else None


def download(source: str, folder: Path, check: Callable[[], None]) -> Path:
    """Fetch ``source`` (``org/name``); what an earlier try left is gone on with.

    ``check`` is called often meanwhile and may raise to stop. Raises ``BadBase`` with what went wrong.
    """
    command = [sys.executable, "-m", "lorabot.trainer.bases.hub", source, str(_place(source, folder))]
    environment = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:  # noqa: S603
        try:
            while child.poll() is None:
                check()
                time.sleep(_LOOK_S)
        except BaseException:
            child.kill()
            raise
        assert child.stdout is not None
        answer = child.stdout.read().strip().splitlines()
    with contextlib.suppress(ValueError, IndexError):
        told = json.loads(answer[-1])
        if told["code"] is not None:
            raise BadBase(told["code"], source=source, **told["params"])
    found = downloaded(source, folder)
    if found is None:
        raise BadBase("base-hub-failed", source=source, reason=f"exit code {child.returncode}")
    return found


def wanted(files: Sequence[str]) -> tuple[str, list[str]]:
    """Of a repository's files, those to download, and where among them the model is: one file, or `.` for the folder.

    Raises ``BadBase`` where there is no model, or no telling which.
    """
    if "model_index.json" in files:
        chosen = ["model_index.json", "scheduler/scheduler_config.json"]
        for part in _PARTS:
            inside = [name for name in files if PurePosixPath(name).match(f"{part}/*")]
            weights = [name for name in inside if name.endswith(".safetensors")]
            if not weights and any(name.endswith(".bin") for name in inside):
                raise BadBase("base-hub-pickle")
            half = [name for name in weights if ".fp16" in name]
            shards = [name for name in inside if ".safetensors.index." in name and (".fp16" in name) == bool(half)]
            weights = half or [name for name in weights if ".non_ema" not in name]
            chosen += [f"{part}/config.json", *weights, *shards]
        return ".", [name for name in chosen if name in files]
    single = [name for name in files if "/" not in name and name.endswith(".safetensors")]
    if len(single) == 1:
        return single[0], single
    if single:
        raise BadBase("base-hub-several", files=", ".join(single[:5]))
    raise BadBase("base-hub-none")


def main(source: str, place: Path) -> int:
    """The child: download, and tell on one line how it went."""
    code: str | None = None
    params: Mapping[str, Param] = {}
    try:
        _fetch(source, place)
    except BadBase as error:
        code, params = error.message.code, error.message.params
    except Exception as error:  # the border of the process: whatever the client library raises becomes a sentence
        code, params = _explained(error)
    print(json.dumps({"code": code, "params": dict(params)}), flush=True)
    return 0


def _fetch(source: str, place: Path) -> None:
    from huggingface_hub import HfApi

    api = HfApi()
    info = api.model_info(source, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    inside, names = wanted(list(sizes))
    place.mkdir(parents=True, exist_ok=True)
    needed = round(_ROOM * sum(sizes[name] for name in names if not (place / name).exists()))
    free = shutil.disk_usage(place).free
    if needed > free:
        raise BadBase("base-no-disk", needed=f"{needed / 1e9:.1f}", free=f"{free / 1e9:.1f}")
    for name in names:
        api.hf_hub_download(source, name, revision=info.sha, local_dir=place)
    (place / "complete.json").write_text(json.dumps({"path": inside, "revision": info.sha}), encoding="utf-8")


def _explained(error: Exception) -> tuple[str, Mapping[str, Param]]:
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):  # a kind of the next
        return "base-hub-gated", {}
    if isinstance(error, RepositoryNotFoundError):
        return "base-hub-unknown", {}
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code if error.response is not None else "-"
        return "base-hub-failed", {"reason": f"{type(error).__name__} {status}"}
    return "base-hub-unreachable", {"reason": type(error).__name__}


def _place(source: str, folder: Path) -> Path:
    return folder / source.replace("/", "--")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
