"""Every Triton kernel, run by Triton's interpreter on the CPU, does what plain torch does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from peft import LoraConfig, inject_adapter_in_model

from lorabot.presets import RealFamily
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.fast.compiled import Compiled
from lorabot.trainer.fast.entrance import lay_out, prepare
from lorabot.trainer.fast.primitives import GroupNorm, LayerNorm
from lorabot.trainer.fast.reference import Reference
from tests.trainer.published import UNETS

COMPILED, REFERENCE = Compiled(), Reference()
BATCH = 2


def some(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def alike(mine: torch.Tensor, theirs: torch.Tensor) -> None:
    """Equal but for rounding to their type."""
    assert mine.dtype == theirs.dtype
    assert mine.shape == theirs.shape
    most = 1e-5 if theirs.dtype == torch.float32 else 8e-3  # the interpreter cuts digits off, where a card rounds
    wide = theirs.double()
    assert torch.linalg.vector_norm(mine.double() - wide) <= most * torch.linalg.vector_norm(wide)


def group_norm(channels: int, groups: int) -> GroupNorm:
    return GroupNorm(1 + 0.3 * some(channels, seed=1), some(channels, seed=2), groups, 1e-5)


@pytest.mark.parametrize(
    ("size", "widths", "groups", "dtype"),
    [
        (300, (70, 20), 6, torch.float32),  # a whole tile and a cut one, both ways; a group across two sources
        (320, (64,), 4, torch.float32),
        (257, (12,), 3, torch.bfloat16),
        (1100, (8,), 2, torch.float32),  # by programs for large maps
        (70, (70, 20), 6, torch.float32),
        (60, (1220, 70), 6, torch.float32),  # a group of a small map at once, across two sources too
        (64, (1280,), 32, torch.float32),
        (7, (1290,), 30, torch.bfloat16),
    ],
)
def test_a_group_norm_goes_both_ways_as_in_torch(
    size: int, widths: tuple[int, ...], groups: int, dtype: torch.dtype
) -> None:
    """Also against torch's own autograd, in double precision."""
    norm, every = group_norm(sum(widths), groups), sum(widths)
    rows = [some(BATCH * size, width, dtype=dtype, seed=10) for width in widths]
    shift = some(BATCH, every, seed=3) if len(widths) == 1 else None
    gradient = some(BATCH * size, every, dtype=dtype, seed=4)
    more = [tuple(some(BATCH * size, width, dtype=dtype, seed=n) for n in range(len(widths))) for width in widths]

    maps = [each.double().view(BATCH, size, -1).mT.requires_grad_() for each in rows]
    given = torch.cat(maps, dim=1) + (0 if shift is None else shift.double()[..., None])
    expected = torch.nn.functional.silu(
        torch.nn.functional.group_norm(given, groups, norm.weight.double(), norm.bias.double(), norm.eps)
    )
    wanted = torch.autograd.grad(expected, maps, gradient.double().view(BATCH, size, -1).mT)
    for ops in (REFERENCE, COMPILED):
        out, factors = ops.group_norm([(each, None) for each in rows], BATCH, shift, norm, silu=True)
        alike(out, expected.detach().mT.flatten(0, 1).to(dtype))
        alike(ops.normalise(rows, factors, norm, silu=True), out)
        found = ops.normalise_back(rows, factors, norm, True, gradient, more)
        for mine, theirs, others in zip(found, wanted, more, strict=True):
            alike(mine, (theirs.mT.flatten(0, 1) + torch.stack(others).sum(dim=0)).to(dtype))


def test_a_mean_that_is_large_against_the_spread_costs_no_digits() -> None:
    norm = group_norm(8, 2)
    rows = 100 + some(BATCH * 70, 8)
    wide = rows.double().view(BATCH, 70, 8).mT
    expected = torch.nn.functional.group_norm(wide, 2, norm.weight.double(), norm.bias.double(), norm.eps)
    for ops in (REFERENCE, COMPILED):
        out, _ = ops.group_norm([(rows, None)], BATCH, None, norm, silu=False)
        assert (out.double() - expected.mT.flatten(0, 1)).abs().max() < 1e-4


@pytest.mark.parametrize(("size", "channels", "dtype"), [(320, 64, torch.bfloat16), (290, 70, torch.float32)])
def test_a_sum_comes_with_its_statistics(size: int, channels: int, dtype: torch.dtype) -> None:
    rows, other = (some(BATCH * size, channels, dtype=dtype, seed=n) for n in (1, 2))
    bias, norm = some(channels, seed=3), group_norm(channels, 2)
    for given in ((other, bias), (None, bias), (other, None)):
        total, stats = COMPILED.add(rows, given[0], given[1], BATCH)
        expected, theirs = REFERENCE.add(rows, given[0], given[1], BATCH)
        alike(total, expected)
        found = [
            COMPILED.group_norm([(total, stats)], BATCH, None, norm, silu=False)[1],
            REFERENCE.group_norm([(total, theirs)], BATCH, None, norm, silu=False)[1],
        ]
        torch.testing.assert_close(found[0].slope, found[1].slope, rtol=2e-3, atol=2e-3)
        torch.testing.assert_close(found[0].offset, found[1].offset, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("count", "channels", "dtype"), [(6, 32, torch.bfloat16), (37, 70, torch.float32), (5, 80, torch.float32)]
)
def test_a_layer_norm_goes_both_ways_as_in_torch(count: int, channels: int, dtype: torch.dtype) -> None:
    norm = LayerNorm(1 + 0.3 * some(channels, seed=1), some(channels, seed=2), 1e-5)
    rows, other, gradient, more = (some(count, channels, dtype=dtype, seed=n) for n in range(4))
    for given in ((None, None), (other, some(channels, seed=9))):
        mine, theirs = (ops.layer_norm(rows, given[0], given[1], norm) for ops in (COMPILED, REFERENCE))
        alike(mine[0], theirs[0])
        alike(mine[1], theirs[1])
    wide = rows.double().requires_grad_()
    expected = torch.nn.functional.layer_norm(wide, (channels,), norm.weight.double(), norm.bias.double(), norm.eps)
    (wanted,) = torch.autograd.grad(expected, wide, gradient.double())
    for ops in (REFERENCE, COMPILED):
        alike(ops.layer_norm_back(rows, norm, gradient, more), (wanted + more).to(dtype))


@pytest.mark.parametrize(("tokens", "keys", "size"), [(150, 77, 40), (64, 20, 8), (70, 80, 64), (20, 81, 8)])
def test_texts_are_heard_both_ways_as_in_torch(tokens: int, keys: int, size: int) -> None:
    """Keys and values lie among those of other layers; more keys than a program takes go another way.

    In float32 alone: of bfloat16 the interpreter multiplies the bits. On a card the trial compares the whole network.
    """
    heads = 3
    query, gradient = (some(BATCH * tokens, heads * size, seed=n) for n in (1, 2))
    texts = some(BATCH, keys, 4 * heads * size, seed=3)
    key, value = texts[..., heads * size : 2 * heads * size], texts[..., 2 * heads * size : 3 * heads * size]
    given = [each.view(BATCH, -1, heads, size).transpose(1, 2) for each in (query, key, value, gradient)]
    first, second, third = (each.double().requires_grad_() for each in given[:3])
    expected = torch.nn.functional.scaled_dot_product_attention(first, second, third)
    wanted = torch.autograd.grad(expected, (first, second, third), given[3].double())
    for ops in (REFERENCE, COMPILED):
        heard = ops.hear(*given[:3])
        alike(heard.out, expected.detach().float())
        for mine, theirs in zip(heard.back(given[3]), wanted, strict=True):
            alike(mine, theirs.float())


@pytest.mark.parametrize(("count", "channels", "dtype"), [(16, 128, torch.bfloat16), (19, 70, torch.float32)])
def test_a_gated_layer_goes_both_ways_as_in_torch(count: int, channels: int, dtype: torch.dtype) -> None:
    rows, bias = some(count, 2 * channels, dtype=dtype), some(2 * channels)
    gradient = some(count, channels, dtype=dtype, seed=5)
    wide = rows.double().requires_grad_()
    value, gate = (wide + bias).chunk(2, dim=1)
    expected = value * torch.nn.functional.gelu(gate)
    (wanted,) = torch.autograd.grad(expected, wide, gradient.double())
    for ops in (REFERENCE, COMPILED):
        alike(ops.geglu(rows, bias), expected.detach().to(dtype))
        sides, again = ops.geglu_back(rows, bias, gradient, True)
        alike(sides, wanted.to(dtype))
        assert again is not None
        alike(again, expected.detach().to(dtype))
        assert ops.geglu_back(rows, bias, gradient, False)[1] is None


@pytest.mark.parametrize("rank", [1, 20])
def test_an_adapter_is_folded_in_as_in_torch(rank: int) -> None:
    base, down, up = some(2, 70, 40), some(2, rank, 40), some(2, 70, rank)
    scale = torch.tensor(0.7)
    expected = base + 0.7 * up @ down
    for ops in (REFERENCE, COMPILED):
        folded = torch.empty_like(base)
        ops.fold(base, down, up, scale, folded)
        alike(folded, expected)


def test_a_change_below_the_last_digit_of_bfloat16_counts_on_average_and_none_changes_nothing() -> None:
    base = 0.05 * (1 + some(1, 512, 64).abs()).bfloat16()
    up, down, scale = torch.ones(1, 512, 4), some(1, 4, 64), torch.tensor(1e-5)
    change = scale * up @ down
    assert torch.equal((base + change).bfloat16(), base), "all lost when rounded to the nearest"
    found = []
    for ops in (REFERENCE, COMPILED):
        folded = torch.empty_like(base)
        ops.fold(base, down, up, scale, folded)
        # Over 512 rows with the same change, what came of it is that change.
        mean = (folded.double() - base.double()).mean(dim=1)
        assert torch.linalg.vector_norm(mean - change[:, 0]) < 0.2 * torch.linalg.vector_norm(change[:, 0].double())
        ops.fold(base, down, up, torch.tensor(0.0), folded)
        assert torch.equal(folded, base)
        ops.fold(base, down, up, scale, folded)
        found.append(folded)
        bases, downs, ups = (each.expand(3, -1, -1).contiguous() for each in (base, down, up))
        for part in (slice(0, 1), slice(1, 3)):
            alone = torch.empty_like(bases[part])
            ops.fold(bases[part], downs[part], ups[part], scale, alone)
            assert all(torch.equal(each, folded[0]) for each in alone), "a layer's weight doesn't depend on the others"
    assert float((found[0] != found[1]).float().mean()) < 1e-3, "both round by the same pattern"


class Asked(Compiled):
    """Notes which kernels would be compiled, instead of running any."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: set[tuple[object, ...]] = set()

    def prepare(self, act: Callable[[], object]) -> Callable[[], None]:
        act()
        return lambda: None

    def _go(self, kernel: Any, grid: tuple[int, ...], *given: object, **constants: object) -> None:
        general = kernel.kwargs["do_not_specialize"] or ()
        numbers = [
            (name, value == 1, value % 16 == 0)
            for name, value in zip(kernel.arg_names, given, strict=False)
            if isinstance(value, int) and name not in general
        ]
        self.kernels.add((kernel.__name__, *numbers, *constants.items()))


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_pictures_of_other_sizes_and_batches_need_no_other_kernels(family: RealFamily) -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNETS[family]).to(torch.bfloat16).requires_grad_(False)
        layers = LoraConfig(r=8, lora_alpha=8, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
        inject_adapter_in_model(layers, unet)
    asked = Asked()
    passes = lay_out(unet, asked)
    prepare(unet, passes.network)
    first = set(asked.kernels)
    for batch, height, width in ((1, 64, 64), (4, 72, 56), (3, 88, 40), (1, 24, 40), (2, 128, 128)):
        with torch.device("meta"):
            noisy, timesteps = torch.zeros(batch, 4, height, width), torch.zeros(batch, dtype=torch.int64)
            conditions = Conditions(torch.zeros(batch, 77, UNETS[family]["cross_attention_dim"]))
            if family == "sdxl":
                conditions = replace(conditions, pooled=torch.zeros(batch, 1280), sizes=torch.zeros(batch, 6))
        _, learn = passes.network.forward(noisy, timesteps, conditions)
        learn(noisy)
    assert asked.kernels == first
