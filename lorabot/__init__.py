"""lorabot trains image LoRAs from a chat."""

__version__ = "0.1.0"
