"""Which cards there are, how much of their memory is free and who holds the rest. Imports no torch."""

import importlib
from dataclasses import dataclass
from typing import Any

import psutil

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds memory of a card, in bytes; 0 where the driver does not say how much."""

    pid: int
    name: str
    held: int


@dataclass(frozen=True, slots=True)
class Card:
    """One NVIDIA card; memory in bytes."""

    index: int
    uuid: str
    name: str
    total: int
    free: int
    holders: tuple[Holder, ...]


def cards() -> tuple[Card, ...]:
    """Every NVIDIA card the driver shows; none where there is no driver."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        return ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        return tuple(_card(nvml, i) for i in range(nvml.nvmlDeviceGetCount()))
    except nvml.NVMLError:
        return ()
    finally:
        nvml.nvmlShutdown()


def holders_text(card: Card, own: int) -> str:
    """Who else holds memory of ``card``, largest first, for people: ``chrome (3.1 GB), python (0.4 GB)``."""
    others = sorted((holder for holder in card.holders if holder.pid != own), key=lambda holder: -holder.held)
    return ", ".join(f"{holder.name} ({holder.held / 1e9:.1f} GB)" if holder.held else holder.name for holder in others)


def _card(nvml: Any, index: int) -> Card:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = nvml.nvmlDeviceGetName(handle)
    try:
        processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        processes += nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
    except nvml.NVMLError:  # containers and some drivers hide them
        processes = []
    held: dict[int, int] = {}
    for process in processes:
        held[process.pid] = max(held.get(process.pid, 0), process.usedGpuMemory or 0)
    return Card(
        index=index,
        uuid=nvml.nvmlDeviceGetUUID(handle),
        name=name if isinstance(name, str) else name.decode(),
        total=int(memory.total),
        free=int(memory.free),
        holders=tuple(Holder(pid, _process_name(pid), size) for pid, size in sorted(held.items())),
    )


def _process_name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return f"process {pid}"
