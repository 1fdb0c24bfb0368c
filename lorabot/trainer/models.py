"""What stays loaded between jobs: the base model on its device, and the CLIP that labels pictures."""

import gc
import os
import platform
import sys
from pathlib import Path

import torch

from lorabot.trainer.bases import BaseModel, LocatedBase, demo_base, load_base
from lorabot.trainer.clip import Clip, load_clip
from lorabot.trainer.devices import GIB, Card, Memory, card_by, cards, holders_text, usable
from lorabot.trainer.errors import NoCard
from lorabot.trainer.fast import Tried, Warm
from lorabot.trainer.memory import Gauge, gauge_of
from lorabot.trainer.planning import Hardware, Precision

_PAGING = sys.platform == "win32" or "microsoft" in platform.release().lower()
"""Whether the driver moves to the host's memory what does not fit on the card (Windows, and WSL on it), which makes
steps 10 to 150 times slower. Better that torch says so: what is free when a job begins is all that it takes there."""
_CONTEXT = GIB
"""That this process holds at most outside of torch: where the driver hides processes, it hides that too."""
_SMALL_CARD = 12 * GIB
"""Of memory; below this, activations of the VAE in float32 take too much of it."""


class Models:
    """The models of one device, loaded when first asked for; one base at a time, since a card may hold no second.

    ``memory_limit`` is the setting of that name. ``warm`` belongs to the base that is loaded; what was found out of the
    fast way is known of the others, too.
    """

    def __init__(self, device: str, memory_limit: float = 1.0) -> None:
        self._wanted = device
        self._limit = memory_limit
        self._base: tuple[LocatedBase, BaseModel] | None = None
        self._clip: Clip | None = None
        self.warm = Warm()
        self._tried: dict[str, Tried] = {}

    def hardware(self) -> Hardware:
        """Where a job would run now, with the card's free memory as it is at this moment. Raises ``NoCard``."""
        device = pick_device(self._wanted)
        if device.type == "cpu":
            return Hardware("cpu", cpu_name(), "fp32")
        torch.cuda.set_device(device)  # events, streams and kernels are the current card's unless told otherwise
        free, total = torch.cuda.mem_get_info(device)
        reserved, allocated = torch.cuda.memory_reserved(device), torch.cuda.memory_allocated(device)
        properties = torch.cuda.get_device_properties(device)
        uuid, ordinal = str(properties.uuid), device.index or 0
        seen = card_by(uuid, cards(), ordinal) or Card(ordinal, uuid, properties.name, total, free, ())
        card = usable(seen, Memory(total, free, reserved, allocated), self._limit, os.getpid())
        precision: Precision = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        named = any(holder.pid == os.getpid() for holder in seen.holders)
        hidden = max(0, seen.unnamed - (0 if named else reserved + _CONTEXT))
        return Hardware(str(device), properties.name, precision, card, holders_text(card, os.getpid()), hidden)

    def gauge(self) -> Gauge:
        """What reads the device's memory; from here on torch takes no more of a card than ``hardware`` says it may."""
        device = pick_device(self._wanted)
        card = self.hardware().card
        if card is not None:
            most = card.limit if card.limit is not None else card.total
            if _PAGING:
                most = min(most, card.free + torch.cuda.memory_allocated(device))
            torch.cuda.set_per_process_memory_fraction(most / card.total, device)
        return gauge_of(device)

    def base(self, wanted: LocatedBase | None = None) -> BaseModel:
        """The base model ``wanted``, the demo unless told; what was loaded before leaves the card first.

        Raises ``BadBase``.
        """
        wanted = wanted or demo_base()
        if self._base is None or self._base[0] != wanted:
            self._base = None
            self.warm = Warm(self.warm.ops, tried=self._tried.setdefault(wanted.identity, {}))
            gc.collect()
            hardware = self.hardware()
            if hardware.card is not None:
                torch.cuda.empty_cache()
            dtype = torch.bfloat16 if hardware.precision == "bf16" else torch.float32
            self._base = (wanted, load_base(wanted, hardware.device, dtype, _vae_dtype(hardware)))
        return self._base[1]

    def clip(self) -> "Clip":
        """The CLIP that captions."""
        if self._clip is None:
            self._clip = load_clip(pick_device(self._wanted))
        return self._clip


def _vae_dtype(hardware: Hardware) -> torch.dtype:
    """Never float16, in which VAEs overflow into black pictures; bfloat16 reaches as far as float32."""
    small = hardware.card is not None and hardware.card.total < _SMALL_CARD
    return torch.bfloat16 if small and hardware.precision == "bf16" else torch.float32


def pick_device(wanted: str) -> torch.device:
    """The device that the setting ``wanted`` means here. Raises ``NoCard`` when it is not there."""
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = torch.device("cuda:0" if wanted == "cuda" else wanted)
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise NoCard(wanted)
    return device


def cpu_name() -> str:
    """The processor's name and the threads that torch uses: ``AMD EPYC, 2 threads``."""
    name = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {torch.get_num_threads()} threads"


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
