"""Weights that lie in the host's memory: the same numbers, and the card's memory free of them."""

import pytest
import torch

from lorabot.trainer import adapter
from lorabot.trainer.adapter import belongs_to_adapter
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import plain
from lorabot.trainer.memory import away, bring_back, take_off
from tests.trainer.conftest import tiny_recipe
from tests.trainer.lessons import smallest_base
from tests.trainer.memory.simulated_card import SimulatedCard
from tests.trainer.small_bases import TEXT_WIDTH


@pytest.mark.parametrize("dora", [False, True])
def test_gradients_are_to_the_last_bit_those_of_weights_on_the_card(dora: bool) -> None:
    unet = smallest_base().unet
    weights = {name: value.clone() for name, value in unet.state_dict().items()}
    chance = torch.Generator().manual_seed(0)
    noisy = torch.randn(2, 4, 8, 8, generator=chance)
    conditions = Conditions(torch.randn(2, 77, TEXT_WIDTH, generator=chance))
    card = SimulatedCard()
    card.bring(unet)
    lying = card.held()

    def gradients() -> list[torch.Tensor]:
        plain(unet, "fp32")(noisy, torch.tensor([1, 2]), conditions).square().mean().backward()  # type: ignore[no-untyped-call]
        found = [parameter.grad for _, parameter in adapter.parameters({"unet": unet})]
        unet.zero_grad(set_to_none=True)
        return [gradient for gradient in found if gradient is not None]

    with adapter.attached({"unet": unet}, tiny_recipe(layers="all", dora=dora), 7):
        before = gradients()
        remembering = take_off(unet, belongs_to_adapter, card)
        assert card.held() < 0.1 * lying
        with remembering():
            inside = gradients()
        bring_back(unet, card)
        after = gradients()
    assert len(before) == len(inside) > 0
    assert all(torch.equal(one, other) for one, other in zip(before, inside, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert all(torch.equal(value, weights[name]) for name, value in unet.state_dict().items())
    assert not any(parameter.requires_grad for parameter in unet.parameters())


def test_where_the_host_has_too_little_page_locked_memory_ordinary_memory_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two weights of 64 x 64 can be locked, and nothing more."""
    unet, card = smallest_base().unet, SimulatedCard(pinnable=2 * 64 * 64 * 4)
    card.bring(unet)
    given = torch.randn(1, 4, 8, 8), torch.tensor([5]), Conditions(torch.randn(1, 77, TEXT_WIDTH))
    with torch.no_grad(), card, caplog.at_level("WARNING"):
        expected, lying = plain(unet, "fp32")(*given), card.held()
        take_off(unet, belongs_to_adapter, card)
        assert card.pinnable < 2 * 64 * 64 * 4
        assert card.held() < 0.1 * lying
        assert torch.equal(plain(unet, "fp32")(*given), expected)
        bring_back(unet, card)
        assert torch.equal(plain(unet, "fp32")(*given), expected)
    assert [record.message for record in caplog.records] == [
        "the host has no more page-locked memory; from ordinary memory it takes longer to the card"
    ]


def test_what_cannot_come_back_whole_stays_as_it_is_and_predicts_the_same() -> None:
    unet, card = smallest_base().unet, SimulatedCard()
    card.bring(unet)
    given = torch.randn(1, 4, 8, 8), torch.tensor([5]), Conditions(torch.randn(1, 77, TEXT_WIDTH))
    with torch.no_grad(), card:
        expected, lying = plain(unet, "fp32")(*given), card.held()
        take_off(unet, belongs_to_adapter, card)
        card.budget = card.held() + lying // 2
        with pytest.raises(torch.OutOfMemoryError):
            bring_back(unet, card)
        off, held = away(unet), card.held()
        card.budget = 1 << 40
        assert torch.equal(plain(unet, "fp32")(*given), expected)
        take_off(unet, belongs_to_adapter, card)
        assert (off, held) == (away(unet), card.held())
        bring_back(unet, card)
        assert away(unet) == 0
        assert torch.equal(plain(unet, "fp32")(*given), expected)
        assert card.held() == pytest.approx(lying, rel=0.05)


def test_a_pass_that_fails_leaves_nothing_on_the_card() -> None:
    unet, card = smallest_base().unet, SimulatedCard()
    card.bring(unet)
    with card, adapter.attached({"unet": unet}, tiny_recipe(), 7):
        remembering = take_off(unet, belongs_to_adapter, card)
        noisy, states = torch.randn(2, 4, 8, 8), torch.randn(2, 77, TEXT_WIDTH)
        held = card.held()

        def fail() -> None:
            with remembering():
                predicted = plain(unet, "fp32")(noisy, torch.tensor([1, 2]), Conditions(states))
                card.budget = card.held() + 1000
                predicted.square().mean().backward()  # type: ignore[no-untyped-call]

        with pytest.raises(torch.OutOfMemoryError):
            fail()
        card.empty()
        unet.zero_grad(set_to_none=True)
        assert card.held() == held
        card.budget = 1 << 40
        bring_back(unet, card)
