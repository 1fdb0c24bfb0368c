"""What a job gives up when nothing fits, and how it waits for a card."""

from dataclasses import replace

import pytest

from lorabot.locale import Message, translator
from lorabot.presets import Recipe, load_presets
from lorabot.trainer.control import Control
from lorabot.trainer.devices import GIB
from lorabot.trainer.errors import Cancelled, OutOfMemory
from lorabot.trainer.lowering import as_planned, lower, wait_for_room
from lorabot.trainer.planning import Hardware
from tests.trainer.test_planning import CARD, CPU, make


def given_up(full: Recipe, begun: bool, eight_bit: bool = True) -> list[tuple[str, int, int]]:
    """Code, rank and resolution, from rung to rung."""
    recipe, told = full, []
    while found := lower(recipe, full, begun, eight_bit):
        recipe, message = found
        for language in ("en", "zh-CN"):
            assert "{" not in translator(language).text(message)
        told.append((message.code.removeprefix("training-notice-down-"), recipe.rank, recipe.resolution))
        assert recipe.alpha / recipe.rank == pytest.approx(full.alpha / full.rank), "the update has the same scale"
    return told


def test_before_training_the_optimiser_then_the_rank_then_the_resolution_are_lowered() -> None:
    recipe = load_presets().get("ink-landscape").recipe("sd15")
    assert given_up(recipe, begun=False) == [
        ("8-bit", 16, 512),
        ("rank", 8, 512),
        ("rank", 4, 512),
        ("resolution", 4, 448),
        ("resolution", 4, 384),
    ]


def test_what_has_begun_keeps_its_rank_and_its_moments() -> None:
    recipe = load_presets().get("ink-landscape").recipe("sd15")
    assert given_up(recipe, begun=True) == [("resolution", 16, 448), ("resolution", 16, 384)]


@pytest.mark.parametrize(("family", "sides"), [("sdxl", [896, 768]), ("sd21", [640, 576]), ("demo", [112, 96])])
def test_the_resolution_never_falls_below_three_quarters(family: str, sides: list[int]) -> None:
    recipe = load_presets().get("anime").recipes[family]  # type: ignore[index]
    assert [resolution for _, _, resolution in given_up(recipe, begun=True)] == sides


def test_a_later_attempt_goes_on_with_what_was_given_up() -> None:
    recipe = load_presets().get("ink-landscape").recipe("sd15")
    made = replace(make(), rank=4, resolution=448, optimiser="adamw8bit")
    again = as_planned(recipe, made)
    assert (again.rank, again.resolution, again.optimiser) == (4, 448, "adamw8bit")
    assert again.alpha / again.rank == pytest.approx(recipe.alpha / recipe.rank)


def test_a_card_that_others_hold_is_waited_for_and_they_are_named() -> None:
    said: list[Message] = []
    frees = iter([1, 1, 3])

    def hardware() -> Hardware:
        assert CARD.card is not None
        return replace(CARD, card=replace(CARD.card, free=next(frees) * GIB))

    wait_for_room(hardware, 60, lambda: None, said.append, look_s=0.001)
    assert [message.params["holders"] for message in said] == ["chrome (3.1 GB)"]


def test_a_card_is_waited_for_also_where_the_driver_hides_who_holds_it() -> None:
    said: list[Message] = []
    frees = iter([1, 3])

    def hardware() -> Hardware:
        assert CARD.card is not None
        return replace(CARD, card=replace(CARD.card, free=next(frees) * GIB), holders="", hidden=3_100_000_000)

    wait_for_room(hardware, 60, lambda: None, said.append, look_s=0.001)
    assert [translator("en").text(message) for message in said] == [
        "There is no room on the card, so the training waits up to 1 minute for it. "
        "Programs that can't be seen from here hold 3.1 GB of it."
    ]
    with pytest.raises(OutOfMemory):
        wait_for_room(lambda: replace(CARD, holders=""), 60, lambda: None, said.append)


def test_waiting_ends_when_it_is_told_to_and_when_its_time_is_over() -> None:
    control = Control()
    control.cancel()
    with pytest.raises(Cancelled):
        wait_for_room(lambda: CARD, 60, control.check, lambda _: None)
    with pytest.raises(OutOfMemory):
        wait_for_room(lambda: CARD, 0.01, lambda: None, lambda _: None, look_s=0.001)
    with pytest.raises(OutOfMemory):
        wait_for_room(lambda: CPU, 60, lambda: None, lambda _: None)
