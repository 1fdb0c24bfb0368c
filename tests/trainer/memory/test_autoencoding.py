"""The VAE at work on a card that is too small for it."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch

from lorabot.locale import Message
from lorabot.trainer.autoencoding import Autoencoder, Surroundings
from lorabot.trainer.bases import BaseModel
from tests.trainer import small_bases
from tests.trainer.memory.simulated_card import SimulatedCard


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return small_bases.base_model("sd15")


SIDE = 320


def pictures(count: int, side: int) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


class Work:
    """Encodes on a card of ``budget`` bytes that believes to have ``room``."""

    def __init__(self, base: BaseModel, budget: int = 1 << 40, room: int | None = None, held: int = 0) -> None:
        self.card = SimulatedCard()
        self.said: list[str] = []
        self.latents = torch.empty(0)
        self.budget = budget
        self._ballast = held
        self.autoencoder = Autoencoder(
            base, self.card, Surroundings(lambda: budget if room is None else room, self._aside, self._say)
        )

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        with self.autoencoder.at_work(), self.card:
            unet = torch.empty(self._ballast, dtype=torch.uint8)
            self._unet = [unet]
            del unet
            self.card.budget = self.budget
            self.card.reset_peak()
            try:
                return self.autoencoder.encode(pixels)
            finally:
                self.card.budget = 1 << 40

    def _say(self, message: Message) -> None:
        self.said.append(message.code.removeprefix("training-notice-vae-"))

    @contextmanager
    def _aside(self) -> Iterator[None]:
        self._unet.clear()
        yield


@pytest.fixture(scope="module")
def whole(base: BaseModel) -> Work:
    """One picture of ``SIDE`` pixels, on a card that is large enough."""
    work = Work(base)
    work.latents = work.encode(pictures(1, SIDE))
    return work


def test_as_many_pictures_go_through_at_once_as_have_room(base: BaseModel) -> None:
    peaks = {}
    for room in (1, 1 << 40):
        work = Work(base, room=room)
        latents = work.encode(pictures(3, 64))
        peaks[room] = work.card.peak()
        assert (work.card.refused, latents.shape) == (0, (3, 4, 8, 8))
    assert peaks[1] < 0.7 * peaks[1 << 40]


def test_pictures_that_are_refused_together_go_through_one_by_one(base: BaseModel) -> None:
    one = Work(base)
    one.encode(pictures(1, 64))
    work = Work(base, budget=round(1.3 * one.card.peak()), room=1 << 40)
    found = work.encode(pictures(3, 64))
    assert (work.said, work.card.refused) == ([], 1)
    torch.testing.assert_close(found[:1], one.encode(pictures(1, 64)))


def test_what_is_too_large_as_a_whole_is_done_in_tiles_and_the_vae_is_left_as_it_was(
    base: BaseModel, whole: Work
) -> None:
    work = Work(base, budget=round(0.8 * whole.card.peak()))
    found = work.encode(pictures(1, SIDE))
    assert work.said == ["tiles"]
    assert float((found - whole.latents).abs().mean()) < 0.1 * float(whole.latents.abs().mean())
    work.autoencoder.close()
    again = Work(base)
    assert torch.equal(again.encode(pictures(1, SIDE)), whole.latents)


def test_last_of_all_the_unet_makes_room(base: BaseModel, whole: Work) -> None:
    work = Work(base, budget=round(0.8 * whole.card.peak()), held=whole.card.peak() // 2)
    work.encode(pictures(1, SIDE))
    assert work.said == ["alone"], "one line for all that had to be done"
    work.autoencoder.close()
    tiny = Work(base, budget=1_500_000)
    with pytest.raises(torch.OutOfMemoryError):
        tiny.encode(pictures(1, SIDE))
    assert tiny.said == []
    tiny.budget = 1 << 40
    tiny.encode(pictures(1, SIDE))
    assert tiny.said == ["alone"]
    tiny.autoencoder.close()


def test_numbers_of_16_bits_are_tried_where_the_base_has_them_and_taken_back() -> None:
    base = small_bases.base_model("sd15")
    unet: torch.nn.Module = base.unet
    unet.to(torch.bfloat16)
    before = {name: value.clone() for name, value in base.vae.state_dict().items()}
    work = Work(base, room=1)
    work.card.bring(base.vae)
    work.budget = work.card.held() + 80_000  # the picture takes 49,152, a weight of 16 bits 18,432
    with pytest.raises(torch.OutOfMemoryError):
        work.encode(pictures(1, 64))
    assert (base.vae.dtype, work.card.refused) == (torch.bfloat16, 4), "whole, in tiles, in 16 bits, alone"
    work.budget = 1 << 40
    work.encode(pictures(1, 64))
    assert work.said == ["alone"]
    work.autoencoder.close()
    assert all(torch.equal(value, before[name]) for name, value in base.vae.state_dict().items())


def test_numbers_that_cannot_all_be_rounded_stay_whole_and_the_unet_makes_room() -> None:
    base = small_bases.base_model("sd15")
    unet: torch.nn.Module = base.unet
    unet.to(torch.bfloat16)
    before = {name: value.clone() for name, value in base.vae.state_dict().items()}
    work = Work(base, room=1, held=1 << 26)
    work.card.bring(base.vae)
    work.budget = work.card.held() + (1 << 26) + 60_000  # the picture takes 49,152, a weight of 16 bits 18,432
    found = work.encode(pictures(1, 64))
    assert work.said == ["alone"]
    assert all(torch.equal(value, before[name]) for name, value in base.vae.state_dict().items())
    work.autoencoder.close()
    torch.testing.assert_close(found, Work(base).encode(pictures(1, 64)))


def test_a_vae_that_finds_no_room_to_come_to_the_card_has_the_unet_make_some(base: BaseModel) -> None:
    full, said = [True], list[Message]()

    @contextmanager
    def aside() -> Iterator[None]:
        full.clear()
        yield
        full.append(True)

    def arrive(device: object) -> None:
        if full and device != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. (simulated)")

    vae: Any = copy.copy(base.vae)
    vae.to = arrive
    work = Autoencoder(replace(base, vae=vae), SimulatedCard(), Surroundings(lambda: 1 << 40, aside, said.append))
    for _ in range(2):
        with work.at_work():
            assert not full
            assert work.encode(pictures(1, 64)).shape == (1, 4, 8, 8)
        assert full
    assert [message.code for message in said] == ["training-notice-vae-alone"]


@pytest.mark.parametrize(("budget", "at_its_best"), [(10.0, True), (1.5, False)])
def test_a_rehearsal_says_whether_there_was_room_for_all_at_once(
    base: BaseModel, budget: float, at_its_best: bool
) -> None:
    one = Work(base)
    one.encode(pictures(1, 64))
    card = SimulatedCard()
    work = Autoencoder(base, card, Surroundings(lambda: 1 << 40, nullcontext, lambda _: None))
    with card:
        card.budget = round(budget * one.card.peak())
        assert work.rehearse((64, 64), 3, 64, 2) is at_its_best
    work.close()
