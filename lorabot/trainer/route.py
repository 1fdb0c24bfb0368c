"""The way through the UNet that fits at the moment: it can be changed while a training goes on."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from math import ceil
from typing import TYPE_CHECKING

import torch

from lorabot.locale import Message
from lorabot.trainer.adapter import belongs_to_adapter
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.fast import Warm, kind_of
from lorabot.trainer.memory import Fitting, Gauge, Remembering, away, bring_back, ran_out_of_memory, take_off

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

Tell = Callable[[Message], None]
Opener = Callable[[bool, bool], AbstractContextManager[Denoiser]]
"""A denoiser for the block, with checkpointing or without, and where weights are off-loaded or not."""

_log = logging.getLogger(__name__)


class Route:
    """A ``Denoiser`` that stays the same while what lies behind it changes.

    Where no gradient is wanted it helps itself: what does not fit at once goes through in halves, down to one row at a
    time, which parts the two halves of guidance too; ``tell`` hears of it. More than ``at_once`` rows are not even
    tried. A training step is up to its caller: it has to be done again.
    """

    def __init__(self, unet: "UNet2DConditionModel", gauge: Gauge, opener: Opener, warm: Warm | None = None) -> None:
        self._unet, self._gauge, self._opener, self._warm = unet, gauge, opener, warm or Warm()
        self.tell: Tell = lambda _: None
        self.at_once: int | None = None
        self._opened = ExitStack()
        self._wanted: tuple[bool, bool] | None = None
        self._denoise: Denoiser | None = None
        self._remembering: Remembering = nullcontext
        self._most: int | None = None

    def choose(self, fitting: Fitting) -> None:
        """Go this way from now on. What runs out of memory on the way there is raised, and nothing is open then."""
        wanted = (fitting.checkpointing, fitting.offloading)
        if self.is_open and wanted != self._wanted:
            self.close()
        if not self.is_open:
            self._open(*wanted)

    @property
    def is_open(self) -> bool:
        """Whether something can go through."""
        return self._denoise is not None

    @property
    def away(self) -> int:
        """The bytes of the UNet's weights that are off the card."""
        return away(self._unet)

    def close(self) -> None:
        """Let go of everything, also of what is kept for other adapters; ``choose`` opens it again."""
        self.leave()
        self._warm.let_go()

    def renew(self) -> None:
        """Let go of all that is kept for this adapter; ``choose`` makes it anew."""
        self.leave()
        self._warm.forget(kind_of(self._unet))

    def leave(self) -> None:
        """Close, but for what is kept for the next time; weights that are off the card stay so."""
        self._wanted, self._denoise, self._remembering = None, None, nullcontext
        self._opened.close()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """For the block, the UNet's weights lie in the host's memory and nothing need go through.

        Then it is as it was before, or will be as soon as something goes through: where the weights find no room when
        they come back, that is the time to say so.
        """
        wanted = self._wanted
        if self.is_open and wanted is not None and wanted[1]:
            yield
            return
        self.close()
        try:
            take_off(self._unet, belongs_to_adapter, self._gauge)
            yield
        finally:
            self._wanted = wanted
        with _if_there_is_room():
            if wanted is None:
                bring_back(self._unet, self._gauge)
            else:
                self._open(*wanted)

    def bring_back(self) -> None:
        """Let all weights lie on the card again, if there is room; those that find none are tried again when needed."""
        with _if_there_is_room():
            bring_back(self._unet, self._gauge)

    def __call__(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        through = self._ready()
        if torch.is_grad_enabled():
            with self._remembering():
                return through(noisy, timesteps, conditions)
        while True:
            most = min(self._most or len(noisy), self.at_once or len(noisy), len(noisy))
            try:
                if most == len(noisy):
                    return through(noisy, timesteps, conditions)
                parts = [slice(start, start + most) for start in range(0, len(noisy), most)]
                return torch.cat([through(noisy[p], timesteps[p], conditions.take(p)) for p in parts])
            except Exception as error:
                if most == 1 or not ran_out_of_memory(error):
                    raise
            self._gauge.empty()
            self._most = ceil(most / 2)
            self.tell(Message("training-notice-fewer-at-once", {"rows": self._most}))

    def _ready(self) -> Denoiser:
        if self._denoise is None:
            assert self._wanted is not None, "no way was chosen"
            with torch.enable_grad():  # the fast way is tried with its way back
                self._open(*self._wanted)
        assert self._denoise is not None
        return self._denoise

    def _open(self, checkpointing: bool, offloading: bool) -> None:
        self._wanted = (checkpointing, offloading)
        if offloading:
            self._remembering = take_off(self._unet, belongs_to_adapter, self._gauge)
        else:
            bring_back(self._unet, self._gauge)
        self._denoise = self._opened.enter_context(self._opener(checkpointing, offloading))


@contextmanager
def _if_there_is_room() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        _log.warning("the base model's weights find no room on the card: %s", error)


@contextmanager
def route(unet: "UNet2DConditionModel", gauge: Gauge, opener: Opener, warm: Warm | None = None) -> Iterator[Route]:
    """A route through ``unet`` for the block; nothing can go through before a way was chosen.

    ``warm``: what the opener keeps from one block to the next.
    """
    made = Route(unet, gauge, opener, warm)
    try:
        yield made
    finally:
        made.leave()
        made.bring_back()
