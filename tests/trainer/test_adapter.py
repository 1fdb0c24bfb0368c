"""What each option of the adapter changes about the weights it makes."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lorabot.presets import Layers
from lorabot.trainer import adapter
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import denoiser, plain
from tests.trainer.conftest import tiny_recipe
from tests.trainer.lessons import SEED, learn, make_setup, smallest_base
from tests.trainer.small_bases import TEXT_WIDTH
from tests.trainer.test_planning import codes, make

MODULES = {"unet": smallest_base().unet}
UNET = smallest_base().unet


def inputs() -> tuple[torch.Tensor, torch.Tensor, Conditions]:
    chance = torch.Generator().manual_seed(2)
    noisy = torch.randn(2, 4, 8, 8, generator=chance)
    return noisy, torch.tensor([100, 800]), Conditions(torch.randn(2, 77, TEXT_WIDTH, generator=chance))


def stir() -> None:
    """Give the adapter weights that do something."""
    chance = torch.Generator().manual_seed(3)
    for _, parameter in adapter.parameters(MODULES):
        parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=chance))


def predicted(**recipe: Any) -> torch.Tensor:
    with adapter.attached(MODULES, tiny_recipe(**recipe), SEED), torch.no_grad():
        stir()
        return plain(UNET, "fp32")(*inputs())


@pytest.mark.parametrize(
    ("layers", "some", "none"),
    [
        ("attention", ("attn1.to_q", "attn2.to_out.0"), ("ff.", "proj_in", "conv1")),
        ("linear", ("attn1.to_q", "ff.net.0.proj", "ff.net.2", "proj_in"), ("conv1", "conv_shortcut")),
        ("all", ("attn1.to_q", "ff.net.2", "conv1", "conv2", "conv_shortcut"), ("conv_in", "time_emb")),
    ],
)
def test_layers_get_a_lora_as_the_recipe_says(layers: Layers, some: tuple[str, ...], none: tuple[str, ...]) -> None:
    with adapter.attached(MODULES, tiny_recipe(layers=layers), SEED):
        names = [name for name, _ in adapter.parameters(MODULES)]
        assert all(parameter.dtype == torch.float32 for _, parameter in adapter.parameters(MODULES))
    assert all(any(part in name for name in names) for part in some)
    assert not any(part in name for name in names for part in none)
    assert not adapter.parameters(MODULES)


def test_a_text_encoder_carries_an_adapter_under_its_own_name() -> None:
    encoder = smallest_base().towers[0].encoder
    modules = {**MODULES, "te1": encoder}
    with adapter.attached(modules, tiny_recipe(layers="attention"), SEED):
        names = {name.split(".")[0] for name, _ in adapter.parameters(modules)}
        te = [name for name, _ in adapter.parameters(modules) if name.startswith("te1.")]
    assert names == {"unet", "te1"}
    assert {part for name in te for part in ("q_proj", "k_proj", "v_proj", "out_proj") if part in name} == {
        "q_proj", "k_proj", "v_proj", "out_proj",
    }  # fmt: skip
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_a_rank_stabilised_lora_is_a_plain_one_with_the_effective_alpha() -> None:
    stabilised = tiny_recipe(rank=4, alpha=6.0, rank_stabilised=True)
    assert adapter.effective_alpha(stabilised) == 6.0 * math.sqrt(4)
    assert adapter.effective_alpha(tiny_recipe(rank=4, alpha=6.0)) == 6.0
    torch.testing.assert_close(
        predicted(rank=4, alpha=6.0, rank_stabilised=True), predicted(rank=4, alpha=adapter.effective_alpha(stabilised))
    )
    assert not torch.allclose(predicted(rank=4, alpha=6.0, rank_stabilised=True), predicted(rank=4, alpha=6.0))
    made = make(rank=4, alpha=6.0, rank_stabilised=True)
    assert made.alpha == 12.0, "what a file says"


def test_dora_learns_lengths_beside_directions(tmp_path: Path) -> None:
    assert not torch.allclose(predicted(dora=True), predicted())
    lesson = learn(make_setup(dora=True, unet_lr=0.01), tmp_path)
    lengths = {name: value for name, value in lesson.weights.items() if ".lora_magnitude_vector." in name}
    before = lesson.saved(1).adapter
    assert lengths
    assert all(not torch.equal(value, before[name]) for name, value in lengths.items())
    assert learn(lesson.setup, tmp_path / "again", lesson.saved(2)).course.losses == lesson.course.losses


@pytest.mark.parametrize("options", [{"dora": True}, {"rank_stabilised": True}])
def test_folded_into_the_weights_it_predicts_and_learns_the_same(options: dict[str, bool]) -> None:
    given = inputs()
    with adapter.attached(MODULES, tiny_recipe(layers="all", **options), SEED):
        stir()
        parameters = [parameter for _, parameter in adapter.parameters(MODULES)]
        expected = plain(UNET, "fp32")(*given)
        wanted = torch.autograd.grad(expected.square().mean(), parameters)
        with denoiser(UNET, "fp32") as denoise:
            folded = denoise(*given)
            found = torch.autograd.grad(folded.square().mean(), parameters)
    torch.testing.assert_close(folded, expected, rtol=1e-4, atol=1e-5)
    for one, other in zip(found, wanted, strict=True):
        assert torch.linalg.vector_norm(one - other) <= 1e-4 * torch.linalg.vector_norm(other) + 1e-8


def test_dropout_leaves_out_by_seed_and_step_in_training_alone(tmp_path: Path) -> None:
    given = inputs()
    with adapter.attached(MODULES, tiny_recipe(dropout=0.5), SEED), torch.no_grad():
        stir()
        with denoiser(UNET, "fp32", plainly="dropout") as denoise:

            def at(seed: int, step: int) -> torch.Tensor:
                with adapter.dropping_out(MODULES, seed, step):
                    return denoise(*given)

            torch.manual_seed(0)
            first, again, later, other = at(1, 5), at(1, 5), at(1, 6), at(2, 5)
            assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(0)))
            whole = denoise(*given)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, other)
    torch.testing.assert_close(whole, predicted())
    assert not torch.allclose(first, whole)
    lesson = learn(make_setup(dropout=0.5), tmp_path)
    assert lesson.course.losses[1:] != learn(make_setup(), tmp_path / "without", saving=False).course.losses[1:]
    assert learn(lesson.setup, tmp_path / "again", lesson.saved(2)).course.losses == lesson.course.losses


def test_the_plan_says_which_options_are_used_and_that_dropout_is_slow_on_a_processor() -> None:
    made = make(rank_stabilised=True, dora=True, dropout=0.1, lora_plus=4.0, loss="huber", timestep_bias="style")
    assert {
        "plan-rank-stabilised", "plan-dora", "plan-dropout", "plan-dropout-plain", "plan-lora-plus", "plan-loss-huber",
        "plan-timesteps-style",
    } <= set(codes(made))  # fmt: skip
    assert len(codes(make())) == len(codes(made)) - 7
