"""Copies into the host's page-locked memory, from where a card fetches by itself; a host may have too little of it."""

import logging

import torch

from lorabot.trainer.memory.shortage import ran_out_of_memory

_log = logging.getLogger(__name__)


class Pinning:
    """Copies into page-locked memory; once there is no more of it, into ordinary memory, which is only slower."""

    def __init__(self) -> None:
        self._some_left = True

    def copy(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy of ``tensor`` in the host's memory, from where it comes to a card as fast as can be."""
        if self._some_left:
            try:
                return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor)
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
            self._some_left = False
            _log.warning("the host has no more page-locked memory; from ordinary memory it takes longer to the card")
        return tensor.to("cpu", copy=True)
