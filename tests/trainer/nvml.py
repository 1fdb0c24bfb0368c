"""NVIDIA's driver library as pynvml meets it: the C functions of nvml.h, over cards that a test describes.

The real pynvml calls these with its own ctypes values, as it calls libnvidia-ml.so; what it does not find here is a
function that an older library does not have.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pynvml
import pytest

UNKNOWN = 0xFFFFFFFFFFFFFFFF
"""What the driver gives as a process' memory where it does not know it (NVML_VALUE_NOT_AVAILABLE)."""


@dataclass
class Silicon:
    """A card or a slice. ``reserved`` is the driver's own; None as ``total``: it shares the host's memory.

    ``drawing`` and ``computing`` are bytes by process id, None where the driver hides its processes.
    """

    uuid: str
    name: str
    total: int | None
    free: int = 0
    reserved: int = 0
    computing: dict[int, int] | None = field(default_factory=dict)
    drawing: dict[int, int] | None = field(default_factory=dict)
    slices: tuple["Silicon | None", ...] | None = None
    lost: bool = False


class Driver:
    """The library. ``second_memory``: whether it knows the second version of the memory's structure."""

    def __init__(self, *cards: Silicon, second_memory: bool = True) -> None:
        self._cards = cards
        self._handles: list[Silicon] = []
        self._second_memory = second_memory

    def nvmlInitWithFlags(self, _flags: int) -> int:
        return int(pynvml.NVML_SUCCESS)

    def nvmlShutdown(self) -> int:
        return int(pynvml.NVML_SUCCESS)

    def nvmlErrorString(self, _result: int) -> bytes:
        return b"an error"

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = len(self._cards)
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        if self._cards[index.value].lost:
            return int(pynvml.NVML_ERROR_GPU_IS_LOST)
        return self._give(handle, self._cards[index.value])

    def nvmlDeviceGetMigMode(self, handle: Any, current: Any, pending: Any) -> int:
        slices = self._of(handle).slices
        if slices is None:
            return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
        current._obj.value = pending._obj.value = pynvml.NVML_DEVICE_MIG_ENABLE
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any, count: Any) -> int:
        count._obj.value = len(self._of(handle).slices or ())
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: Any, slice_: Any) -> int:
        found = (self._of(handle).slices or ())[index.value]
        return int(pynvml.NVML_ERROR_NOT_FOUND) if found is None else self._give(slice_, found)

    def nvmlDeviceGetName(self, handle: Any, text: Any, _size: Any) -> int:
        text.value = self._of(handle).name.encode()
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetUUID(self, handle: Any, text: Any, _size: Any) -> int:
        text.value = self._of(handle).uuid.encode()
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        card = self._of(handle)
        if card.total is None:
            return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
        memory._obj.total, memory._obj.free = card.total, card.free
        memory._obj.used = card.total - card.free
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetMemoryInfo_v2(self, handle: Any, memory: Any) -> int:
        assert memory._obj.version == pynvml.nvmlMemory_v2
        if not self._second_memory:
            return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
        status = self.nvmlDeviceGetMemoryInfo(handle, memory)
        memory._obj.reserved = self._of(handle).reserved
        memory._obj.used -= self._of(handle).reserved if status == pynvml.NVML_SUCCESS else 0
        return status

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any, count: Any, infos: Any) -> int:
        return _list(self._of(handle).computing, count, infos)

    def nvmlDeviceGetGraphicsRunningProcesses_v3(self, handle: Any, count: Any, infos: Any) -> int:
        return _list(self._of(handle).drawing, count, infos)

    def _give(self, handle: Any, card: Silicon) -> int:
        self._handles.append(card)
        place = ctypes.c_void_p(len(self._handles))
        ctypes.pointer(handle._obj)[0] = ctypes.cast(place, pynvml.c_nvmlDevice_t)
        return int(pynvml.NVML_SUCCESS)

    def _of(self, handle: Any) -> Silicon:
        place = ctypes.cast(handle, ctypes.c_void_p).value
        assert place is not None
        return self._handles[place - 1]


def _list(processes: dict[int, int] | None, count: Any, infos: Any) -> int:
    if processes is None:
        return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
    if count._obj.value < len(processes):
        count._obj.value = len(processes)
        return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
    count._obj.value = len(processes)
    for place, (pid, size) in enumerate(processes.items()):
        infos[place].pid, infos[place].usedGpuMemory = pid, size
    return int(pynvml.NVML_SUCCESS)


@contextmanager
def driver(library: Driver) -> Iterator[None]:
    """Have pynvml find ``library`` where it looks for the driver's."""
    with pytest.MonkeyPatch.context() as place:
        place.setattr(pynvml, "nvmlLib", library)
        place.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        yield
