"""Finds a base model on this host and sees from its headers what it is, before anything loads torch."""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from lorabot.locale import translator
from lorabot.presets import DEMO, Base, Bases, Family, NamedBase, Prediction, RealFamily
from lorabot.trainer.bases.detection import detect
from lorabot.trainer.bases.digests import Digests
from lorabot.trainer.bases.header import read_header
from lorabot.trainer.bases.hub import download, downloaded
from lorabot.trainer.errors import BadBase

DEMO_FOLDER = Path(__file__).parents[1] / "demo_base"

PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
"""The sub-folders of a diffusers folder that hold weights we need; the second text encoder is SDXL's."""

_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d+)-of-(?P<count>\d+)\.safetensors")
_log = logging.getLogger(__name__)


class LocatedBase(BaseModel):
    """A base model that can be loaded: a file or a folder on this host whose headers say what was expected.

    ``identity``: sixteen hex digits of a digest of its contents. ``zero_snr``: its noise schedule ends in noise alone.
    ``known_as``: what others find it by, its hub id or the file's own name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    family: Family
    prediction: Prediction
    zero_snr: bool = False
    clip_skip: int | None = None
    path: Path
    known_as: str
    identity: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What the headers at ``path`` say. ``files``: all that count for its identity; ``size``: their bytes.

    ``sure``: whether the prediction is stated by the operator or by the file, and not only usual in the family.
    """

    path: Path
    family: RealFamily
    prediction: Prediction
    sure: bool
    zero_snr: bool
    files: tuple[Path, ...]
    size: int


@dataclass(frozen=True, slots=True)
class BaseStore:
    """Where this host looks for base models; ``folder`` takes what comes from the hub, and what is known of files."""

    folder: Path

    def known(self, named: Iterable[NamedBase]) -> Bases:
        """The bases whose family is stated, or can be read from their file here; others are left out, and logged."""
        found = []
        for each in named:
            try:
                found.append(each.of(each.family or self.survey(each).family))
            except BadBase as error:
                _log.warning(
                    "base model %s left out, whose family is not stated: %s",
                    each.id,
                    translator("en").text(error.message),
                )
        return Bases(found)

    def survey(self, named: NamedBase) -> Survey:
        """Look at the base's headers; nothing is downloaded. Raises ``BadBase``."""
        if named.on_hub:
            found = downloaded(named.source, self.folder)
            if found is None:
                raise BadBase("base-hub-not-yet", source=named.source)
        else:
            found = Path(named.source).expanduser().absolute()
        survey = survey_folder(found) if found.is_dir() else survey_file(found)
        if named.family not in (None, survey.family):
            raise BadBase("base-contradiction", file=found.name, stated=str(named.family), found=survey.family)
        if named.prediction is None:
            return survey
        return Survey(found, survey.family, named.prediction, True, survey.zero_snr, survey.files, survey.size)

    def here(self, base: Base) -> bool:
        """Whether ``base`` needs no download."""
        named = base.named
        return named is None or not named.on_hub or downloaded(named.source, self.folder) is not None

    def having(self, bases: Bases) -> tuple[str, ...]:
        """Which of ``bases`` this host can work on, by id: built in, on the hub, or where the settings say."""
        return tuple(
            base.id
            for base in bases.values()
            if base.named is None or base.named.on_hub or Path(base.named.source).expanduser().exists()
        )

    def locate(self, base: Base, check: Callable[[], None]) -> LocatedBase:
        """The base with everything that loading takes; one on the hub is downloaded first.

        The first time this reads the whole file, for its digest: ``check`` is called meanwhile and may raise to stop.
        Raises ``BadBase``.
        """
        named = base.named
        if named is None:
            return demo_base()
        if named.on_hub and downloaded(named.source, self.folder) is None:
            download(named.source, self.folder, check)
        survey = self.survey(named)
        digests = Digests(self.folder / "digests.json")
        return LocatedBase(
            id=base.id,
            title=base.title,
            family=survey.family,
            prediction=survey.prediction,
            zero_snr=survey.zero_snr,
            clip_skip=named.clip_skip,
            path=survey.path,
            known_as=named.source if named.on_hub else survey.path.name,
            identity=_identity(survey.path, survey.files, lambda file: digests.sha256(file, check)),
        )


def demo_base(folder: Path = DEMO_FOLDER) -> LocatedBase:
    """The built-in base, or one that was built like it."""
    files = [path for part in ("unet", "vae", "text_encoder", "scheduler") for path in (folder / part).iterdir()]
    return LocatedBase(
        id=DEMO.id,
        title=DEMO.title,
        family=DEMO.family,
        prediction="epsilon",
        path=folder,
        known_as=DEMO.id,
        identity=_identity(folder, files, lambda file: hashlib.sha256(file.read_bytes()).hexdigest()),
    )


def survey_file(path: Path) -> Survey:
    """What the checkpoint at ``path`` is. Raises ``BadBase``."""
    header = read_header(path)
    found = detect(header)
    return Survey(path, found.family, found.prediction, found.sure, found.zero_snr, (path,), header.size)


def survey_folder(path: Path) -> Survey:
    """What the diffusers folder ``path`` holds. Raises ``BadBase``."""
    index = _json(path, "model_index.json")
    kind = str(index.get("_class_name"))
    if kind not in ("StableDiffusionPipeline", "StableDiffusionXLPipeline"):
        raise BadBase("base-other-pipeline", file=path.name, kind=kind)
    unet = _json(path, "unet/config.json")
    if unet.get("in_channels") != 4:
        raise BadBase("base-odd-unet", file=path.name, channels=int(unet.get("in_channels") or 0))
    family: RealFamily = "sdxl"
    if kind == "StableDiffusionPipeline":
        # OpenCLIP, which SD2.x listens to, was trained with another activation than CLIP.
        family = "sd15" if _json(path, "text_encoder/config.json").get("hidden_act") == "quick_gelu" else "sd21"
    scheduler = _json(path, "scheduler/scheduler_config.json")
    prediction: Prediction = "v_prediction" if scheduler.get("prediction_type") == "v_prediction" else "epsilon"
    weights = [weight for part in PARTS[: 4 if family == "sdxl" else 3] for weight in weights_of(path / part)]
    size = sum(read_header(weight).size for weight in weights)
    configs = [path / "scheduler" / "scheduler_config.json", *(weight.parent / "config.json" for weight in weights)]
    zero_snr = bool(scheduler.get("rescale_betas_zero_snr"))
    return Survey(path, family, prediction, True, zero_snr, tuple(dict.fromkeys((*weights, *configs))), size)


def weights_of(part: Path) -> tuple[Path, ...]:
    """The safetensors files of one part of a diffusers folder: full precision, else fp16; one, or its shards.

    Raises ``BadBase`` where there is none, or not every shard.
    """
    files = sorted(part.glob("*.safetensors")) if part.is_dir() else []
    for variant in (False, True):
        found = [file for file in files if (".fp16" in file.name) == variant and ".non_ema" not in file.name]
        if found:
            _refuse_missing_shards(part, found)
            return tuple(found)
    pickled = part.is_dir() and any(file.suffix in (".bin", ".pt", ".ckpt") for file in part.iterdir())
    raise BadBase("base-folder-pickle" if pickled else "base-folder-part", file=part.parent.name, part=part.name)


def _refuse_missing_shards(part: Path, found: Sequence[Path]) -> None:
    """Where weights are split, each piece has to be there, and the index by which loaders find them."""
    shards = [shard for file in found if (shard := _SHARD.fullmatch(file.name))]
    if not shards:
        return
    stem, digits, count = shards[0]["stem"], len(shards[0]["number"]), int(shards[0]["count"])
    have = {int(shard["number"]) for shard in shards}
    missing = [f"{stem}-{number:0{digits}}-of-{count:0{digits}}.safetensors" for number in range(1, count + 1)
               if number not in have]  # fmt: skip
    if not missing and not any(part.glob("*.safetensors.index*.json")):
        missing = [f"{stem.removesuffix('.fp16')}.safetensors.index.json"]
    if missing:
        raise BadBase("base-folder-file", file=part.parent.name, part=f"{part.name}/{missing[0]}")


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        tree = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadBase("base-folder-file", file=folder.name, part=name) from None
    except (OSError, ValueError):
        raise BadBase("base-folder-json", file=folder.name, part=name) from None
    if not isinstance(tree, dict):
        raise BadBase("base-folder-json", file=folder.name, part=name)
    return tree


def _identity(root: Path, files: Sequence[Path], digest_of: Callable[[Path], str]) -> str:
    """A digest of the names and contents of the files; a single file's own digest is told as it is."""
    if list(files) == [root]:
        return digest_of(root)[:16]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.parent.name}/{path.name}\n".encode())
        digest.update(bytes.fromhex(digest_of(path)))
    return digest.hexdigest()[:16]
