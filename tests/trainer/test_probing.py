"""The step that is tried for the plan is one as it is trained, and leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch

from lorabot.trainer import adapter
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import Denoiser, plain
from lorabot.trainer.memory import Fitting, gauge_of
from lorabot.trainer.probing import Probe
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
        route(trial.base.unet, gauge, lambda _: nullcontext(plain(trial.base.unet, "fp32"))) as way,
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
    ):
        Probe(trial.base, trial.modules, way, gauge, (64, 64), trial.encoded.told.probed)(Fitting(2))
        assert not any(module.training for part in trial.modules.values() for module in part.modules())
        assert all(parameter.grad is None for _, parameter in adapter.parameters(trial.modules))
    return sum(sizes)


def test_dropout_and_text_encoders_that_learn_are_measured_and_leave_nothing_behind(tmp_path: Path) -> None:
    bare = kept(tmp_path, 0.0, 0.0)
    assert kept(tmp_path, 0.1, 0.0) > bare
    assert kept(tmp_path, 0.0, 1e-3) > bare


def test_a_size_that_comes_later_is_counted_beside_what_is_kept_of_the_first(tmp_path: Path) -> None:
    trial, card = Trial("sd15", recipe_of(), tmp_path), SimulatedCard()
    unet, kept = trial.base.unet, 1 << 26

    @contextmanager
    def opener(_: bool) -> Iterator[Denoiser]:
        """Keeps something for each size, as recorded passes do."""
        pools: dict[torch.Size, torch.Tensor] = {}

        def denoise(noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
            pools.setdefault(noisy.shape, torch.empty(kept if noisy.shape not in pools else 0, dtype=torch.uint8))
            return plain(unet, "fp32")(noisy, timesteps, conditions)

        yield denoise

    with card, adapter.attached(trial.modules, trial.recipe, 7), route(unet, card, opener) as way:
        one, more = (
            Probe(trial.base, trial.modules, way, card, (64, 64), trial.encoded.told.probed, several)(Fitting(1)).taken
            for several in (False, True)
        )
    assert more - one == pytest.approx(kept, rel=0.2)
