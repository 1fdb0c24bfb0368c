"""What is seen of the cards, through the real pynvml over a stand-in for the driver's library."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from lorabot.trainer.devices import GIB, MIB, Card, Memory, card_by, cards, holders_text, usable
from tests.trainer.nvml import UNKNOWN, Driver, Silicon, driver

A, B = "GPU-aaaaaaaa-1111-2222-3333-444444444444", "GPU-bbbbbbbb-1111-2222-3333-444444444444"
SLICE = "MIG-cccccccc-1111-2222-3333-444444444444"


@pytest.fixture
def program() -> Iterator[psutil.Process]:
    """Somebody else's program, which holds memory of the card."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield psutil.Process(process.pid)
    process.communicate(b"\n")


def test_the_programs_on_a_card_are_named_with_what_they_hold(program: psutil.Process) -> None:
    both = {program.pid: 3 * 10**9}
    held = Silicon(A, "A card", 24 * GIB, 20 * GIB, computing={**both, os.getpid(): GIB}, drawing=both)
    with driver(Driver(held)):
        (card,) = cards()
    assert holders_text(card, own=os.getpid()) == f"{program.name()} (3.0 GB)"
    assert (card.uuid, card.total, card.free, card.held) == (A, 24 * GIB, 20 * GIB, 4 * GIB)
    assert card.unnamed == 4 * GIB - GIB - 3 * 10**9


def test_what_the_driver_keeps_for_itself_is_nobody_s_memory() -> None:
    own = Silicon(A, "A card", 24 * GIB, 23 * GIB, reserved=GIB)
    with driver(Driver(own)):
        assert (cards()[0].total, cards()[0].held) == (23 * GIB, 0)
    with driver(Driver(own, second_memory=False)):  # an older driver
        assert (cards()[0].total, cards()[0].free) == (24 * GIB, 23 * GIB)


def test_where_the_driver_hides_how_much_programs_hold_they_are_named_alone(program: psutil.Process) -> None:
    with driver(Driver(Silicon(A, "A card", 24 * GIB, 20 * GIB, computing={program.pid: UNKNOWN}, drawing=None))):
        (card,) = cards()
    assert holders_text(card, own=os.getpid()) == program.name()
    assert card.unnamed == 0


def test_where_the_driver_hides_the_programs_what_they_hold_is_still_counted() -> None:
    with driver(Driver(Silicon(A, "A card", 24 * GIB, 20 * GIB, computing=None, drawing=None))):
        (card,) = cards()
    assert (card.holders, card.unnamed) == ((), 4 * GIB)


def test_a_card_that_shares_the_hosts_memory_is_seen_without_sizes() -> None:
    with driver(Driver(Silicon(A, "GB10", None))):
        (card,) = cards()
    assert (card.name, card.total, card.free, card.unnamed) == ("GB10", 0, 0, 0)


def test_a_lost_card_does_not_hide_the_others() -> None:
    with driver(Driver(Silicon(A, "Lost", GIB, lost=True), Silicon(B, "Well", GIB))):
        assert [(card.index, card.name) for card in cards()] == [(1, "Well")]


def test_a_divided_card_is_its_slices() -> None:
    mig = "NVIDIA A100 MIG 1g.5gb"
    slices = (None, Silicon(SLICE, mig, 5 * GIB, 4 * GIB, computing={os.getpid(): GIB}), None)
    with driver(Driver(Silicon(A, "Whole", 40 * GIB, 35 * GIB, slices=slices), Silicon(B, "Other", GIB))):
        found = cards()
    assert [(card.index, card.uuid, card.total) for card in found] == [(0, SLICE, 5 * GIB), (1, B, GIB)]
    assert found[0].holders[0].held == GIB
    with driver(Driver(Silicon(A, "Not divided yet", 40 * GIB, slices=(None,)))):
        assert [card.name for card in cards()] == ["Not divided yet"]


def test_a_card_is_told_by_its_uuid_and_not_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with driver(Driver(Silicon(A, "First", GIB), Silicon(B, "Second", GIB))):
        found = cards()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    second = card_by(B.removeprefix("GPU-"), found, 0)
    assert second is not None
    assert second.name == "Second"
    assert card_by("dddddddd-1111-2222-3333-444444444444", found, 0) is None


@pytest.mark.parametrize("chosen", [SLICE, "MIG-cccc"])
def test_a_slice_that_cuda_tells_by_the_whole_card_is_found_by_the_environment(
    chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with driver(Driver(Silicon(A, "Whole", 40 * GIB, slices=(Silicon(SLICE, "Slice", 5 * GIB),)))):
        found = cards()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{B}, {chosen}")
    seen = card_by(A.removeprefix("GPU-"), found, 1)
    assert seen is not None
    assert seen.name == "Slice"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert card_by(A.removeprefix("GPU-"), found, 1) is None


def test_without_a_driver_there_are_no_cards() -> None:
    assert cards() == ()


CARD = Card(0, A, "A card", 24 * GIB, 10 * GIB, ())


def test_what_torch_has_reserved_and_does_not_use_is_free() -> None:
    memory = Memory(24 * GIB, 10 * GIB, reserved=5 * GIB, allocated=2 * GIB)
    assert usable(CARD, memory, 1.0, own=1) == replace(CARD, free=13 * GIB)


@pytest.mark.parametrize("limit", [0.5, 12.0 * GIB])
def test_a_limit_counts_what_is_in_use_already(limit: float) -> None:
    allowed = usable(CARD, Memory(24 * GIB, 14 * GIB, reserved=5 * GIB, allocated=2 * GIB), limit, own=1)
    assert (allowed.free, allowed.limit, allowed.total) == (10 * GIB, 12 * GIB, 24 * GIB)
    used_up = usable(CARD, Memory(24 * GIB, 10 * GIB, reserved=13 * GIB, allocated=13 * GIB), limit, own=1)
    assert used_up.free == 0


def test_a_limit_never_frees_what_others_hold() -> None:
    assert usable(CARD, Memory(24 * GIB, GIB), 0.5, own=1).free == GIB
    assert usable(CARD, Memory(24 * GIB, 20 * GIB), 99.0 * GIB, own=1).limit == 24 * GIB


def test_cuda_s_own_context_is_part_of_the_limit(program: psutil.Process) -> None:
    held = {os.getpid(): 2 * GIB + 400 * MIB, program.pid: GIB}
    with driver(Driver(Silicon(A, "A card", 24 * GIB, 20 * GIB, computing=held))):
        (card,) = cards()
    allowed = usable(card, Memory(24 * GIB, 20 * GIB, reserved=2 * GIB, allocated=GIB), 0.5, own=os.getpid())
    assert allowed.limit == 12 * GIB - 400 * MIB
    assert allowed.free == 11 * GIB - 400 * MIB
