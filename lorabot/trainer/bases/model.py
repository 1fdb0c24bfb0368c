"""A base model as the trainer holds it: its parts, frozen."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lorabot.presets import Family

if TYPE_CHECKING:
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer


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

    @property
    def device(self) -> "torch.device":
        """Where it computes: its UNet's device, also while some of the weights are off the card."""
        return next(self.unet.parameters()).device


@dataclass(frozen=True, slots=True)
class Parts:
    """What a file or folder holds: ``encoders`` one, or SDXL's two; ``scheduler`` as in ``BaseModel``."""

    unet: "UNet2DConditionModel"
    vae: "AutoencoderKL"
    encoders: "tuple[CLIPTextModel | CLIPTextModelWithProjection, ...]"
    scheduler: dict[str, Any]
