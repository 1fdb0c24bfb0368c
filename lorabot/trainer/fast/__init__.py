"""A fast way through the UNet on a card: forward and backward by hand over frozen weights, with the adapter folded in.

``entrance`` is the way in; what can't go through here goes through diffusers and peft, by which all this is measured.
"""

from lorabot.trainer.fast.cudnn_attention import front_end
from lorabot.trainer.fast.entrance import Traced, Tried, Warm, enter, kind_of
from lorabot.trainer.fast.unsupported import Unsupported, Why

__all__ = ["Traced", "Tried", "Unsupported", "Warm", "Why", "enter", "front_end", "kind_of"]
