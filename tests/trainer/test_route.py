"""What a route lets go of, and when."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
import torch

from lorabot.trainer import adapter
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import Denoiser, denoiser, plain
from lorabot.trainer.fast import Warm
from lorabot.trainer.fast.entrance import lay_out
from lorabot.trainer.fast.reference import Reference
from lorabot.trainer.memory import Fitting, away, gauge_of
from lorabot.trainer.route import route
from tests.trainer.conftest import tiny_recipe
from tests.trainer.lessons import smallest_base
from tests.trainer.memory.simulated_card import SimulatedCard
from tests.trainer.small_bases import TEXT_WIDTH


def test_what_is_kept_for_the_next_job_goes_only_where_another_way_is_taken() -> None:
    unet, told = smallest_base().unet, list[str]()

    @contextmanager
    def opener(checkpointing: bool, offloading: bool) -> Iterator[Denoiser]:
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


def test_weights_that_find_no_room_on_the_host_leave_the_way_as_it_was() -> None:
    class Small(SimulatedCard):  # type: ignore[no-untyped-call]
        """Beside a host with room for one weight."""

        def stow(self, tensor: torch.Tensor) -> torch.Tensor:
            if away(unet):
                raise MemoryError
            return super().stow(tensor)

    unet, given = smallest_base().unet, (torch.randn(1, 4, 8, 8), torch.tensor([5]))
    conditions = Conditions(torch.randn(1, 77, TEXT_WIDTH))
    with torch.no_grad(), route(unet, Small(), lambda *_: nullcontext(plain(unet, "fp32"))) as made:
        made.choose(Fitting(1))
        expected = made(*given, conditions)
        with pytest.raises(MemoryError), made.aside():
            raise AssertionError("there was room")
        assert torch.equal(made(*given, conditions), expected)
        assert not away(unet)


def test_a_way_that_is_opened_anew_while_the_adapter_is_off_is_still_the_fast_one() -> None:
    unet, ways = smallest_base().unet, list[str]()
    warm, modules = Warm(Reference), {"unet": unet}
    given = torch.randn(2, 4, 8, 8), torch.tensor([5, 500]), Conditions(torch.randn(2, 77, TEXT_WIDTH))

    def opener(checkpointing: bool, offloading: bool) -> AbstractContextManager[Denoiser]:
        return denoiser(unet, "fp32", checkpointing, card=True, warm=warm, say=lambda way: ways.append(way.code))

    with (
        adapter.attached(modules, tiny_recipe(layers="attention"), 1),
        route(unet, SimulatedCard(), opener, warm) as made,
    ):
        made.choose(Fitting(2))
        expected = made(*given)
        with adapter.switched_off(modules), torch.no_grad(), made.aside():
            pass  # as where the VAE decodes the base's own samples, and the card has no room for both
        again = made(*given)
        assert ways == ["plan-fast", "plan-fast"]
        assert again.requires_grad
        assert torch.equal(again, expected)
