"""Keeps modules off the card while nobody needs them, where its memory is needed for what is trained."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_HALF = 0.5


@contextmanager
def on_card(device: torch.device, *modules: torch.nn.Module) -> Iterator[None]:
    """``modules`` on ``device`` for the block, then where ``off_card`` leaves them; without a card they stay put."""
    try:
        for module in modules:
            module.to(device)
        yield
    finally:
        off_card(*modules)


def device_of(module: torch.nn.Module) -> torch.device:
    """Where ``module`` computes: a property of that name, in diffusers, goes through all modules for it."""
    return next(module.parameters()).device


def off_card(*modules: torch.nn.Module) -> None:
    """Move ``modules`` to the host's memory, unless their card is roomy: each way costs tenths of a second."""
    moved = [module for module in modules if not roomy(device_of(module))]
    for module in moved:
        module.to("cpu")
    if moved and torch.cuda.is_available():
        torch.cuda.empty_cache()


def roomy(device: torch.device) -> bool:
    """Whether half of a card's memory is free for this process, which then need not be careful with it."""
    if device.type != "cuda":
        return False
    return room(device)[0] >= _HALF * torch.cuda.mem_get_info(device)[1]


def room(device: torch.device) -> tuple[int, int]:
    """Bytes of a card's memory that this process may take besides what it has, and that it may have at all."""
    free, total = torch.cuda.mem_get_info(device)
    most = int(torch.cuda.get_per_process_memory_fraction(device) * total)
    return min(free, most - torch.cuda.memory_reserved(device)), most
