"""Keeps a module's frozen weights in the host's memory; each comes to the card for as long as its layer computes.

Slower by the time it takes to copy all weights twice a step, and the last thing tried before something is given up:
what is left on the card are the adapter, the norms and the activations.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
        self.kept = kept
        self._device, self._sources = device, sources

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        fetched = torch.empty_like(self.kept, device=self._device).copy_(self.kept, non_blocking=True)
        self._sources[fetched.untyped_storage()] = self
        return fetched


@contextmanager
def streamed(module: torch.nn.Module, stays: Callable[[str], bool], gauge: Gauge) -> Iterator[Remembering]:
    """For the block, the weights of linear layers and convolutions in ``module`` lie in the host's memory.

    Those of layers whose name ``stays`` is true of don't.
    """
    # By the storage itself: its address may belong to another tensor as soon as the weight is let go.
    sources = WeakIdKeyDictionary()
    layers: list[tuple[Any, _Fetched]] = []
    try:
        for name, layer in module.named_modules():
            if not isinstance(layer, torch.nn.Linear | torch.nn.Conv2d) or stays(name):
                continue
            weight, device = layer.weight, layer.weight.device
            fetched = _Fetched(gauge.stow(weight.data), device, sources)
            weight.data = torch.empty(0, dtype=weight.dtype, device=device)
            parametrize.register_parametrization(layer, _WEIGHT, fetched, unsafe=True)
            layers.append((layer, fetched))
        gauge.empty()
        yield lambda: _hooks(sources)
    finally:
        for layer, fetched in layers:
            back = fetched(torch.empty(0))
            parametrize.remove_parametrizations(layer, _WEIGHT, leave_parametrized=False)
            layer.weight.data = back


def _hooks(sources: WeakIdKeyDictionary) -> saved_tensors_hooks:
    def pack(saved: torch.Tensor) -> Any:
        source = sources.get(saved.untyped_storage())  # type: ignore[no-untyped-call]
        if source is None:
            return saved
        return source, saved.size(), saved.stride(), saved.storage_offset()  # layers keep their weight transposed

    def unpack(packed: Any) -> torch.Tensor:
        if isinstance(packed, torch.Tensor):
            return packed
        source, size, stride, offset = packed
        with torch.no_grad():
            fetched: torch.Tensor = source(source.kept)
            return fetched.as_strided(size, stride, offset)

    return saved_tensors_hooks(pack, unpack)
