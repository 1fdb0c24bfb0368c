"""The step that is tried for the plan is one as it is trained, and leaves nothing behind."""

from contextlib import nullcontext
from pathlib import Path

import torch

from lorabot.trainer import adapter
from lorabot.trainer.denoising import plain
from lorabot.trainer.memory import Fitting, gauge_of
from lorabot.trainer.probing import Probe
from lorabot.trainer.route import route
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
