"""The sizes that a base model's parts have, read from diffusers' untyped configurations in one place."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel


@dataclass(frozen=True, slots=True)
class Shapes:
    """A latent's ``channels`` and ``scale``, the pixels per latent side (``factor``), a text state's ``text_width``;
    the UNet's ``levels``."""

    channels: int
    factor: int
    scale: float
    text_width: int
    levels: int

    @property
    def grain(self) -> int:
        """The side in pixels of the UNet's coarsest cell: sides of pictures are multiples of it."""
        return self.factor << (self.levels - 1)

    def latent(self, width: int, height: int) -> tuple[int, int, int]:
        """The shape (C, H, W) of a latent of a picture of this size in pixels."""
        return self.channels, height // self.factor, width // self.factor

    @classmethod
    def of(cls, base: "BaseModel") -> "Shapes":
        unet: Any = base.unet.config
        vae: Any = base.vae.config
        return cls(
            channels=int(unet.in_channels),
            factor=2 ** (len(vae.block_out_channels) - 1),
            scale=float(vae.scaling_factor),
            text_width=int(unet.cross_attention_dim),
            levels=len(unet.block_out_channels),
        )
