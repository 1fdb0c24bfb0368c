"""How a step goes through the model: the fastest way that fits, tried as little as can be."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorabot.trainer.memory import (
    DoesNotFit,
    Fitting,
    Measure,
    Measured,
    Remembered,
    Room,
    even,
    on_card,
    on_processor,
    smaller,
)

GIB = 1 << 30
MIB = 1 << 20


class Machine:
    """Measures as SD1.5 does on a card: launches take a while, then every row its time; ``tried`` is what was.

    ``moving``: how many times as long again a pass takes with weights that come over.
    """

    def __init__(self, launching: float = 0.12, row: float = 0.01, row_bytes: int = GIB, moving: float = 2.0) -> None:
        self._launching, self._row, self._row_bytes, self._moving = launching, row, row_bytes, moving
        self.tried: list[Fitting] = []

    def __call__(self, fitting: Fitting) -> Measured:
        self.tried.append(fitting)
        slower = (1.35 if fitting.checkpointing else 1.0) + (self._moving if fitting.offloading else 0.0)
        row_bytes = self._row_bytes // (5 if fitting.checkpointing else 1)
        resting = -2 * GIB if fitting.offloading else 0
        seconds = slower * (self._launching + self._row * fitting.batch)
        return Measured(seconds, resting + row_bytes * fitting.batch, resting)


def room(free: int) -> Room:
    return Room(free=free, held=2 * GIB)


def test_the_batch_grows_while_that_gains_and_no_further() -> None:
    machine = Machine(launching=0.0, row=0.1)
    found = on_card(16, machine, room(80 * GIB), False)
    assert (found.fitting, found.limit) == (Fitting(1), "gain")
    assert [tried.batch for tried in machine.tried] == [1, 16]
    found = on_card(16, Machine(), room(80 * GIB), False)
    assert (found.fitting, found.limit) == (Fitting(16), "whole")
    assert found.peak == 18 * GIB


def test_where_there_is_room_for_far_more_only_the_whole_step_is_tried() -> None:
    machine = Machine()
    found = on_card(16, machine, replace(room(80 * GIB), row=4 * GIB), False)
    assert (found.fitting, found.limit, found.peak) == (Fitting(16), "whole", 18 * GIB)
    assert [tried.batch for tried in machine.tried] == [16]
    machine = Machine()
    assert on_card(16, machine, replace(room(30 * GIB), row=4 * GIB), False).fitting == Fitting(16)
    assert [tried.batch for tried in machine.tried] == [1, 16], "that may be too little"


@pytest.mark.parametrize("refused", [True, False])
def test_where_that_was_far_less_than_a_row_takes_it_is_gone_about_as_usual(refused: bool) -> None:
    machine = Machine(row_bytes=9 * GIB)

    def measure(fitting: Fitting) -> Measured:
        if refused and fitting.batch > 8:
            raise DoesNotFit
        return machine(fitting)

    found = on_card(16, measure, replace(room(80 * GIB), row=4 * GIB), False)
    assert found == on_card(16, measure, room(80 * GIB), False)
    assert [tried.batch for tried in machine.tried][:2] == ([1, 2] if refused else [16, 1])


def test_what_would_not_fit_is_not_even_tried() -> None:
    machine = Machine()
    found = on_card(16, machine, room(7 * GIB), checkpointing=True)
    assert found.fitting == Fitting(16, checkpointing=True)
    machine = Machine()
    on_card(16, machine, room(7 * GIB), False)
    assert max(tried.batch for tried in machine.tried if not tried.checkpointing) == 6


def test_between_the_last_that_fits_and_the_next_the_largest_is_found() -> None:
    machine = Machine(launching=0.05, row=0.1)  # calculating twice does not pay here
    found = on_card(6, machine, room(3 * GIB + 256 * MIB), False)
    assert (found.fitting.batch, found.limit) == (3, "memory")


def test_calculating_twice_is_chosen_where_it_is_faster_for_the_rows_it_lets_through() -> None:
    few_launches = on_card(4, Machine(launching=0.5, row=0.01), room(GIB + 512 * MIB), False)
    assert few_launches.fitting == Fitting(4, checkpointing=True)
    busy = on_card(4, Machine(launching=0.0, row=0.1), room(GIB + 512 * MIB), False)
    assert busy.fitting == Fitting(1)


def test_weights_are_off_loaded_where_nothing_else_fits() -> None:
    machine = Machine(launching=0.0, row=0.1)
    found = on_card(4, machine, room(500 * MIB), False)
    assert not found.fitting.offloading
    found = on_card(4, machine, room(200 * MIB), False)
    assert found.fitting.offloading
    with pytest.raises(DoesNotFit):
        on_card(4, Machine(row_bytes=20 * GIB), room(200 * MIB), False)


def test_weights_are_off_loaded_where_the_rows_that_this_lets_through_make_up_for_it() -> None:
    """As SDXL on a large card of which little is left: a pass of six rows took as long as one of one."""
    idle = on_card(16, Machine(launching=1.1, row=0.005, moving=0.4), room(700 * MIB), False)
    assert (idle.fitting, idle.limit) == (Fitting(8, checkpointing=True, offloading=True), "memory")
    full = Room(700 * MIB, 2 * GIB, movable=False)
    assert on_card(16, Machine(launching=1.1, row=0.005, moving=0.4), full, False).fitting.batch == 2
    slow = Machine(launching=1.1, row=0.005, moving=9.0)
    assert on_card(16, slow, room(700 * MIB), False).fitting == Fitting(2, checkpointing=True)
    moved = [tried.batch for tried in slow.tried if tried.offloading]
    assert moved == [1, 2], "eight that took no longer than two would be slower still"
    busy = Machine(launching=0.1, row=0.2, moving=0.0)
    assert on_card(16, busy, room(700 * MIB), False).fitting == Fitting(2, checkpointing=True)
    assert not any(tried.offloading for tried in busy.tried), "a card that is busy has nothing to gain"
    kept = Machine(launching=1.1, row=0.005, moving=0.0)
    on_card(16, kept, room(9 * GIB), False)
    assert not any(tried.offloading for tried in kept.tried), "nor has one that takes all rows"


def test_what_comes_later_has_its_room_too() -> None:
    assert on_card(4, Machine(0.05, 0.1), Room(6 * GIB, 0), False).fitting.batch == 4
    assert on_card(4, Machine(0.05, 0.1), Room(6 * GIB, 0, later=4 * GIB), False).fitting.batch == 1


def test_a_processor_takes_the_whole_step_and_less_only_when_its_memory_ends() -> None:
    machine = Machine()
    assert on_processor(6, machine, False).fitting == Fitting(6)
    assert len(machine.tried) == 1

    def small(fitting: Fitting) -> Measured:
        if fitting.batch > 2:
            raise DoesNotFit
        return Measured(1.0)

    found = on_processor(6, small, False)
    assert (found.fitting, found.step_s, found.limit) == (Fitting(2), 3.0, "memory")


@given(st.integers(1, 64), st.integers(64, 40_000), st.floats(0.0, 0.5), st.floats(0.001, 0.5))
def test_whatever_is_chosen_fits(rows: int, free: int, launching: float, row: float) -> None:
    machine = Machine(launching, row, row_bytes=700 * MIB)
    try:
        found = on_card(rows, machine, room(free * MIB), False)
    except DoesNotFit:
        assert machine(Fitting(1, checkpointing=True, offloading=True)).taken > room(free * MIB).usable
        return
    assert found.taken <= room(free * MIB).usable
    assert 1 <= found.fitting.batch <= rows


@given(st.integers(1, 64), st.integers(1, 64))
def test_even_parts_are_no_more_than_before_and_as_small_as_can_be(rows: int, batch: int) -> None:
    part = even(min(batch, rows), rows)
    assert -(-rows // part) <= -(-rows // min(batch, rows))
    assert part <= min(batch, rows)


@given(st.integers(1, 64), st.booleans())
def test_the_ladder_ends_and_no_rung_is_trodden_twice(rows: int, card: bool) -> None:
    stood = [Fitting(rows)]
    while found := smaller(stood[-1], rows, card):
        stood.append(found[1])
    assert len(set(stood)) == len(stood)
    assert stood[-1] == Fitting(1, checkpointing=True, offloading=card)
    assert all(below.batch <= above.batch for above, below in pairwise(stood))


def test_the_next_job_of_the_kind_tries_nothing(tmp_path: Path) -> None:
    def plan(depends: dict[str, object], measure: Measure) -> Fitting:
        remembered = Remembered(tmp_path / "measured.json", depends)
        found = on_card(4, remembered.or_measured(measure), room(5 * GIB), False)
        remembered.keep()
        return found.fitting

    machine, none = Machine(), refuse
    first = plan({"base": "a", "size": (512, 512)}, machine)
    assert plan({"size": (512, 512), "base": "a"}, none) == first
    with pytest.raises(AssertionError):
        plan({"base": "a", "size": (512, 448)}, none)
    assert plan({"base": "b"}, Machine()) == first
    assert plan({"base": "a", "size": (512, 512)}, none) == first, "others leave it alone"


def test_what_was_measured_in_want_of_room_counts_for_this_job_alone(tmp_path: Path) -> None:
    def measure(fitting: Fitting) -> Measured:
        tried.append(fitting.batch)
        return Measured(0.1, GIB, in_want=fitting.batch > 1)

    tried = list[int]()
    remembered = Remembered(tmp_path / "measured.json", {})
    for _ in range(2):
        on_card(4, remembered.or_measured(measure), room(10 * GIB), False)
        remembered.keep()
    assert tried == [1, 4]
    on_card(4, Remembered(tmp_path / "measured.json", {}).or_measured(measure), room(10 * GIB), False)
    assert tried == [1, 4, 4]


def test_what_a_way_takes_before_its_first_pass_is_known_by_the_way(tmp_path: Path) -> None:
    def laid_out(fitting: Fitting) -> Measured:
        resting = (-2 if fitting.offloading else 1 if fitting.checkpointing else 3) * GIB
        return Measured(0.1 * fitting.batch, resting + GIB * fitting.batch, resting)

    remembered = Remembered(tmp_path / "measured.json", {})
    assert (remembered.resting(False), remembered.resting(True)) == (None, None)
    on_card(4, remembered.or_measured(laid_out), room(GIB), False)
    remembered.keep()
    again = Remembered(tmp_path / "measured.json", {})
    assert (again.resting(False), again.resting(True)) == (3 * GIB, GIB)


@pytest.mark.parametrize("spoil", [lambda text: text[: len(text) // 2], lambda text: "[]", lambda text: ""])
def test_a_file_that_can_t_be_read_is_begun_anew(tmp_path: Path, spoil: Callable[[str], str]) -> None:
    path = tmp_path / "measured.json"
    for expected in (1, 1, 0):
        machine = Machine()
        remembered = Remembered(path, {"base": "a"})
        remembered.or_measured(machine)(Fitting(2))
        remembered.keep()
        assert len(machine.tried) == expected
        if expected and "spoilt" not in locals():
            spoilt = spoil(path.read_text())
            path.write_text(spoilt)


def refuse(fitting: Fitting) -> Measured:
    raise AssertionError(f"tried {fitting}")


GIVEN = {1: 0.85, 2: 1.873, 4: 2.855, 8: 5.082, 16: 9.651}
"""GiB that SD1.5's passes took on an H100, by the batch: a line through the first two says less than they need."""


@pytest.mark.parametrize(("free", "batch"), [(3.2, 4), (5.6, 8), (9.6, 8), (10.2, 16)])
@pytest.mark.parametrize("remembered", [True, False])
def test_a_jump_too_far_is_followed_by_what_lies_below(free: float, batch: int, remembered: bool) -> None:
    def measure(fitting: Fitting) -> Measured:
        taken = GIVEN.get(fitting.batch, 0.6 * fitting.batch)
        if fitting.checkpointing or (not remembered and taken > free):
            raise DoesNotFit
        return Measured(0.02 + 0.005 * fitting.batch, round(taken * GIB))

    assert on_card(16, measure, room(round(free * GIB)), False).fitting == Fitting(batch)


@pytest.mark.parametrize(
    ("free", "held", "stays", "one", "several", "seen"),
    [
        (5.5, 2.16, 2.578, 1.818, 2.29, 5.62),  # SD1.5: there is not even room for one picture beside the passes
        (40.0, 2.41, 9.375, 1.818, 2.29, 14.06),  # both views of an image together
        (40.0, 2.11, 1.598, 1.818, 2.29, 6.0),
        (40.0, 6.09, 11.39, 7.2, 7.2, 25.31),  # SDXL: one at a time
    ],
)
def test_pictures_take_their_memory_beside_recorded_passes(
    free: float, held: float, stays: float, one: float, several: float, seen: float
) -> None:
    """GiB that were seen on an H100; two pictures together take less than twice as much as one."""
    left = Room(
        round((free - held) * GIB), round(held * GIB), 0, round(one * GIB), round(several * GIB), 1 + (several > one)
    )
    assert left.peak(round(stays * GIB), round(stays * GIB)) == pytest.approx(seen * GIB, rel=0.05)


def test_pictures_use_what_passes_that_are_not_recorded_give_back() -> None:
    assert Room(40 * GIB, 2 * GIB, 0, 3 * GIB, 6 * GIB, 2).peak(5 * GIB, 0) == 8 * GIB
    assert Room(40 * GIB, 2 * GIB, 0, 1 * GIB, 2 * GIB, 2).peak(5 * GIB, 0) == 7 * GIB


def test_a_number_of_pictures_between_has_its_share() -> None:
    assert Room(12 * GIB, 0, 0, 4 * GIB, 10 * GIB, 4).peak(0, 0) == 6 * GIB


def test_what_a_stage_took_in_want_is_not_remembered(tmp_path: Path) -> None:
    found: list[int] = []
    for holds in (False, True, False):
        remembered = Remembered(tmp_path / "measured.json", {})
        measured = (len(found), holds)
        found.append(remembered.stage("2 through the VAE", partial(lambda each: each, measured)))
        remembered.keep()
    assert found == [0, 1, 1]
