"""Which cards there are, how much of their memory is free and who holds the rest. Imports no torch.

A card that is divided by MIG is not one card but several: CUDA hands out its slices only, and so does ``cards``.
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import psutil

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds memory of a card, in bytes; 0 where the driver does not say how much (Windows, WSL)."""

    pid: int
    name: str
    held: int


@dataclass(frozen=True, slots=True)
class Card:
    """One NVIDIA card, or one MIG slice of a card; memory in bytes.

    ``total`` is all that programs can have, ``free`` what may be used now; both 0 where the driver does not say.
    ``held``: what all programs hold together, those that are not named among the ``holders`` too.
    ``limit``: the most that torch may take of it in this process; None where nobody set one.
    """

    index: int
    uuid: str
    name: str
    total: int
    free: int
    holders: tuple[Holder, ...]
    held: int = 0
    limit: int | None = None

    @property
    def unnamed(self) -> int:
        """Bytes held by programs that can't be named: those outside of this container, or hidden by the driver."""
        if any(not holder.held for holder in self.holders):
            return 0
        return max(0, self.held - sum(holder.held for holder in self.holders))


@dataclass(frozen=True, slots=True)
class Memory:
    """A card's memory as CUDA and torch tell the process that trains, in bytes.

    ``free`` and ``total`` are ``cudaMemGetInfo``'s; torch's allocator has ``reserved``, of which ``allocated`` is used.
    """

    total: int
    free: int
    reserved: int = 0
    allocated: int = 0


def cards() -> tuple[Card, ...]:
    """Every NVIDIA card and slice the driver shows; none where there is no driver, or none that can be asked."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        return ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        return tuple(_found(nvml))
    except nvml.NVMLError:
        return ()
    finally:
        nvml.nvmlShutdown()


def card_by(uuid: str, found: tuple[Card, ...], ordinal: int = 0) -> Card | None:
    """The one of ``found`` that CUDA calls ``uuid`` (with or without its prefix) and counts as number ``ordinal``.

    CUDA counts as CUDA_VISIBLE_DEVICES says, and the driver does not, so the number alone would name the wrong one. It
    decides where CUDA tells a slice by its whole card's uuid.
    """
    seen = next((card for card in found if card.uuid.endswith(uuid)), None)
    if seen is None and (chosen := _visible(ordinal)):
        seen = next((card for card in found if card.uuid.startswith(chosen)), None)
    return seen


def usable(card: Card, memory: Memory, limit: float, own: int) -> Card:
    """``card`` as the process ``own`` may use it: what torch has reserved and does not need counts as free.

    ``limit`` is the setting: up to 1 a share of the card's memory, above bytes. What the process holds outside of
    torch's allocator, such as CUDA's own context, is taken off it where the driver tells how much that is.
    """
    free = memory.free + memory.reserved - memory.allocated
    if limit == 1.0:
        return replace(card, total=memory.total, free=free)
    mine = sum(holder.held for holder in card.holders if holder.pid == own)
    outside = max(0, mine - memory.reserved)
    most = max(0, min(bytes_of(limit, memory.total), memory.total) - outside)
    return replace(card, total=memory.total, free=min(free, max(0, most - memory.allocated)), limit=most)


def bytes_of(limit: float, total: int) -> int:
    """The setting ``limit``, of a card with ``total`` bytes, in bytes."""
    return int(limit * total if limit <= 1.0 else limit)


def driver_version() -> str:
    """The NVIDIA driver's; empty where there is none."""
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # as many kinds of it as there are ways not to have a driver
        return ""
    try:
        version = nvml.nvmlSystemGetDriverVersion()
        return version if isinstance(version, str) else version.decode()
    except nvml.NVMLError:
        return ""
    finally:
        nvml.nvmlShutdown()


def holders_text(card: Card, own: int) -> str:
    """Who else holds memory of ``card``, largest first, for people: ``chrome (3.1 GB), python (0.4 GB)``."""
    others = sorted((holder for holder in card.holders if holder.pid != own), key=lambda holder: -holder.held)
    return ", ".join(f"{holder.name} ({holder.held / 1e9:.1f} GB)" if holder.held else holder.name for holder in others)


def _found(nvml: Any) -> Iterator[Card]:
    for index in range(nvml.nvmlDeviceGetCount()):
        # One that has fallen off the bus, or that a container may not touch, does not hide the others.
        with contextlib.suppress(nvml.NVMLError):
            whole = nvml.nvmlDeviceGetHandleByIndex(index)
            for handle in _slices(nvml, whole) or (whole,):
                yield _card(nvml, handle, index)


def _slices(nvml: Any, whole: Any) -> tuple[Any, ...]:
    """The MIG slices of a card; none where it is not divided, as most cards can't be."""
    try:
        if nvml.nvmlDeviceGetMigMode(whole)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return ()
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(whole)
    except nvml.NVMLError:
        return ()
    found = []
    for place in range(most):
        with contextlib.suppress(nvml.NVMLError):  # places without a slice
            found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(whole, place))
    return tuple(found)


def _card(nvml: Any, handle: Any, index: int) -> Card:
    total, free = _memory(nvml, handle)
    held: dict[int, int] = {}
    for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        for process in _processes(nvml, ask, handle):
            # One that computes and draws is in both lists with all it holds.
            held[process.pid] = max(held.get(process.pid, 0), process.usedGpuMemory or 0)
    return Card(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        total=total,
        free=free,
        holders=tuple(Holder(pid, _process_name(pid), size) for pid, size in sorted(held.items())),
        held=total - free,
    )


def _memory(nvml: Any, handle: Any) -> tuple[int, int]:
    """What programs can have and what is free; zeros where the card has no memory of its own (it shares the host's)."""
    try:
        # The second version tells apart what the driver keeps for itself, which the first counts as used.
        memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        return int(memory.total - memory.reserved), int(memory.free)
    except nvml.NVMLError:
        pass
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        return int(memory.total), int(memory.free)
    except nvml.NVMLError:
        return 0, 0


def _processes(nvml: Any, ask: Callable[[Any], list[Any]], handle: Any) -> list[Any]:
    try:
        return ask(handle)
    except nvml.NVMLError:  # containers, WSL and some drivers hide them
        return []


def _visible(ordinal: int) -> str:
    """The entry of CUDA_VISIBLE_DEVICES for the card that CUDA counts as ``ordinal``; empty where there is none.

    An entry may be the beginning of a uuid (CUDA C++ Programming Guide, Environment Variables); numbers say nothing
    here, since CUDA need not count as the driver does.
    """
    entries = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    entry = entries[ordinal].strip() if ordinal < len(entries) else ""
    return entry if entry.startswith(("GPU-", "MIG-")) else ""


def _text(answer: str | bytes) -> str:
    return answer if isinstance(answer, str) else answer.decode()


def _process_name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return f"process {pid}"
