"""Memory: how much of it a training takes, what to do when it runs out, and how both are known.

Nobody chooses a batch size. The ladder's rungs: fewer rows at once with the same sum, activations computed twice, the
frozen weights off the card.
"""

from lorabot.trainer.memory.choosing import (
    DoesNotFit,
    Fitted,
    Measure,
    Measured,
    Room,
    on_card,
    on_processor,
)
from lorabot.trainer.memory.crawling import Crawl
from lorabot.trainer.memory.fitting import Fitting, even, smaller
from lorabot.trainer.memory.gauge import Gauge, gauge_of
from lorabot.trainer.memory.pinning import Pinning
from lorabot.trainer.memory.remembering import Remembered
from lorabot.trainer.memory.shortage import ran_out_of_memory
from lorabot.trainer.memory.streaming import Remembering, away, bring_back, take_off

__all__ = [
    "Crawl",
    "DoesNotFit",
    "Fitted",
    "Fitting",
    "Gauge",
    "Measure",
    "Measured",
    "Pinning",
    "Remembered",
    "Remembering",
    "Room",
    "away",
    "bring_back",
    "even",
    "gauge_of",
    "on_card",
    "on_processor",
    "ran_out_of_memory",
    "smaller",
    "take_off",
]
