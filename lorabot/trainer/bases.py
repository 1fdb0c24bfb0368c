"""Loads the frozen models a LoRA is trained on, and the CLIP that labels pictures. Reads local files only."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lorabot.presets import Family
from lorabot.trainer.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
    from PIL.Image import Image
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

DEMO_FOLDER = Path(__file__).parent / "demo_base"
CLIP_CONFIG = DEMO_FOLDER / "clip" / "lorabot-demo.json"
CLIP_WEIGHTS = DEMO_FOLDER / "clip" / "visual.safetensors"
_CLIP_OF_SD15 = 768  # the width of the text encoder that Stable Diffusion 1.x listens to


@dataclass(frozen=True, slots=True)
class TextTower:
    """One text encoder with its tokenizer.

    `layer`: which hidden state the UNet listens to, counted from the end (1: the last; 2: the last but one, which
    people call clip-skip 2). `normed`: whether the encoder's final layer norm is applied to it (SD1.x with clip skip:
    yes; SDXL: no). `pooled`: whether the encoder gives the pooled embedding too (SDXL's second). `cut`: how many last
    layers of the published encoder were left out, since nothing ever listens to them (SD2.x: one).
    """

    tokenizer: "CLIPTokenizer"
    encoder: "CLIPTextModel | CLIPTextModelWithProjection"
    layer: int = 1
    normed: bool = True
    pooled: bool = False
    cut: int = 0

    @property
    def clip_skip(self) -> int:
        """Where the UNet listens, as people count: 1 is the published encoder's last layer."""
        return self.layer + self.cut

    def skipping(self, clip_skip: int) -> "TextTower":
        """The same tower, listened to where people who say clip-skip `clip_skip` mean: 1 is the published last layer.

        A layer that was left out is not to be had: the last one that is there takes its place.
        """
        return replace(self, layer=max(clip_skip - self.cut, 1))


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A frozen Stable Diffusion, in parts.

    `towers` are its text encoders, whose states the UNet gets side by side; `resolution` is the side in pixels of the
    square pictures it was trained on; `scheduler` is the configuration of its noise schedule, as diffusers' schedulers
    take it, with the `prediction_type` of its UNet; `identity` changes when any weight does.
    """

    name: str
    family: Family
    towers: tuple[TextTower, ...]
    vae: "AutoencoderKL"
    unet: "UNet2DConditionModel"
    scheduler: dict[str, Any]
    resolution: int
    identity: str


@dataclass(frozen=True, slots=True)
class Clip:
    """An open_clip model in evaluation mode: `preprocess` makes its (3, H, W) input, `tokenizer` its (N, 77) tokens."""

    name: str
    model: "torch.nn.Module"
    preprocess: "Callable[[Image], torch.Tensor]"
    tokenizer: "Callable[[str | list[str]], torch.Tensor]"
    device: "torch.device"


def base_folder(base: str | Path) -> Path:
    """The folder of a base model: `demo` is the built-in one, anything else a folder in diffusers' layout.

    Raises FileNotFoundError when there is no such model.
    """
    folder = DEMO_FOLDER if base == "demo" else Path(base)
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"no base model at {base}: expected 'demo' or a folder with a model_index.json")
    return folder


def load_base(
    base: str | Path = "demo", device: "str | torch.device" = "cpu", dtype: "torch.dtype | None" = None
) -> BaseModel:
    """Load a base model frozen and in evaluation mode, as `dtype` (float32 unless told).

    `base` is `demo` or a folder in diffusers' layout with SD1.x parts. Raises FileNotFoundError when there is no such
    model and ValueError when its parts are not Stable Diffusion 1.x's.
    """
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextModel

    folder = base_folder(base)
    local = {"local_files_only": True, "torch_dtype": dtype or torch.float32}
    index = json.loads((folder / "model_index.json").read_text())
    if index.get("_class_name") != "StableDiffusionPipeline":
        raise ValueError(f"{folder.name} holds a {index.get('_class_name')}; only Stable Diffusion 1.x can be trained")
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", low_cpu_mem_usage=False, **local)
    vae = AutoencoderKL.from_pretrained(folder / "vae", low_cpu_mem_usage=False, **local)
    text_encoder = CLIPTextModel.from_pretrained(
        folder / "text_encoder", local_files_only=True, dtype=dtype or torch.float32
    )
    for part in (unet, vae, text_encoder):
        part.requires_grad_(False).eval().to(device)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    return BaseModel(
        name="demo" if folder == DEMO_FOLDER else folder.name,
        family="sd15" if unet.config.cross_attention_dim == _CLIP_OF_SD15 else "demo",
        towers=(TextTower(load_tokenizer(), text_encoder),),
        vae=vae,
        unet=unet,
        scheduler=json.loads((folder / "scheduler" / "scheduler_config.json").read_text()),
        resolution=unet.config.sample_size * factor,
        identity=base_identity(folder),
    )


def base_identity(base: str | Path = "demo") -> str:
    """Sixteen hex digits that name a base model's weights: a digest of the names and contents of its files."""
    folder = base_folder(base)
    digest = hashlib.sha256()
    parts = [path for part in ("unet", "vae", "text_encoder", "scheduler") for path in (folder / part).iterdir()]
    for path in sorted(parts):
        digest.update(f"{path.parent.name}/{path.name}\n".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def pipeline(base: BaseModel) -> "StableDiffusionPipeline":
    """diffusers' own pipeline over the same parts, with the base's DDPM schedule sampled by DDIM; no safety checker."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    (tower,) = base.towers
    make: Any = StableDiffusionPipeline  # its hints know no pipeline without a safety checker
    pipe: Any = make(
        vae=base.vae,
        text_encoder=tower.encoder,
        tokenizer=tower.tokenizer,
        unet=base.unet,
        scheduler=DDIMScheduler.from_config(base.scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return cast("StableDiffusionPipeline", pipe)


def load_clip(device: "str | torch.device" = "cpu") -> Clip:
    """The built-in CLIP: an image tower beside the demo base's own text encoder, as an open_clip model in float32."""
    import open_clip
    import torch
    from safetensors.torch import load_file

    add_model_config: Any = open_clip.add_model_config  # it carries no hints
    add_model_config(CLIP_CONFIG)
    name = CLIP_CONFIG.stem
    config = json.loads(CLIP_CONFIG.read_text())
    # Not by open_clip's factory, which would warn that a model without a download is random.
    model = open_clip.CLIP(**config)
    text = load_file(DEMO_FOLDER / "text_encoder" / "model.safetensors")
    state = {**load_file(CLIP_WEIGHTS), **open_clip_text_state(text)}
    model.load_state_dict({key: value.float() for key, value in state.items()})
    return Clip(
        name=name,
        model=model.requires_grad_(False).eval().to(device),
        preprocess=open_clip.image_transform(config["vision_cfg"]["image_size"], is_train=False),
        tokenizer=open_clip.get_tokenizer(name),
        device=torch.device(device),
    )


def open_clip_text_state(text_encoder: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The weights of a CLIPTextModel under open_clip's names: the same transformer, its q, k and v in one matrix."""
    import torch

    weights = {key.removeprefix("text_model."): value for key, value in text_encoder.items()}
    state = {
        "token_embedding.weight": weights["embeddings.token_embedding.weight"],
        "positional_embedding": weights["embeddings.position_embedding.weight"],
    }
    layers = {key.split(".")[2] for key in weights if key.startswith("encoder.layers.")}
    for kind in ("weight", "bias"):
        state[f"ln_final.{kind}"] = weights[f"final_layer_norm.{kind}"]
        for layer in layers:
            ours, theirs = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
            qkv = [weights[f"{ours}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            state[f"{theirs}.attn.in_proj_{kind}"] = torch.cat(qkv)
            state[f"{theirs}.attn.out_proj.{kind}"] = weights[f"{ours}.self_attn.out_proj.{kind}"]
            state[f"{theirs}.ln_1.{kind}"] = weights[f"{ours}.layer_norm1.{kind}"]
            state[f"{theirs}.ln_2.{kind}"] = weights[f"{ours}.layer_norm2.{kind}"]
            state[f"{theirs}.mlp.c_fc.{kind}"] = weights[f"{ours}.mlp.fc1.{kind}"]
            state[f"{theirs}.mlp.c_proj.{kind}"] = weights[f"{ours}.mlp.fc2.{kind}"]
    return state
