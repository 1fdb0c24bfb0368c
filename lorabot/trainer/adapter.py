"""The LoRA on a UNet: put on, read, written, switched off and taken away again, through peft."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from lorabot.presets import Layers

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_LINEAR = (*_ATTENTION, "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
_CONVOLUTIONS = (*_LINEAR, "conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv")
TARGETS: Mapping[Layers, tuple[str, ...]] = {
    "attention": _ATTENTION,
    "transformers": _LINEAR,
    "all": _CONVOLUTIONS,
}
"""The ends of the names of the layers that get a LoRA: the attention's projections; those and the feed-forward layers
around them; and the convolutions of the residual blocks and between the levels too (LoCon)."""
_NAME = "default"

State = dict[str, torch.Tensor]
"""An adapter's weights by parameter name."""


@contextmanager
def attached(
    unet: "UNet2DConditionModel", rank: int, alpha: float, seed: int, layers: Layers = "attention"
) -> Iterator[None]:
    """Put a fresh adapter on ``unet`` for the block: down matrices random by ``seed``, up matrices 0, all float32."""
    from peft import LoraConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(r=rank, target_modules=list(TARGETS[layers]), init_lora_weights=True)
        config.lora_alpha = alpha  # type: ignore[assignment]  # declared int; used as a factor only
        unet.add_adapter(config, adapter_name=_NAME)
    for _, parameter in parameters(unet):
        parameter.data = parameter.data.float()
    try:
        yield
    finally:
        unet.unload_lora()  # type: ignore[no-untyped-call]
        unet.requires_grad_(False)


def parameters(unet: "UNet2DConditionModel") -> list[tuple[str, torch.nn.Parameter]]:
    """What is trained, by name, in the order of the modules."""
    return [(name, parameter) for name, parameter in unet.named_parameters() if f".{_NAME}." in name]


def read(unet: "UNet2DConditionModel") -> State:
    """A copy of the weights on the CPU, float32."""
    return {name: parameter.detach().to("cpu", torch.float32, copy=True) for name, parameter in parameters(unet)}


@torch.no_grad()
def write(unet: "UNet2DConditionModel", state: Mapping[str, torch.Tensor]) -> None:
    """Set the weights to ``state``; raises ``KeyError`` when a parameter is missing there."""
    for name, parameter in parameters(unet):
        parameter.copy_(state[name])


@contextmanager
def switched_off(unet: "UNet2DConditionModel") -> Iterator[None]:
    """The base model as if there were no adapter."""
    unet.disable_adapters()
    try:
        yield
    finally:
        unet.enable_adapters()
        for _, parameter in parameters(unet):  # peft freezes them when switching off
            parameter.requires_grad_(True)
