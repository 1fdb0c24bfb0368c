"""A card that is none: it counts the memory that living tensors hold, and has no more of it than it is told.

It is what stands behind a ``Gauge`` where there is no NVIDIA card. Everything that torch allocates while the card is
switched on lies on it; what lay in memory before does so only if it was ``brought`` there. The most it ever held is
known to the byte, and an allocation above the budget raises what torch raises on a card. A copy that is made for a
device by its name is one for the host: what is sent to the card is there already. So is page-locked memory, of which
the host has so much and no more.
"""

import gc
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from lorabot.trainer.memory import Pinning


class SimulatedCard(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Use as a context manager around what calculates on it. ``budget``: its bytes, which may change at any time;
    ``pinnable``: those of page-locked memory that the host has left."""

    def __init__(self, budget: int = 1 << 40, pinnable: int = 1 << 40) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.budget, self.pinnable = budget, pinnable
        self.refused = 0
        """How often there was no memory."""
        self._holding = 0
        self._peak = 0
        self._seen: dict[int, Callable[[], object]] = {}
        self._pinning = Pinning()

    def bring(self, *modules: torch.nn.Module) -> None:
        """The modules' weights lie on the card now."""
        for module in modules:
            for parameter in module.parameters():
                self._see(parameter)

    def __torch_dispatch__(
        self,
        function: Any,
        types: tuple[type, ...],
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(options or {})
        if options.pop("pin_memory", False):
            return self._pinned(function(*arguments, **options))
        made = function(*arguments, **options)
        if function is not torch.ops.aten._to_copy.default or options.get("device") is None:
            before = self._holding
            for leaf in tree_leaves(made):
                if isinstance(leaf, torch.Tensor):
                    self._see(leaf)
            if self._holding > max(self.budget, before):
                self.refused += 1
                raise torch.OutOfMemoryError("CUDA out of memory. (simulated)")
            self._peak = max(self._peak, self._holding)
        return made

    def held(self) -> int:
        return self._holding

    def spare(self) -> int:
        return 0

    def peak(self) -> int:
        return self._peak

    def reset_peak(self) -> None:
        self._peak = self._holding

    def kind(self) -> str:
        return "a simulated card"

    def empty(self) -> None:
        gc.collect()

    def stow(self, tensor: torch.Tensor) -> torch.Tensor:
        with _disable_current_modes(), self:
            return self._pinning.copy(tensor)

    def __enter__(self) -> "SimulatedCard":
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def _pinned(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.nbytes > self.pinnable:
            raise RuntimeError("CUDA error: out of memory (simulated)")  # as cudaHostAlloc fails
        self.pinnable -= tensor.nbytes
        self._see(tensor, 0)
        return tensor

    def _see(self, tensor: torch.Tensor, size: int | None = None) -> None:
        """Count the bytes of ``tensor``, unless there are ``size`` of them on the card."""
        storage = tensor.untyped_storage()
        place = storage._cdata
        if place in self._seen:
            return
        size = storage.nbytes() if size is None else size

        def gone(_: object) -> None:
            self._holding -= size
            del self._seen[place]

        self._seen[place] = weakref.ref(storage, gone)
        self._holding += size
