"""Memory that is refused once, in the middle of this or that: a rung down, nothing lost and nothing done twice."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lorabot.locale import Message
from lorabot.trainer.denoising import denoiser
from lorabot.trainer.descent import Descent
from lorabot.trainer.resume import ResumeState
from lorabot.trainer.route import route
from tests.trainer.lessons import Lesson, learn, make_setup
from tests.trainer.memory.simulated_card import SimulatedCard
from tests.trainer.memory.test_running_out import HARDWARE, losses

STEPS = 2


class Refusing(SimulatedCard):  # type: ignore[no-untyped-call]
    """Refuses once: what the function of this name asks of it for the time number ``refused``."""

    def __init__(self, name: str, refused: int) -> None:
        super().__init__()
        self._name, self._left = name, refused

    def _see(self, tensor: torch.Tensor, size: int | None = None) -> None:
        before = self.held()
        super()._see(tensor, size)
        if self._left and self.held() > before and self._asking():
            self._left -= 1
            if not self._left:
                raise torch.OutOfMemoryError("CUDA out of memory. (simulated)")

    def _asking(self) -> bool:
        frame = sys._getframe()
        while frame := frame.f_back:  # type: ignore[assignment]
            if frame.f_code.co_qualname == self._name:
                return True
        return False


def trained(card: SimulatedCard, folder: Path, saved: ResumeState | None, **recipe: Any) -> tuple[Lesson, list[str]]:
    """Two steps on ``card``, and what was said on the way down."""
    setup, said = make_setup(STEPS, **recipe), list[Message]()
    unet = setup.base.unet
    card.bring(unet)
    with route(unet, card, lambda way, _: denoiser(unet, "fp32", way, card=True)) as denoise:
        descent = Descent(setup.plan, denoise, card, lambda: HARDWARE, said.append)
        setup = replace(setup, denoise=denoise, plan=descent.plan)
        with card:
            lesson = learn(setup, folder, saved, make_room=descent.down, plan_now=lambda: descent.plan)
    return lesson, [message.code.removeprefix("training-notice-") for message in said]


@pytest.mark.parametrize(
    ("name", "optimiser"), [("_Taken.__init__", "adamw"), ("Optimiser.evaluating", "schedule-free")]
)
def test_a_step_is_taken_once_and_put_down_whole_whenever_memory_is_refused(
    name: str, optimiser: str, tmp_path: Path
) -> None:
    recipe: dict[str, Any] = {"optimiser": optimiser, "schedule": "constant"}
    whole = learn(make_setup(STEPS, **recipe), tmp_path / "whole")
    same(whole, *trained(Refusing(name, 1), tmp_path / "refused", None, **recipe))


def test_moments_that_find_no_room_are_restored_a_rung_further_down(tmp_path: Path) -> None:
    whole = learn(make_setup(STEPS), tmp_path / "whole")
    state, untouched = whole.saved(1), whole.saved(1)
    some = Refusing("Optimiser.restore", 3)  # those of the first parameter are there by then
    same(whole, *trained(some, tmp_path / "refused", state))
    for name, kept in untouched.moments.items():
        assert all(torch.equal(value, state.moments[name][key]) for key, value in kept.items()), "fit for another try"


def same(whole: Lesson, again: Lesson, said: list[str]) -> None:
    """Whether ``again`` came to what ``whole`` did, with one thing ``said`` on the way."""
    assert said == ["down-batch"]
    assert losses(again) == pytest.approx(losses(whole), rel=1e-5)
    assert [step for step, _ in again.course.validation] == [step for step, _ in whole.course.validation]
    for name, value in whole.weights.items():
        torch.testing.assert_close(again.weights[name], value, rtol=1e-3, atol=1e-6)
