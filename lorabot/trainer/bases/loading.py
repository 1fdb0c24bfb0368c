"""Loads a located base model: frozen, on its device, each part in a precision in which it is stable."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lorabot.presets import Family
from lorabot.trainer.bases.detection import UNET
from lorabot.trainer.bases.header import read_header
from lorabot.trainer.bases.located import PARTS, LocatedBase, demo_base, weights_of
from lorabot.trainer.bases.model import BaseModel, Parts, TextTower
from lorabot.trainer.errors import BadBase
from lorabot.trainer.tokenizer import BLANK, END, load_tokenizer

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
    from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline

_ROOM = 1.1
"""Of the weights' size must be free: the largest tensor is there twice for a moment."""


def load_base(
    base: LocatedBase | None = None,
    device: "str | torch.device" = "cpu",
    dtype: "torch.dtype | None" = None,
    vae_dtype: "torch.dtype | None" = None,
) -> BaseModel:
    """Load a base model (the demo unless told) frozen and in evaluation mode, as ``dtype`` (float32 unless told).

    The VAE has a precision of its own, float32 unless told: in float16 those of SDXL, and broken ones of 1.x, overflow
    and give black pictures. VAE and text encoders stay in the host's memory where a card has no room for them beside
    the UNet: who uses them brings them. Raises ``BadBase`` where the file is not what it seems or can't ever fit into
    memory, ``torch.OutOfMemoryError`` where it would fit if others held less of the card.
    """
    import torch

    located = base or demo_base()
    where, single, half = torch.device(device), torch.float32, dtype or torch.float32
    files = _weights(located.path)
    rest = place_of_the_rest(located, files, where, half)
    if located.path.is_dir():
        from lorabot.trainer.bases.folder import load_folder

        parts = load_folder(located, where, rest, half, vae_dtype or single)
    else:
        from lorabot.trainer.bases.single_file import load_single_file

        parts = load_single_file(located, where, rest, half, vae_dtype or single)
    for part in (parts.unet, parts.vae, *parts.encoders):
        part.requires_grad_(False).eval()
        _refuse_broken_numbers(located, part)
    return assembled(located, parts)


def assembled(base: LocatedBase, parts: Parts) -> BaseModel:
    """The parts as a base model, with the tokenizers that go with them."""
    unet: Any = parts.unet.config
    vae: Any = parts.vae.config
    return BaseModel(
        name=base.id,
        family=base.family,
        towers=tuple(_towers(base.family, parts, base.clip_skip)),
        vae=parts.vae,
        unet=parts.unet,
        scheduler=parts.scheduler,
        resolution=unet.sample_size * 2 ** (len(vae.block_out_channels) - 1),
        identity=base.identity,
    )


def _towers(family: Family, parts: Parts, clip_skip: int | None) -> list[TextTower]:
    """Which states the UNet was trained to listen to, and with what prompts were filled up."""
    first, *second = parts.encoders
    if family == "sdxl":
        towers = [
            TextTower(load_tokenizer(END), first, layer=2, normed=False),
            TextTower(load_tokenizer(BLANK), second[0], layer=2, normed=False, pooled=True),
        ]
    elif family == "sd21":
        towers = [TextTower(load_tokenizer(BLANK), first, cut=1)]
    else:
        towers = [TextTower(load_tokenizer(END), first)]
    return towers if clip_skip is None else [tower.skipping(clip_skip) for tower in towers]


def pipeline(base: BaseModel) -> "StableDiffusionPipeline | StableDiffusionXLPipeline":
    """diffusers' own pipeline over the same parts, sampling the base's noise schedule by DDIM; no safety checker."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
    from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    parts: dict[str, Any] = {
        "vae": base.vae,
        "unet": base.unet,
        "scheduler": DDIMScheduler.from_config(base.scheduler),
        "text_encoder": base.towers[0].encoder,
        "tokenizer": base.towers[0].tokenizer,
    }
    make: Any  # their hints know no pipeline without a safety checker
    if len(base.towers) == 2:
        make = StableDiffusionXLPipeline
        parts |= {"text_encoder_2": base.towers[1].encoder, "tokenizer_2": base.towers[1].tokenizer}
        parts |= {"add_watermarker": False}
    else:
        make = StableDiffusionPipeline
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipe: Any = make(**parts)
    pipe.set_progress_bar_config(disable=True)
    return cast("StableDiffusionPipeline | StableDiffusionXLPipeline", pipe)


def _weights(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [file for part in PARTS if (path / part).is_dir() for file in weights_of(path / part)]


def place_of_the_rest(
    base: LocatedBase, files: list[Path], device: "torch.device", dtype: "torch.dtype"
) -> "torch.device":
    """Where all parts but the UNet are loaded to. Raises as ``load_base``."""
    import psutil
    import torch

    from lorabot.trainer.offloading import room

    def needed(count: int) -> int:
        return round(_ROOM * count * dtype.itemsize)

    headers = [read_header(file) for file in files]
    whole = needed(sum(header.count() for header in headers))
    if device.type == "cpu":
        # The kernel would end a process that takes too much of the host's memory, without a word to anybody.
        free = psutil.virtual_memory().available
        if whole > free:
            raise BadBase("base-no-memory", base=base.id, needed=f"{whole / 1e9:.1f}", free=f"{free / 1e9:.1f}")
        return device
    free, most = room(device)
    if whole <= free:
        return device
    folder = base.path.is_dir()
    unet = needed(
        sum(
            header.count("" if folder else UNET)
            for header in headers
            if not folder or header.path.parent.name == "unet"
        )
    )
    if unet > most:
        raise BadBase("base-no-card-memory", base=base.id, needed=f"{unet / 1e9:.1f}", free=f"{free / 1e9:.1f}")
    if unet > free:
        raise torch.OutOfMemoryError(f"the UNet of {base.id} takes {unet / 1e9:.1f} GB, and {free / 1e9:.1f} are free")
    return torch.device("cpu")


def _refuse_broken_numbers(base: LocatedBase, part: "torch.nn.Module") -> None:
    """Merging in half precision has left infinite weights in files that people pass on; all they draw is black."""
    for name, value in part.named_parameters():
        if not value.isfinite().all():
            raise BadBase("base-not-finite", file=base.path.name, part=type(part).__name__, name=name)
