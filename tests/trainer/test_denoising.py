"""Whatever way is taken through UNet and adapter, the noise and the gradients are those of diffusers and peft."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from lorabot.trainer import adapter
from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.bases import BaseModel
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import denoiser, plain, why_plain
from lorabot.trainer.fast import Warm
from lorabot.trainer.fast.primitives import Primitives
from lorabot.trainer.fast.reference import Reference
from lorabot.trainer.models import Models
from tests.trainer import small_bases
from tests.trainer.conftest import tiny_recipe

Inputs = tuple[torch.Tensor, torch.Tensor, Conditions]


@pytest.fixture(params=["attention", "all"])
def base(models: Models, request: pytest.FixtureRequest) -> Iterator[BaseModel]:
    """The demo base with an adapter that does something."""
    base = models.base()
    with adapter.attached({"unet": base.unet}, tiny_recipe(layers=request.param), 1):
        chance = torch.Generator().manual_seed(2)
        for _, parameter in adapter.parameters({"unet": base.unet}):
            parameter.data.normal_(std=0.05, generator=chance)
        yield base


def inputs(batch: int, side: int) -> Inputs:
    chance = torch.Generator().manual_seed(batch)
    noisy = torch.randn(batch, 4, side, side, generator=chance)
    timesteps = torch.randint(1000, (batch,), generator=chance)
    return noisy, timesteps, Conditions(torch.randn(batch, 77, 96, generator=chance))


@pytest.mark.parametrize(
    ("batch", "side", "texts_learn"), [(1, 8, False), (2, 8, False), (3, 8, True), (4, 16, False), (5, 12, False)]
)
def test_the_fast_way_predicts_and_learns_what_the_plain_one_does(
    base: BaseModel, batch: int, side: int, texts_learn: bool
) -> None:
    given = inputs(batch, side)
    parameters = [parameter for _, parameter in adapter.parameters({"unet": base.unet})]
    learning = [*parameters, given[2].states.requires_grad_(texts_learn)] if texts_learn else parameters
    expected = plain(base.unet, "fp32")(*given)
    wanted = torch.autograd.grad(expected.square().mean(), learning)
    with denoiser(base.unet, "fp32") as denoise:
        predicted = denoise(*given)
        found = torch.autograd.grad(predicted.square().mean(), learning)
    torch.testing.assert_close(predicted, expected, rtol=1e-4, atol=1e-5)
    for one, other in zip(found, wanted, strict=True):
        assert torch.linalg.vector_norm(one - other) <= 1e-4 * torch.linalg.vector_norm(other)


@torch.no_grad()
def test_a_base_without_an_adapter_goes_the_fast_way_too(models: Models) -> None:
    unet, given = models.base().unet, inputs(2, 8)
    with denoiser(unet, "fp32") as denoise:
        torch.testing.assert_close(denoise(*given), plain(unet, "fp32")(*given), rtol=1e-4, atol=1e-5)


def test_the_adapter_counts_as_it_is_at_the_moment_and_not_at_all_when_switched_off(base: BaseModel) -> None:
    given = inputs(2, 8)
    with denoiser(base.unet, "fp32") as denoise, torch.no_grad():
        first = denoise(*given)
        with adapter.switched_off({"unet": base.unet}):
            without = denoise(*given)
            torch.testing.assert_close(without, plain(base.unet, "fp32")(*given), rtol=1e-4, atol=1e-5)
        modules = {"unet": base.unet}
        adapter.write(modules, {name: value / 2 for name, value in adapter.read(modules).items()})
        half = denoise(*given)
        torch.testing.assert_close(half, plain(base.unet, "fp32")(*given), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(first, without, atol=1e-3)
    assert not torch.allclose(first, half, atol=1e-3)


def test_the_same_inputs_give_the_same_digits_every_time(base: BaseModel) -> None:
    given = inputs(4, 8)
    parameters = [parameter for _, parameter in adapter.parameters({"unet": base.unet})]
    with denoiser(base.unet, "fp32") as denoise:
        found = [torch.autograd.grad(denoise(*given).square().mean(), parameters) for _ in range(5)]
    for again in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], again, strict=True))


@pytest.mark.parametrize(("wanted", "why"), [({"offloading": True}, "offloading"), ({"plainly": "dropout"}, "dropout")])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_what_the_fast_way_cant_do_goes_the_plain_one(
    base: BaseModel, wanted: dict[str, Any], why: str, checkpointing: bool
) -> None:
    said, warm = list[str](), Warm(Reference)
    with denoiser(
        base.unet, "fp32", checkpointing, warm=warm, say=lambda each: said.append(each.code), **wanted
    ) as denoise:
        assert torch.equal(denoise(*inputs(2, 8)), plain(base.unet, "fp32")(*inputs(2, 8)))
        assert bool(base.unet.is_gradient_checkpointing) == checkpointing
    assert said == [f"plan-plain-{why}"]
    assert not base.unet.is_gradient_checkpointing


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        ({}, None),
        ({"text_encoder_lr": 1e-4}, None),
        ({"dropout": 0.1}, "dropout"),
    ],
)
def test_what_of_a_recipe_only_the_plain_way_can_do_is_known_beforehand(
    recipe: dict[str, float], why: str | None
) -> None:
    assert why_plain(tiny_recipe(**{"text_encoder_lr": 0, **recipe})) == why


def test_a_card_with_no_room_to_lay_weights_out_is_gone_through_the_plain_way(base: BaseModel) -> None:
    def full() -> Primitives:
        raise torch.OutOfMemoryError

    said = list[str]()
    with denoiser(base.unet, "fp32", True, warm=Warm(full), say=lambda each: said.append(each.code)) as denoise:
        assert torch.equal(denoise(*inputs(2, 8)), plain(base.unet, "fp32")(*inputs(2, 8)))
    assert said == ["plan-plain-memory"]
    with pytest.raises(torch.OutOfMemoryError), denoiser(base.unet, "fp32", warm=Warm(full)):
        raise AssertionError("there is another rung before the plain way")


def test_nothing_is_left_on_the_network_and_torch_has_its_threads_back(base: BaseModel) -> None:
    threads = torch.get_num_threads()
    with denoiser(base.unet, "fp32") as denoise:
        denoise(*inputs(2, 8))
    assert torch.get_num_threads() == threads
    assert not [module for module in base.unet.modules() if "forward" in vars(module)]


def test_the_vae_has_all_threads_while_lanes_have_them(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, seen = torch.get_num_threads(), list[int]()
    assert threads > 1
    vae: Any = base.vae
    decode = vae.decode

    def looked(*given: Any, **more: Any) -> Any:
        seen.append(torch.get_num_threads())
        return decode(*given, **more)

    monkeypatch.setattr(vae, "decode", looked)
    with denoiser(base.unet, "fp32"):
        assert torch.get_num_threads() == 1
        Autoencoder(base).decode(torch.zeros(5, 4, 16, 16))
        assert torch.get_num_threads() == 1
    assert seen == [threads] * 2, "four pictures, and the fifth"


def test_the_next_adapter_on_the_same_layers_records_nothing_and_counts_for_itself(models: Models) -> None:
    unet, given, warm = models.base().unet, inputs(2, 8), Warm()
    found, recorded = [], []
    for seed in (1, 2):
        with adapter.attached({"unet": unet}, tiny_recipe(rank=2 * seed), seed):
            for _, parameter in adapter.parameters({"unet": unet}):
                parameter.data.normal_(std=0.05)
            with denoiser(unet, "fp32", warm=warm) as denoise:
                found.append(denoise(*given).detach())
                torch.testing.assert_close(found[-1], plain(unet, "fp32")(*given), rtol=1e-4, atol=1e-5)
        recorded.append(list(warm.traced.values()))
    assert recorded[0] == recorded[1]
    assert not torch.allclose(found[0], found[1], atol=1e-3)


def test_what_was_recorded_and_its_network_are_gone_when_nobody_has_them() -> None:
    unet, warm = small_bases.base_model("sd15").unet, Warm()
    given = (torch.randn(1, 4, 8, 8), torch.tensor([5]), Conditions(torch.randn(1, 77, small_bases.TEXT_WIDTH)))
    with torch.no_grad(), denoiser(unet, "fp32", warm=warm) as denoise:
        denoise(*given)
    weight = weakref.ref(unet.conv_in.weight)
    del unet, denoise, warm
    gc.collect()
    assert weight() is None
