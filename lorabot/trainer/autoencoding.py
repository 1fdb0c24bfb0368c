"""Between pixels and latents: the base's VAE at work in what memory there is.

At its full width a VAE in float32 takes several GB a picture, more than a training step of a small base. So on a card
the first picture is measured, and only as many go through at once as have room. What fails nevertheless is done again
with less: fewer pictures at once, in tiles, in bfloat16, and last with the UNet's weights off the card meanwhile.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import torch

from lorabot.locale import Message
from lorabot.trainer.denoising import all_threads
from lorabot.trainer.memory import Gauge, gauge_of, ran_out_of_memory
from lorabot.trainer.offloading import off_card
from lorabot.trainer.shapes import Shapes

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel

_PIXELS_AT_ONCE = 4 * 512 * 512
"""More gain nothing: the VAE keeps a card busy with these."""
_PIXELS_ON_A_PROCESSOR = 4 * 128 * 128
"""More cost a fifth of the time there: they outgrow its caches."""
_TILE = 256  # pixels; overlapping by a quarter, as diffusers has it


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a card leaves to the VAE: ``room`` says how many bytes are free, ``aside`` takes the UNet off it."""

    room: Callable[[], int]
    aside: Callable[[], AbstractContextManager[None]]
    tell: Callable[[Message], None]


def together(area: int) -> int:
    """How many pictures of so many pixels go through at once where there is room."""
    return max(_PIXELS_AT_ONCE // area, 1)


class Autoencoder:
    """Turns pictures into latents and back. Without ``around`` there is no card, and nothing is measured."""

    def __init__(self, base: "BaseModel", gauge: Gauge | None = None, around: Surroundings | None = None) -> None:
        self._base = base
        self._vae: Any = base.vae
        self._gauge = gauge or gauge_of(base.device)
        self._around = around
        self._most: dict[str, int] = {}
        self._per_pixel: dict[str, float] = {}
        self._room = 0
        self._whole: dict[str, torch.Tensor] = {}
        self._beside = False
        self._unsaid: Message | None = None
        self._stack = ExitStack()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The VAE is on the card for the block, and outside off it, where there is one."""
        try:
            if self._beside and self._around is not None:
                self._stack.enter_context(self._around.aside())
            self._arrive()
            self._room = self._around.room() if self._around else 0
            yield
        finally:
            try:
                off_card(self._vae)  # before the UNet comes back
            finally:
                self._stack.close()

    def close(self) -> None:
        """Leave the VAE as it was: whole pictures, with the numbers it was loaded with."""
        self._vae.disable_tiling()
        self._make_whole()

    @torch.no_grad()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Scaled latents, float32 (B, C, H/8, W/8), of ``pixels`` (B, 3, H, W) in -1..1.

        The mean of the distribution, so that they never vary.
        """
        scale = Shapes.of(self._base).scale

        def run(part: torch.Tensor) -> torch.Tensor:
            mean: torch.Tensor = self._vae.encode(part.to(self._vae.device, self._vae.dtype)).latent_dist.mode()
            return (mean * scale).float()

        return self._through("encode", pixels, pixels.shape[-1] * pixels.shape[-2], run)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pixels, float32 (B, 3, H, W) around -1..1 on the CPU, of scaled ``latents`` (B, C, H/8, W/8)."""
        shapes = Shapes.of(self._base)

        def run(part: torch.Tensor) -> torch.Tensor:
            pixels: torch.Tensor = self._vae.decode((part / shapes.scale).to(self._vae.dtype), return_dict=False)[0]
            return pixels.float().cpu()

        area = latents.shape[-1] * latents.shape[-2] * shapes.factor**2
        return self._through("decode", latents, area, run)

    def rehearse(self, size: tuple[int, int], encoded: int, side: int, decoded: int) -> bool:
        """Encode so many pictures of ``size`` (width, height) together and decode as many of ``side`` x ``side`` as
        said; whether there was room to do so at once and with whole pictures."""
        width, height = size
        latent = Shapes.of(self._base).latent(side, side)
        with self.at_work():
            self.encode(torch.zeros(encoded, 3, height, width))
            self.decode(torch.zeros(decoded, *latent, device=self._base.device))
            at_once = self._at_once("encode", width * height) >= encoded and self._at_once("decode", side**2) >= decoded
            return at_once and not (self._vae.use_tiling or self._beside)

    def _through(
        self, what: str, given: torch.Tensor, area: int, run: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        done: list[torch.Tensor] = []
        start = 0
        while start < len(given):
            part = given[start : start + self._at_once(what, area)]
            held, peak = self._gauge.held(), self._gauge.peak()
            try:
                with all_threads():
                    done.append(run(part))
                start += len(part)
                self._tell()
                taken = (self._gauge.peak() - held) / (len(part) * area)
                if self._gauge.peak() <= peak:  # all that is known then is that it was no more
                    taken = min(taken, self._per_pixel.get(what, taken))
                self._per_pixel[what] = taken
                continue
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
            self._lighten(what, len(part))
        return torch.cat(done)

    def _at_once(self, what: str, area: int) -> int:
        if self._around is None:
            return max(_PIXELS_ON_A_PROCESSOR // area, 1)
        most = self._most.get(what, together(area))
        if what not in self._per_pixel:
            return 1
        return max(1, min(most, int(self._room / max(self._per_pixel[what] * area, 1))))

    def _lighten(self, what: str, tried: int) -> None:
        """Do with less than ``tried`` pictures at once took; raises ``torch.OutOfMemoryError`` when all was tried."""
        self._gauge.empty()
        vae = self._vae
        if tried > 1:
            self._most[what] = ceil(tried / 2)
            return
        if not vae.use_tiling:
            vae.enable_tiling()
            vae.tile_sample_min_size = _TILE
            vae.tile_latent_min_size = _TILE // Shapes.of(self._base).factor
            code = "training-notice-vae-tiles"
        elif vae.dtype == torch.float32 and self._base.unet.dtype == torch.bfloat16 and self._halved():
            code = "training-notice-vae-16-bits"
        elif self._leave_it_alone():
            self._arrive()  # what could not be halved is in the host's memory
            return
        else:
            raise torch.OutOfMemoryError("the VAE finds no room for one tile of one picture")
        self._per_pixel.clear()
        self._unsaid = Message(code)

    def _halved(self) -> bool:
        """Have numbers of 16 bits from now on; False where there is no room to make them, and they are as they were."""
        try:
            for name, value in self._vae.named_parameters():
                self._whole[name] = self._gauge.stow(value.data)
                value.data = value.data.to(torch.bfloat16)
            return True
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
        self._make_whole()
        return False

    def _make_whole(self) -> None:
        for name, value in self._whole.items():
            self._vae.get_parameter(name).data = value
        self._whole = {}

    def _arrive(self) -> None:
        """Come to the card; where there is no room even for that, the UNet goes first."""
        while True:
            try:
                self._vae.to(self._base.device)
                return
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
            off_card(self._vae)
            if not self._leave_it_alone():
                raise torch.OutOfMemoryError("the VAE finds no room for itself")

    def _leave_it_alone(self) -> bool:
        """Take the UNet off the card until the work is done, now and from now on; False where that can't be."""
        if self._around is None or self._beside:
            return False
        self._beside = True
        self._stack.enter_context(self._around.aside())
        self._per_pixel.clear()
        self._unsaid = Message("training-notice-vae-alone")
        return True

    def _tell(self) -> None:
        """Say how it goes from now on: the last of what had to be done for it, which went furthest."""
        if self._unsaid is not None and self._around is not None:
            self._around.tell(self._unsaid)
        self._unsaid = None
