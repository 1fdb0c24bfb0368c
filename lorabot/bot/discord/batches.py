"""The files of one interaction belong together, and were sent for something: each upload says so, over restarts too."""

import json
from dataclasses import asdict

from lorabot.bot.commands.requests import Train

_INTERACTION = "interaction-"


def batch_of(interaction: int, train: Train) -> str:
    """The batch of an interaction's files."""
    words = {name: word for name, word in asdict(train).items() if word is not None}
    return f"{_INTERACTION}{interaction}:{json.dumps(words)}"


def train_of(batch: str) -> Train:
    """What the files were sent for, as far as the batch says."""
    if not batch.startswith(_INTERACTION):
        return Train()
    words: dict[str, str] = json.loads(batch.partition(":")[2] or "{}")
    return Train(**words)
