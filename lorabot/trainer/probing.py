"""Tries training steps for real: how long they take, how much memory, and so how the job's steps are best done."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lorabot.trainer import adapter
from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.memory import (
    DoesNotFit,
    Fitted,
    Fitting,
    Gauge,
    Measure,
    Measured,
    Remembered,
    Room,
    on_card,
    on_processor,
    ran_out_of_memory,
)
from lorabot.trainer.planning import Fit
from lorabot.trainer.route import Route
from lorabot.trainer.shapes import Shapes

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel


@dataclass(slots=True)
class Probe:
    """Measures passes through ``base`` as they are trained, for pictures of ``size`` (width, height in pixels).

    ``modules`` carry the adapter, whose dropout is at work. ``conditions`` makes those of as many items, by way of the
    text encoders where these learn. The first pass warms up, the second is timed. ``several``: pictures of other sizes
    will go through too; each size is gone through once while what is kept of the ones before lies there. ``last``: what
    was tried last, whose passes are those that are kept now.
    """

    base: "BaseModel"
    modules: adapter.Modules
    route: Route
    gauge: Gauge
    size: tuple[int, int]
    conditions: Callable[[int], Conditions]
    several: bool = False
    last: Fitting | None = None

    def __call__(self, fitting: Fitting) -> Measured:
        route, gauge, self.last = self.route, self.gauge, fitting
        route.renew()
        gauge.empty()
        held = gauge.held() + route.away  # as if all weights were there, from wherever they come
        try:
            route.choose(fitting)
            gauge.empty()  # a way that is tried for the first time leaves what it was tried with
            resting = gauge.held() - held
            gauge.reset_peak()
            with adapter.dropping_out(self.modules, 0, 0):
                _, seconds = (self._pass(fitting.batch, self.size) for _ in range(2))
                if self.several:
                    self._pass(fitting.batch, self._another())
            peak = gauge.peak()
            gauge.empty()
            return Measured(seconds, peak - held, resting, gauge.held() - held)
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
            raise DoesNotFit from None
        finally:
            for module in self.modules.values():
                module.zero_grad(set_to_none=True)

    def _another(self) -> tuple[int, int]:
        """A size that costs about as much: one cell wider and lower."""
        grain = Shapes.of(self.base).grain
        width, height = self.size
        return width + grain, max(height - grain, grain)

    def _pass(self, batch: int, size: tuple[int, int]) -> float:
        unet = self.base.unet
        chance = torch.Generator().manual_seed(0)
        latents = torch.randn(batch, *Shapes.of(self.base).latent(*size), generator=chance).to(unet.device)
        timesteps = torch.full((batch,), 500, device=unet.device)
        began = time.perf_counter()
        self.route(latents, timesteps, self.conditions(batch)).square().mean().backward()  # type: ignore[no-untyped-call]
        if unet.device.type == "cuda":
            torch.cuda.synchronize(unet.device)
        return time.perf_counter() - began


def rehearsal(
    autoencoder: Autoencoder, gauge: Gauge, size: tuple[int, int], encoded: int, side: int, decoded: int
) -> tuple[int, bool]:
    """The bytes that the VAE takes at its work beside what lies there, and whether it had room to work at its best.

    It encodes as many pictures of ``size`` (width, height) together as said, and decodes some of ``side`` x ``side``.
    """
    gauge.empty()
    held = gauge.held()
    gauge.reset_peak()
    at_its_best = autoencoder.rehearse(size, encoded, side, decoded)
    return gauge.peak() - held, at_its_best


def fit(measured: Measure, remembered: Remembered, room: Room | None, checkpointing: bool) -> Fit:
    """How the steps of a job are best done: on a card with ``room``, or on a processor (None).

    On a processor the test step is never spared: its time depends on what else runs, and it is the warm-up as well.
    """

    def fitted(rows: int) -> Fitted:
        if room is None:
            return on_processor(rows, measured, checkpointing)
        found = on_card(rows, remembered.or_measured(measured), room, checkpointing)
        remembered.keep()
        return found

    return fitted
