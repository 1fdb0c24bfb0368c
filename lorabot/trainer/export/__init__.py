"""Stage: writes the LoRA as one file that every well-known loader reads, with the words about it in its header."""

from lorabot.trainer.export.file import export, file_bytes, model_hash, rounded
from lorabot.trainer.export.header import Description

__all__ = ["Description", "export", "file_bytes", "model_hash", "rounded"]
