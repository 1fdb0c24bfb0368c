"""Keeps modules off the card while nobody needs them: its memory is for what is trained."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def on_card(device: torch.device, *modules: torch.nn.Module) -> Iterator[None]:
    """``modules`` on ``device`` for the block, then in the host's memory; where there is no card they stay put."""
    for module in modules:
        module.to(device)
    try:
        yield
    finally:
        off_card(*modules)


def off_card(*modules: torch.nn.Module) -> None:
    """Move ``modules`` to the host's memory."""
    for module in modules:
        module.to("cpu")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
