"""The plan's rules."""

from dataclasses import replace
from typing import Any

import pytest

from lorabot.locale import translator
from lorabot.trainer.buckets import Bucket, Filled, Sorted
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.devices import Card
from lorabot.trainer.errors import OutOfMemory
from lorabot.trainer.memory import DoesNotFit, Fitted, Fitting, Measured, on_processor
from lorabot.trainer.planning import Hardware, Plan, hold_out, moved, plan
from tests.trainer.conftest import tiny_preset

EVERYTHING: dict[str, Any] = {"text_encoder_lr": 1e-5, "wide": 3, "small": 1, "checkpointing": True}
SAID = {"plan-buckets", "plan-enlarged", "plan-checkpointing"}
CPU = Hardware("cpu", "a processor", "fp32")
CARD = Hardware("cuda:0", "a card", "bf16", Card(0, "GPU-1", "a card", 8 << 30, 3 << 30, ()), "chrome (3.1 GB)")


def make(
    images: int = 12,
    hardware: Hardware = CPU,
    most: int = 64,
    config: TrainerConfig | None = None,
    wide: int = 0,
    small: int = 0,
    **recipe: object,
) -> Plan:
    """``wide`` of the images are in a bucket of their own, ``small`` ones are too small for any."""

    def measure(fitting: Fitting) -> Measured:
        if fitting.batch > most:
            raise DoesNotFit
        return Measured(0.1 * fitting.batch)

    sorted_in = Sorted((Bucket(64, 64),) * (images - wide) + (Bucket(96, 32),) * wide, tuple(range(small)))
    wanted, file_bytes = tiny_preset(**recipe).recipes["demo"], 9_440_000

    def fit(rows: int) -> Fitted:
        return on_processor(rows, measure, wanted.checkpointing)

    return plan(wanted, sorted_in, 7, hardware, config or TrainerConfig(), fit, file_bytes)


def codes(made: Plan) -> list[str]:
    return [reason.code for reason in made.reasons]


def test_steps_are_the_budget_of_views_divided_by_the_batch() -> None:
    made = make(views=1200, batch=4)
    assert (made.steps, made.effective_batch, made.accumulation) == (300, 4, 1)
    assert make(views=10, batch=4).steps == 3


def test_a_batch_that_does_not_fit_is_accumulated_to_the_same_effect() -> None:
    made = make(views=1200, batch=6, most=4)
    assert (made.batch, made.accumulation, made.effective_batch, made.steps) == (3, 2, 6, 200)
    assert "plan-batch-split" in codes(made)
    assert made.step_s == pytest.approx(0.6)


def test_where_not_even_one_image_fits_the_holders_are_named() -> None:
    with pytest.raises(OutOfMemory) as caught:
        make(hardware=CARD, most=0)
    assert caught.value.message.params == {"holders": "chrome (3.1 GB)"}


def test_the_estimate_is_the_probe_times_the_steps() -> None:
    made = make(views=1200, batch=4)
    assert made.estimate_s == pytest.approx(300 * 0.4)


@pytest.mark.parametrize(("images", "held"), [(1, 0), (9, 0), (10, 2), (24, 2), (40, 4), (500, 8)])
def test_images_are_held_out_from_ten_on(images: int, held: int) -> None:
    split = hold_out(images, 7)
    assert len(split.held_out) == held
    assert sorted((*split.training, *split.held_out)) == list(range(images))


def test_the_same_seed_holds_out_the_same_images() -> None:
    assert hold_out(30, 1) == hold_out(30, 1)
    assert len({hold_out(30, seed) for seed in range(8)}) > 1


def test_samples_lie_between_and_validations_end_with_the_last_step() -> None:
    made = make(views=1200, batch=4)
    assert made.sample_at == (100, 200)
    assert made.validate_at[-1] == 300
    assert len(made.validate_at) == 10
    assert make(config=TrainerConfig(sample_rounds=0)).sample_at == ()


def test_a_card_without_bfloat16_trains_in_32_bits_and_says_why() -> None:
    old = replace(CARD, precision="fp32")
    assert "plan-precision-no-bf16" in codes(make(hardware=old))
    assert "plan-precision-no-bf16" not in codes(make())


def test_a_very_short_training_measures_each_step_at_most_once() -> None:
    made = make(views=2, batch=1, warmup=0.5)
    assert made.validate_at == (1, 2)
    assert made.warmup_steps == 1


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_decision_has_a_reason_with_a_sentence(language: str) -> None:
    say = translator(language)
    for made in (make(), make(images=3), make(hardware=CARD, most=1, **EVERYTHING)):
        for code in ("plan-resolution", "plan-steps", "plan-rate", "plan-estimate", f"plan-precision-{made.precision}"):
            assert code in codes(made)
        for reason in made.reasons:
            sentence = say.text(reason)
            assert sentence != reason.code
            assert "{" not in sentence
    assert "plan-none-held-out" in codes(make(images=3))
    assert {"plan-card", "plan-card-shared", "plan-text-encoder", *SAID} <= set(
        codes(make(hardware=CARD, most=1, **EVERYTHING))
    )


def test_the_buckets_are_in_the_plan_with_their_counts_and_said_where_they_are_not_all_squares() -> None:
    made = make(images=12, wide=3)
    assert made.buckets == (Filled(64, 64, 9), Filled(96, 32, 3))
    assert not SAID & set(codes(make()))


def test_going_on_elsewhere_keeps_what_is_learnt_and_fits_the_batch_anew() -> None:
    made = make(views=1200, batch=4)
    assert moved(made, CPU, lambda rows: pytest.fail("no probe is needed on the same machine")) == made

    elsewhere = moved(made, CARD, lambda rows: Fitted(Fitting(2), 1.0))
    assert (elsewhere.batch, elsewhere.accumulation, elsewhere.steps) == (2, 2, made.steps)
    assert elsewhere.split == made.split
    assert elsewhere.precision == "bf16"
    assert elsewhere.reasons[-1].code == "plan-moved"

    assert moved(elsewhere, CARD, lambda rows: Fitted(Fitting(2), 1.0)).reasons == elsewhere.reasons
    fuller = moved(elsewhere, CARD, lambda rows: Fitted(Fitting(1, checkpointing=True, offloading=True), 1.0))
    assert [message.code for message in fuller.reasons[len(elsewhere.reasons) :]] == [
        "plan-moved",
        "plan-checkpointing-fits",
        "plan-offloading",
    ]
