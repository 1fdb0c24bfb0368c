"""What a route lets go of, and when."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lorabot.trainer.denoising import Denoiser, plain
from lorabot.trainer.fast import Warm
from lorabot.trainer.fast.entrance import lay_out
from lorabot.trainer.fast.reference import Reference
from lorabot.trainer.memory import Fitting, gauge_of
from lorabot.trainer.route import route
from tests.trainer.lessons import smallest_base


def test_what_is_kept_for_the_next_job_goes_only_where_another_way_is_taken() -> None:
    unet, told = smallest_base().unet, list[str]()

    @contextmanager
    def opener(checkpointing: bool) -> Iterator[Denoiser]:
        told.append(f"open {checkpointing}")
        yield plain(unet, "fp32")
        told.append("shut")

    warm = Warm(Reference)
    warm.kept[()] = lay_out(unet, Reference())
    with route(unet, gauge_of(torch.device("cpu")), opener, warm) as made:
        assert not made.is_open
        made.choose(Fitting(2))
        made.choose(Fitting(1))
        assert made.is_open
        assert told == ["open False"], "a fresh route takes up what is kept; a smaller batch goes the same way"
        assert warm.kept
        made.choose(Fitting(1, checkpointing=True))
        assert told[1:] == ["shut", "open True"]
        assert not warm.kept
    assert told[3:] == ["shut"]
