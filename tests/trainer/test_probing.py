"""The step that is tried for the plan is one as it is trained, and leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch

from lorabot.trainer import adapter
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.control import Control
from lorabot.trainer.denoising import Denoiser, plain
from lorabot.trainer.errors import Cancelled
from lorabot.trainer.memory import Fitting, Measured, Remembered, Room, gauge_of
from lorabot.trainer.probing import Probe, fit
from lorabot.trainer.route import route
from tests.trainer.memory.simulated_card import SimulatedCard
from tests.trainer.test_families import CPU, Trial, recipe_of


def kept(folder: Path, dropout: float, text_encoder_lr: float) -> int:
    """How many numbers a tried step keeps for its way back."""
    trial = Trial("sd15", recipe_of(dropout=dropout, text_encoder_lr=text_encoder_lr), folder)
    gauge, sizes = gauge_of(CPU), [0]

    def note(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel())
        return tensor

    with (
        adapter.attached(trial.modules, trial.recipe, 7),
        route(trial.base.unet, gauge, lambda *_: nullcontext(plain(trial.base.unet, "fp32"))) as way,
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
    ):
        Probe(trial.base, trial.modules, way, gauge, (64, 64), trial.encoded.told.probed, 2)(Fitting(2))
        assert not any(module.training for part in trial.modules.values() for module in part.modules())
        assert all(parameter.grad is None for _, parameter in adapter.parameters(trial.modules))
    return sum(sizes)


def test_dropout_and_text_encoders_that_learn_are_measured_and_leave_nothing_behind(tmp_path: Path) -> None:
    bare = kept(tmp_path, 0.0, 0.0)
    assert kept(tmp_path, 0.1, 0.0) > bare
    assert kept(tmp_path, 0.0, 1e-3) > bare


def test_whatever_goes_through_in_another_shape_is_counted_beside_what_is_kept_of_the_first(tmp_path: Path) -> None:
    trial, card = Trial("sd15", recipe_of(), tmp_path), SimulatedCard()
    unet, kept = trial.base.unet, 1 << 26
    pools: dict[tuple[int, int], torch.Tensor] = {}

    @contextmanager
    def opener(_: bool, __: bool) -> Iterator[Denoiser]:
        """Keeps something for each shape, as recorded passes do; what comes out matters to nobody."""
        learnt = next(parameter for parameter in unet.parameters() if parameter.requires_grad)

        def denoise(noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
            shape = len(noisy), noisy.shape[-1]
            pools.setdefault(shape, torch.empty(kept if shape not in pools else 0, dtype=torch.uint8))
            return noisy * learnt.sum()

        yield denoise
        pools.clear()

    def beside(images: int, held: int, several: bool) -> set[tuple[int, int]]:
        """What was gone through beside two rows 8 wide: rows, and the width of their latents."""
        with card, route(unet, card, opener) as way:
            told = trial.encoded.told.probed
            measured = Probe(trial.base, trial.modules, way, card, (64, 64), told, images, held, several)(Fitting(2))
            assert measured.stays == pytest.approx(len(pools) * kept, rel=0.01)
            assert measured.taken >= measured.stays
            return set(pools) - {(2, 8)}

    with adapter.attached(trial.modules, trial.recipe, 7):
        assert beside(4, 0, False) == set()
        assert beside(3, 0, False) == {(1, 8)}
        assert beside(4, 0, True) == {(2, 10)}
        assert beside(3, 1, False) == set(), "the row to hold on to fills the last part up"
        assert beside(3, 1, True) == {(2, 10), (1, 10), (1, 8)}, "and goes alone where that is of another size"


def test_a_cancel_is_heard_between_two_passes_that_are_tried(tmp_path: Path) -> None:
    trial, control, gone = Trial("sd15", recipe_of(), tmp_path), Control(), 0

    @contextmanager
    def opener(_: bool, __: bool) -> Iterator[Denoiser]:
        def denoise(noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
            nonlocal gone
            gone += 1
            control.cancel()
            return straight(noisy, timesteps, conditions)

        straight = plain(trial.base.unet, "fp32")
        yield denoise

    gauge = gauge_of(CPU)
    with adapter.attached(trial.modules, trial.recipe, 7), route(trial.base.unet, gauge, opener) as way:
        told = trial.encoded.told.probed
        probe = Probe(trial.base, trial.modules, way, gauge, (64, 64), told, 2, check=control.check)
        with pytest.raises(Cancelled):
            probe(Fitting(2))
        assert gone == 1
        assert all(parameter.grad is None for _, parameter in adapter.parameters(trial.modules))
        with pytest.raises(Cancelled):
            probe(Fitting(1))
        assert gone == 1, "nor is the next begun"


def test_what_was_measured_before_a_cancel_is_known_the_next_time(tmp_path: Path) -> None:
    tried, path = list[Fitting](), tmp_path / "measured.json"

    def measure(fitting: Fitting) -> Measured:
        tried.append(fitting)
        if len(tried) > 1:
            raise Cancelled
        return Measured(0.1 * fitting.batch, fitting.batch << 20, 0, 0)

    with pytest.raises(Cancelled):
        fit(measure, Remembered(path, {"base": "a"}), Room(24 << 20, 0), False)(16)
    first, second = tried
    assert Remembered(path, {"base": "a"}).or_measured(measure)(first).seconds == pytest.approx(0.1 * first.batch)
    assert tried == [first, second]
