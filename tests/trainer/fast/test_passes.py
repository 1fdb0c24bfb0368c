"""Which passes are recorded, and which recordings serve: by graphs that are none, since there is no card here."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch

from lorabot.presets import Family
from lorabot.trainer.fast.entrance import through
from lorabot.trainer.fast.passes import Given, Passes, Wanted, _Graphs
from lorabot.trainer.fast.reading import read
from lorabot.trainer.fast.reference import Reference
from tests.trainer import small_bases
from tests.trainer.fast.test_network import directly, given, with_adapter


class Graph:
    """Does again what it was made of, from and into the same memory."""

    def __init__(self, replay: Callable[[], object]) -> None:
        self.replay = replay


class Recorded(Passes):
    """Passes that are recorded on a CPU too."""

    def _records(self, device: torch.device) -> bool:
        return True

    def _record(self, given: Given, wanted: Wanted) -> _Graphs:
        held = tuple(tensor.clone() for tensor in given)
        predicted, gradient = torch.empty_like(held[0]), torch.empty_like(held[0])
        texts = tuple(map(torch.empty_like, held[2:4])) if wanted == "adapter and texts" else ()
        way_back: list[Any] = []

        def forward() -> None:
            found, learn = self._once(held, wanted)
            predicted.copy_(found)
            way_back[:] = [learn]

        def backward() -> None:
            found = way_back.pop()(gradient)
            for place, each in zip(texts, found, strict=True):
                place.copy_(each)

        graphs = (Graph(forward), Graph(backward))
        return _Graphs(held, cast(Any, graphs[0]), predicted, gradient, cast(Any, graphs[1]), texts)


def test_a_graph_serves_every_batch_that_only_predicts_and_an_odd_size_gets_one_when_it_comes_often() -> None:
    unet = small_bases.base_model("sd15").unet
    with with_adapter(unet) as parameters:
        with torch.no_grad():
            passes = Recorded(read(unet, Reference()))
        denoise = through(passes, unet, directly(unet))
        inputs = given(unet, 3, 8, 8)
        found = torch.autograd.grad(denoise(*inputs).square().mean(), parameters)
        wanted = torch.autograd.grad(directly(unet)(*inputs).square().mean(), parameters)
        for mine, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)
        assert passes.recorded == 1
        with torch.no_grad():
            for batch in (2, 3, 5, 1, 7):
                inputs = given(unet, batch, 8, 8)
                torch.testing.assert_close(denoise(*inputs), directly(unet)(*inputs), rtol=1e-4, atol=1e-5)
            assert passes.recorded == 1
            inputs, counts = given(unet, 2, 8, 16), []
            expected = directly(unet)(*inputs)
            for _ in range(9):
                torch.testing.assert_close(denoise(*inputs), expected, rtol=1e-4, atol=1e-5)
                counts.append(passes.recorded)
            assert counts == [1] * 7 + [2] * 2


def test_what_was_recorded_goes_where_passes_are_to_keep_less_and_the_new_ones_learn_the_same() -> None:
    unet = small_bases.base_model("sd15").unet
    with with_adapter(unet) as parameters:
        with torch.no_grad():
            passes = Recorded(read(unet, Reference()))
        denoise = through(passes, unet, directly(unet))
        inputs, found = given(unet, 2, 8, 8), list[tuple[torch.Tensor, ...]]()
        for checkpointing in (False, True, True, False):
            passes.checkpointing = checkpointing
            assert passes.recorded == (1 if len(found) == 2 else 0)
            found.append(torch.autograd.grad(denoise(*inputs).square().mean(), parameters))
        for each in found[1:]:
            for mine, theirs in zip(each, found[0], strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_the_texts_gradient_is_there_for_whoever_made_them_and_learns(family: Family) -> None:
    unet = small_bases.base_model(family).unet
    with with_adapter(unet) as parameters:
        with torch.no_grad():
            passes = Recorded(read(unet, Reference()))
        denoise = through(passes, unet, directly(unet))
        for batch, learns in ((2, False), (2, True), (2, False), (3, True), (3, False)):
            inputs = given(unet, batch, 8, 8)
            texts = [each for each in (inputs[2].states, inputs[2].pooled) if each is not None]
            wanted = [*parameters, *(each.requires_grad_() for each in texts)] if learns else parameters
            found, expected = (
                torch.autograd.grad(way(*inputs).square().mean(), wanted) for way in (denoise, directly(unet))
            )
            for mine, theirs in zip(found, expected, strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)
        assert passes.recorded == 3, "one that goes back to the texts serves those that need not, too"
