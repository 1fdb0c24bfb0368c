"""The choice of the checkpoint, and the curves that people see."""

import math

import pytest

from lorabot.trainer.course import KEPT, Candidate, Course, candidate_from, choose
from lorabot.trainer.curves import MOST_POINTS, for_people, smooth, thin


def proposed(*losses: float) -> Course:
    course = Course()
    for step, loss in enumerate(losses, start=1):
        course.propose(Candidate(step, loss, {}))
    return course


def test_the_lowest_validation_loss_is_chosen_and_the_earlier_of_two_equal_ones() -> None:
    assert choose(proposed(0.5, 0.3, 0.4)).step == 2
    assert choose(proposed(0.5, 0.3, 0.3)).step == 2


def test_only_the_best_few_are_kept() -> None:
    course = proposed(0.5, 0.4, 0.3, 0.2, 0.6, 0.1)
    assert [candidate.step for candidate in course.candidates] == [6, 4, 3]
    assert len(course.candidates) == KEPT


def test_what_is_not_a_number_is_never_chosen() -> None:
    assert choose(proposed(math.nan, 0.4, math.inf)).step == 2


def test_states_of_the_first_half_are_not_candidates() -> None:
    assert (candidate_from(300), candidate_from(1), candidate_from(7)) == (150, 1, 4)


def test_skipped_steps_are_counted_in_a_row() -> None:
    course = Course(losses=[0.1, None, 0.2, None, None])
    assert (course.skipped, course.skipped_in_a_row()) == (3, 2)
    assert Course(losses=[None, None]).skipped_in_a_row() == 2
    assert Course().skipped_in_a_row() == 0


def test_smoothing_starts_at_the_first_value_and_follows_the_level() -> None:
    means = smooth([1.0] * 50 + [2.0] * 200, 10)
    assert means[0] == pytest.approx(1.0)
    assert means[49] == pytest.approx(1.0)
    assert means[-1] == pytest.approx(2.0)


def test_a_skipped_step_repeats_the_mean() -> None:
    assert smooth([None, 1.0, None, math.nan], 5) == [None, pytest.approx(1.0), pytest.approx(1.0), pytest.approx(1.0)]


def test_a_thinned_curve_is_short_and_keeps_its_end() -> None:
    points = [(step, 0.1) for step in range(1, 4001)]
    thinned = thin(points)
    assert len(thinned) == MOST_POINTS
    assert thinned[-1] == (4000, 0.1)
    assert thin(points[:5]) == tuple(points[:5])


def test_people_see_a_curve_that_is_calmer_than_the_losses() -> None:
    losses = [0.2 + (0.1 if step % 2 else -0.1) for step in range(1000)]
    curve = for_people(losses)
    assert len(curve) == MOST_POINTS
    assert max(abs(value - 0.2) for _, value in curve[20:]) < 0.02
