"""What a device's memory looks like from this process: how much is held, how much was needed, how to give it back.

All that asks a device goes through a ``Gauge``, so that a test can put a simulated card in its place.
"""

import gc
import platform
from typing import Protocol

import psutil
import torch

from lorabot.trainer.devices import driver_version
from lorabot.trainer.memory.pinning import Pinning


class Gauge(Protocol):
    """Reads one device's memory; all numbers are bytes."""

    def held(self) -> int:
        """What this process holds."""

    def spare(self) -> int:
        """What of it nothing lies in; after ``empty``, that is memory of recorded passes, which they alone can use."""

    def peak(self) -> int:
        """The most that it has held since ``reset_peak``."""

    def reset_peak(self) -> None:
        """Measure ``peak`` from here on."""

    def kind(self) -> str:
        """Which model of device this is and by which driver: what was measured holds for all of a kind."""

    def empty(self) -> None:
        """Give back what is kept for later use."""

    def stow(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy of ``tensor`` in the host's memory, from where it comes back as fast as can be."""


class CudaGauge:
    """A CUDA card, by torch's allocator. ``peak`` is what it had reserved: what the card is short of."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinning = Pinning()

    def held(self) -> int:
        return torch.cuda.memory_reserved(self._device)

    def spare(self) -> int:
        return torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)

    def peak(self) -> int:
        return torch.cuda.max_memory_reserved(self._device)

    def reset_peak(self) -> None:
        torch.cuda.reset_peak_memory_stats(self._device)

    def kind(self) -> str:
        properties = torch.cuda.get_device_properties(self._device)
        return f"{properties.name}, {properties.total_memory} bytes, driver {driver_version()}"

    def empty(self) -> None:
        gc.collect()
        torch.cuda.empty_cache()

    def stow(self, tensor: torch.Tensor) -> torch.Tensor:
        return self._pinning.copy(tensor)


class HostGauge:
    """The host's own memory, where a processor does the work."""

    def held(self) -> int:
        return int(psutil.Process().memory_info().rss)

    def spare(self) -> int:
        return 0

    def peak(self) -> int:
        """What is held now: the system keeps no peak that could be reset."""
        return self.held()

    def reset_peak(self) -> None:
        """There is nothing to reset."""

    def kind(self) -> str:
        return platform.processor() or platform.machine()

    def empty(self) -> None:
        gc.collect()

    def stow(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor


def gauge_of(device: torch.device) -> Gauge:
    """The gauge of ``device``."""
    return CudaGauge(device) if device.type == "cuda" else HostGauge()
