"""Tries training steps for real: how long they take, how much memory, and so how the job's steps are best done."""

import time
from collections.abc import Callable, Iterator
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
    text encoders where these learn. The first pass warms up, the second is timed. Then whatever else a step of
    ``images`` and ``held`` rows goes through by is gone through once, since what is recorded for it stays beside what
    is recorded for the first: a last part of fewer rows and, where ``several`` sizes of pictures go through, another
    one. ``in_want`` says whether the way that is open is none for another time. ``check`` is called before each pass
    and may raise. ``last``: what was tried last, whose passes are those that are kept now.
    """

    base: "BaseModel"
    modules: adapter.Modules
    route: Route
    gauge: Gauge
    size: tuple[int, int]
    conditions: Callable[[int], Conditions]
    images: int
    held: int = 0
    several: bool = False
    in_want: Callable[[], bool] = lambda: False
    check: Callable[[], None] = lambda: None
    last: Fitting | None = None

    def __call__(self, fitting: Fitting) -> Measured:
        self.check()
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
                for rows, size in self._beside(fitting.batch):
                    self._pass(rows, size)
            peak = gauge.peak()
            gauge.empty()
            return Measured(seconds, peak - held, resting, gauge.held() - held, self.in_want())
        except Exception as error:
            if not ran_out_of_memory(error):
                route.renew()  # nobody goes this way now, and it may be the largest
                raise
            raise DoesNotFit from None
        finally:
            for module in self.modules.values():
                module.zero_grad(set_to_none=True)

    def _beside(self, batch: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """The other parts that steps split by ``batch`` have, each by its rows and its pictures' size.

        Rows that are held on to are of ``size``, and fill up the last part of images that are too.
        """
        alike = _parts(self.images + self.held, batch)
        if self.several:
            alike |= _parts(self.held, batch)
            yield from ((rows, self._another()) for rows in _parts(self.images, batch))
        yield from ((rows, self.size) for rows in alike - {batch})

    def _another(self) -> tuple[int, int]:
        """A size that costs about as much: one cell wider and lower."""
        grain = Shapes.of(self.base).grain
        width, height = self.size
        return width + grain, max(height - grain, grain)

    def _pass(self, batch: int, size: tuple[int, int]) -> float:
        self.check()
        device = self.base.device
        chance = torch.Generator().manual_seed(0)
        latents = torch.randn(batch, *Shapes.of(self.base).latent(*size), generator=chance).to(device)
        timesteps = torch.full((batch,), 500, device=device)
        began = time.perf_counter()
        self.route(latents, timesteps, self.conditions(batch)).square().mean().backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began


def _parts(rows: int, batch: int) -> set[int]:
    """How many go through at once where ``rows`` do by ``batch``."""
    return {min(batch, rows - start) for start in range(0, rows, batch)}


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
        try:
            return on_card(rows, remembered.or_measured(measured), room, checkpointing)
        finally:
            remembered.keep()  # also what was measured until somebody stopped it

    return fitted
