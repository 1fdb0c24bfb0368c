"""The sizes that a base model's parts have, read from diffusers' untyped configurations in one place."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel


@dataclass(frozen=True, slots=True)
class Shapes:
    """A latent's ``channels`` and ``scale``, the pixels per latent side (``factor``), a text state's ``text_width``."""

    channels: int
    factor: int
    scale: float
    text_width: int

    @classmethod
    def of(cls, base: "BaseModel") -> "Shapes":
        unet: Any = base.unet.config
        vae: Any = base.vae.config
        return cls(
            channels=int(unet.in_channels),
            factor=2 ** (len(vae.block_out_channels) - 1),
            scale=float(vae.scaling_factor),
            text_width=int(unet.cross_attention_dim),
        )
