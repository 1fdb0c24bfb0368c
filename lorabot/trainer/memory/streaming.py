"""Keeps a module's frozen weights in the host's memory; each comes to the card for as long as its layer computes.

Slower by the time it takes to copy all weights twice a step, and the last thing tried before something is given up:
what is left on the card are the adapter, the norms and the activations. The module itself knows which of its weights
are off the card: where they find no room to come back, they stay so for whoever uses it next.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils import parametrize
from torch.utils.weak import WeakIdKeyDictionary

from lorabot.trainer.memory.gauge import Gauge

_WEIGHT = "weight"
Remembering = Callable[[], AbstractContextManager[object]]
"""A context for a forward pass whose backward pass fetches weights again instead of keeping them."""


class _Fetched(torch.nn.Module):
    """In place of a weight: a copy of ``kept`` on the card, made whenever a layer asks for its weight."""

    def __init__(self, kept: torch.Tensor, device: torch.device, sources: WeakIdKeyDictionary) -> None:
        super().__init__()
        self.kept, self.sources = kept, sources
        self._device = device

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        fetched = torch.empty_like(self.kept, device=self._device).copy_(self.kept, non_blocking=True)
        self.sources[fetched.untyped_storage()] = self
        return fetched


def take_off(module: torch.nn.Module, stays: Callable[[str], bool], gauge: Gauge) -> Remembering:
    """Let the weights of linear layers and convolutions in ``module`` lie in the host's memory until ``bring_back``.

    Those of layers whose name ``stays`` is true of don't. What is there already stays there.
    """
    off = _off(module)
    # By the storage itself: its address may belong to another tensor as soon as the weight is let go.
    sources = off[0][1].sources if off else WeakIdKeyDictionary()
    for name, layer in module.named_modules():
        if not isinstance(layer, torch.nn.Linear | torch.nn.Conv2d) or stays(name):
            continue
        if parametrize.is_parametrized(layer, _WEIGHT):
            continue
        weight, device = layer.weight, layer.weight.device
        fetched = _Fetched(gauge.stow(weight.data), device, sources)
        weight.data = torch.empty(0, dtype=weight.dtype, device=device)
        parametrize.register_parametrization(layer, _WEIGHT, fetched, unsafe=True)
    gauge.empty()
    return lambda: _hooks(sources)


def bring_back(module: torch.nn.Module, gauge: Gauge) -> None:
    """Let all weights of ``module`` lie on the card again.

    Where they find no room there, all stay where they are, and what says so is raised.
    """
    off = _off(module)
    brought: list[torch.Tensor] = []
    try:
        with torch.no_grad():
            for _, fetched in off:
                brought.append(fetched(torch.empty(0)))
    except Exception:
        brought.clear()
        gauge.empty()
        raise
    for (layer, _), weight in zip(off, brought, strict=True):
        parametrize.remove_parametrizations(layer, _WEIGHT, leave_parametrized=False)
        layer.weight.data = weight


def away(module: torch.nn.Module) -> int:
    """The bytes of ``module``'s weights that lie in the host's memory and belong on the card."""
    return sum(fetched.kept.nbytes for _, fetched in _off(module))


def _off(module: torch.nn.Module) -> list[tuple[Any, _Fetched]]:
    """The layers whose weights are off the card, each with what fetches them."""
    found = []
    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d) and parametrize.is_parametrized(layer, _WEIGHT):
            parametrizations: Any = layer.parametrizations
            fetched = parametrizations[_WEIGHT][0]
            if isinstance(fetched, _Fetched):
                found.append((layer, fetched))
    return found


def _hooks(sources: WeakIdKeyDictionary) -> saved_tensors_hooks:
    def pack(saved: torch.Tensor) -> Any:
        source = sources.get(saved.untyped_storage())  # type: ignore[no-untyped-call]
        if source is None:
            return saved.detach()  # a layer's output itself would keep all its graph alive after a pass that failed
        return source, saved.size(), saved.stride(), saved.storage_offset()  # layers keep their weight transposed

    def unpack(packed: Any) -> torch.Tensor:
        if isinstance(packed, torch.Tensor):
            return packed
        source, size, stride, offset = packed
        with torch.no_grad():
            fetched: torch.Tensor = source(source.kept)
            return fetched.as_strided(size, stride, offset)

    return saved_tensors_hooks(pack, unpack)
