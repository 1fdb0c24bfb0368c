"""The LoRA on a base model's modules: put on, read, written, switched off and taken away again, through peft."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import sqrt
from typing import TYPE_CHECKING, Any

import torch

from lorabot.presets import Layers, Recipe
from lorabot.trainer.draws import generator

if TYPE_CHECKING:
    from peft import LoraConfig

_ATTENTION = (
    *("to_q", "to_k", "to_v", "to_out.0"),
    *("q_proj", "k_proj", "v_proj", "out_proj"),  # the text encoders'
)
_LINEAR = (*_ATTENTION, "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "fc1", "fc2")
_CONVOLUTIONS = (*_LINEAR, "conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv")
TARGETS: Mapping[Layers, tuple[str, ...]] = {
    "attention": _ATTENTION,
    "linear": _LINEAR,
    "all": _CONVOLUTIONS,
}
"""The ends of the names of the layers that get a LoRA: the attention's projections; those and the feed-forward layers
around them; and the convolutions of the residual blocks and between the levels too (LoCon)."""
_NAME = "default"

Modules = Mapping[str, torch.nn.Module]
"""The modules that carry the adapter, by the prefix of their parameters' names: ``unet``, ``te1``, ``te2``."""

State = dict[str, torch.Tensor]
"""An adapter's weights by parameter name: ``unet.``, ``te1.`` or ``te2.`` and the name that peft gives it there."""


def options(recipe: Recipe) -> "LoraConfig":
    """What peft is told to put on."""
    from peft import LoraConfig

    config = LoraConfig(
        r=recipe.rank,
        target_modules=list(TARGETS[recipe.layers]),
        use_rslora=recipe.rank_stabilised,
        use_dora=recipe.dora,
        lora_dropout=recipe.dropout,
    )
    config.lora_alpha = recipe.alpha  # type: ignore[assignment]  # declared int; used as a factor only
    return config


def effective_alpha(recipe: Recipe) -> float:
    """The alpha with which alpha / rank is the scale of the update: for a file, whose readers know no other scaling."""
    return recipe.alpha * sqrt(recipe.rank) if recipe.rank_stabilised else recipe.alpha


@contextmanager
def attached(modules: Modules, recipe: Recipe, seed: int) -> Iterator[None]:
    """Put a fresh adapter on ``modules`` for the block: down matrices random by ``seed``, up matrices 0, all float32.

    Everything else in them is frozen, and stays so.
    """
    from peft import inject_adapter_in_model

    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in modules.values():
                inject_adapter_in_model(options(recipe), module, adapter_name=_NAME)
        for _, parameter in parameters(modules):
            parameter.data = parameter.data.float()
        for _, layer in _layers(*modules.values()):
            layer.eval()
        yield
    finally:
        for module in modules.values():
            _take_off(module)


def parameters(modules: Modules) -> list[tuple[str, torch.nn.Parameter]]:
    """What is trained, by name, in the order of the modules."""
    return [
        (f"{prefix}.{name}", parameter)
        for prefix, module in modules.items()
        for name, parameter in module.named_parameters()
        if f".{_NAME}." in name
    ]


def belongs_to_adapter(name: str) -> bool:
    """Whether the layer of this name is one of an adapter's, and none of the base model's."""
    return name.endswith(f".{_NAME}")


def read(modules: Modules) -> State:
    """A copy of the weights on the CPU, float32."""
    return {name: parameter.detach().to("cpu", torch.float32, copy=True) for name, parameter in parameters(modules)}


@torch.no_grad()
def write(modules: Modules, state: Mapping[str, torch.Tensor]) -> None:
    """Set the weights to ``state``; raises ``KeyError`` when a parameter is missing there."""
    for name, parameter in parameters(modules):
        parameter.copy_(state[name])


@contextmanager
def dropping_out(modules: Modules, seed: int, step: int) -> Iterator[None]:
    """With the adapter's dropout at work, where it has some; outside, nothing is left out.

    What is left out in step number ``step`` depends on ``seed`` and on how the batch is split, not on what was before.
    """
    dropouts = [layer.lora_dropout for _, layer in _layers(*modules.values())]
    if not any(isinstance(part, torch.nn.Dropout) for dropout in dropouts for part in dropout.values()):
        yield
        return
    devices = {parameter.device for _, parameter in parameters(modules)}
    with torch.random.fork_rng(devices=[device for device in devices if device.type == "cuda"]):
        torch.manual_seed(generator(seed, "dropout", step).initial_seed())
        for dropout in dropouts:
            dropout.train()
        try:
            yield
        finally:
            for dropout in dropouts:
                dropout.eval()


@contextmanager
def switched_off(modules: Modules) -> Iterator[None]:
    """The base model as if there were no adapter."""
    layers = [layer for _, layer in _layers(*modules.values())]
    own = list(parameters(modules))
    for layer in layers:
        layer.enable_adapters(False)
    for _, parameter in own:  # peft freezes them, and a way that is opened meanwhile would find no adapter
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def _layers(*modules: torch.nn.Module) -> list[tuple[str, Any]]:
    """The layers that peft put in, each with its name in its module."""
    from peft.tuners.lora import LoraLayer

    return [
        (name, layer) for module in modules for name, layer in module.named_modules() if isinstance(layer, LoraLayer)
    ]


def _take_off(module: torch.nn.Module) -> None:
    for name, layer in _layers(module):
        parent, _, own = name.rpartition(".")
        setattr(module.get_submodule(parent), own, layer.get_base_layer())
    if hasattr(module, "peft_config"):
        del module.peft_config
    module.requires_grad_(False)
