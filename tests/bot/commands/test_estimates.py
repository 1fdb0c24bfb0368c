"""Estimates come close where jobs behave as jobs do: fixed costs, costs by size, chance, and an odd one out."""

import random
from collections.abc import Mapping
from dataclasses import replace
from statistics import median

import pytest

from lorabot.bot.card import range_text
from lorabot.bot.commands.estimates import Estimate, estimate, with_estimate
from lorabot.bot.commands.prices import price
from lorabot.bot.commands.work import Course, Done, Part, Work, work_of
from lorabot.locale import translator
from lorabot.presets import Recipe, load_presets

COURSE = Course(measured=11, drawn=4)
PRESETS = load_presets().presets
PRICES = {  # seconds at no size at all, and by a million of size
    "captioning": (0.1, 20_000.0),
    "encoding": (0.2, 3.0),
    "preserving": (0.01, 0.02),
    "training": (0.06, 2.1),
    "validation": (0.02, 0.3),
    "sampling": (0.02, 1.1),
}


def recipe(preset: str = "anime", **changes: object) -> Recipe:
    return Recipe.model_validate(PRESETS[preset].recipes["demo"].model_dump() | changes)


def seconds_of(work: Work, chance: random.Random) -> Mapping[str, float]:
    """How long a machine with these prices takes, give or take 5 %."""
    parts = {
        name: part.count * (PRICES[name][0] + PRICES[name][1] * part.size / 1e6) * chance.uniform(0.95, 1.05)
        for name, part in work.parts.items()
    }
    return {**parts, "preparing": 0.0, "exporting": chance.uniform(2, 3)}


def done(work: Work, seconds: Mapping[str, float], error: float | None = None, peak: int | None = None) -> Done:
    return Done("a processor", work, seconds, COURSE, peak, error)


def various() -> list[Work]:
    """Jobs of different presets, lengths, batches, resolutions and numbers of images."""
    kinds = [
        (recipe(), 12),
        (recipe("portrait", views=600), 20),
        (recipe(views=300, batch=2), 8),
        (recipe("style", resolution=64, views=480), 30),
        (recipe(views=1200, batch=4), 16),
        (recipe("pet", views=240, batch=3), 10),
        (recipe(preserve=None, views=600), 12),
        (recipe("product", resolution=192, views=120, batch=4), 9),
        (recipe(views=2400, sample_steps=10), 40),
        (recipe("character", views=900, batch=8), 25),
    ]
    return [work_of("demo", each, images, images, COURSE) for each, images in kinds]


def test_different_jobs_are_estimated_well_after_a_few_of_them() -> None:
    chance = random.Random(3)
    past: list[Done] = []
    errors = []
    for work in various():
        truth = seconds_of(work, chance)
        if past:
            errors.append(abs(sum(truth.values()) / estimate(work, past).seconds - 1))
        past.insert(0, done(work, truth))
    assert median(errors) < 0.1
    assert max(errors[2:]) < 0.35


def test_jobs_that_did_not_preserve_leave_out_what_it_costs() -> None:
    with_it, without = (work_of("demo", each, 12, 12, COURSE) for each in (recipe(), recipe(preserve=None)))
    past = [done(with_it, {"training": 100.0, "preserving": 50.0, "exporting": 2.0})]
    expected = estimate(without, past).seconds
    assert expected == pytest.approx(2 + 100 * without.parts["training"].size / with_it.parts["training"].size)


def test_one_job_on_a_busy_machine_bends_no_estimate() -> None:
    work = various()[0]
    past = [done(work, {"training": seconds}) for seconds in (100.0, 900.0, 102.0)]
    assert estimate(work, past).seconds == pytest.approx(102)


def test_a_price_has_a_fixed_part_and_never_falls_with_size() -> None:
    points = [(Part(10, size), 10 * (0.5 + 0.01 * size)) for size in (10, 20, 40)]
    assert price(points, Part(3, 100)) == pytest.approx(3 * 1.5)
    assert price([(Part(1, 10), 8.0), (Part(1, 100), 2.0)], Part(1, 50)) == pytest.approx(5)
    assert price([(Part(1, 10), 1.0)], Part(1, 50)) == 5
    assert price([], Part(1, 50)) == 0


def test_the_range_is_what_past_estimates_kept_to() -> None:
    work = various()[0]

    def spread(*errors: float) -> float:
        found = estimate(work, [done(work, {"training": 100.0}, error) for error in errors])
        return found.high / found.seconds - 1

    assert spread(0.0) == pytest.approx(0.15)
    assert spread(0.0, 0.01, -0.02, 0.0, 0.0) == pytest.approx(0.1)
    assert spread(0.2, -0.2, 0.2, -0.2, 0.2) == pytest.approx(0.2)
    assert spread(*([3.0] * 5)) == pytest.approx(0.35)


def test_jobs_trained_in_another_way_make_it_rough_and_tell_no_memory() -> None:
    work = various()[0]
    past = [done(work, {"training": 100.0}, peak=5_000)]
    near = estimate(work, past)
    assert (near.seconds, near.basis, near.peak_bytes) == (100, "alike", 5_000)
    far = estimate(replace(work, alike=("attention",)), past)
    assert (far.seconds, far.basis, far.peak_bytes) == (100, "others", None)
    assert far.low < near.low < near.high < far.high


def test_an_estimate_is_kept_among_the_options_and_replaces_an_older_one() -> None:
    kept = with_estimate({"other": 1, "estimate": {"seconds": 3.0}}, Estimate(100.0, 85.0, 115.0))
    assert kept["other"] == 1
    assert kept["estimate"] == {"seconds": 100.0, "low": 85.0, "high": 115.0, "basis": "alike", "peak_bytes": None}
    assert with_estimate(kept, None) == {"other": 1}


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (26, 44, "25 to 45 seconds"),
        (58, 62, "about 60 seconds"),
        (95, 130, "about 2 minutes"),
        (240, 360, "4 to 6 minutes"),
        (3000, 4000, "about 58 minutes"),
        (5400, 9000, "1.5 to 2.5 hours"),
    ],
)
def test_a_range_is_said_as_people_say_it(low: float, high: float, text: str) -> None:
    assert range_text(low, high, translator("en")) == text
