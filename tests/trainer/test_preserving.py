"""What the base draws by itself is held on to while the adapter learns something else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lorabot.presets import Preserve, Recipe
from lorabot.trainer import adapter, wire
from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.buckets import Bucket, Sorted
from lorabot.trainer.captioning import Caption
from lorabot.trainer.control import Control
from lorabot.trainer.course import Course
from lorabot.trainer.denoising import Denoiser, plain
from lorabot.trainer.encoding import Encoded, encode, tell
from lorabot.trainer.errors import Cancelled
from lorabot.trainer.job import run
from lorabot.trainer.loss import losses, schedule
from lorabot.trainer.models import Models
from lorabot.trainer.planning import Hardware, plan
from lorabot.trainer.preserving import UNPROMPTED, Preserved, preserve, prompts
from lorabot.trainer.training import Setup, Watch, batches_of, train
from tests.trainer.conftest import QUICK, draw_images, make_job, tiny_preset, tiny_recipe
from tests.trainer.lessons import fits, no_room

WORLD = Preserve(
    prompts=("a {red|green|blue} {cat|dog|bear} in the {city|desert}, {pixel art|clay render}", "a {house|car}"),
    pictures=8,
    steps=5,
    rows=2,
    weight=1.0,
)
STEPS = 24
HARDWARE = Hardware("cpu", "a processor", "fp32")
CPU = torch.device("cpu")
SQUARES = Sorted((Bucket(64, 64),) * 2, ())


def recipe_of(**changes: object) -> Recipe:
    """Attention alone, on 64 pixels."""
    return tiny_preset(layers="attention", views=2 * STEPS, batch=2, noise_offset=0.0, **changes).recipe("demo")


@contextmanager
def worn(models: Models, recipe: Recipe) -> Iterator[Denoiser]:
    with adapter.attached(modules_of(models), recipe, 0):
        yield plain(models.base().unet, "fp32")


def drawn(models: Models, denoise: Denoiser, seed: int) -> Preserved:
    base, recipe, wanted = models.base(), recipe_of(), prompts(WORLD, (), "zuri", seed)
    return preserve(base, base.towers, modules_of(models), denoise, recipe, wanted, WORLD.steps, seed, lambda: None)


def modules_of(models: Models) -> adapter.Modules:
    return {"unet": models.base().unet}


@dataclass(frozen=True, slots=True)
class Learnt:
    """The losses of the steps, the fixed loss at the end, and how far fresh pictures without trigger have moved."""

    losses: list[float | None]
    end: float
    moved: float


def taught(
    models: Models,
    encoded: Encoded,
    recipe: Recipe,
    preserved: Preserved | None,
    steps: int,
    batch: int,
    fresh: Preserved,
) -> Learnt:
    """Train ``steps`` steps on ``encoded`` with ``batch`` rows at once."""
    base = models.base()
    made = plan(recipe, SQUARES, 1, HARDWARE, QUICK, fits, 0)
    made = replace(made, batch=batch, steps=steps, sample_at=(), validate_at=(steps,))
    watch = Watch(
        check=lambda: None,
        progress=lambda *_: None,
        pictures=lambda _: (),
        saving_due=lambda: False,
        save=lambda *_: None,
        timed=lambda *_: None,
        make_room=no_room,
        stepped=lambda *_: made,
    )
    with worn(models, recipe) as denoise:
        batches = batches_of(encoded, made, 1)
        setup = Setup(base, modules_of(models), denoise, encoded, batches, made, recipe, 1, preserved)
        course = train(setup, Course(), None, watch)
        with torch.no_grad():
            predicted = denoise(fresh.noisy, fresh.timesteps, fresh.texts.take(fresh.prompts))
    return Learnt(course.losses, course.validation[-1][1], float((predicted - fresh.prompted).square().mean()))


@pytest.fixture(scope="module")
def encoded(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    folder, base, recipe = tmp_path_factory.mktemp("images"), models.base(), recipe_of(flip=False)
    told = tell(base.towers, [Caption("zuri", "person"), Caption("zuri in a forest", "person")], recipe, 1, CPU)
    return encode(
        base, draw_images(folder, 2), SQUARES.buckets, told, recipe, 1, "memory", folder, Control(), Autoencoder(base)
    )


@pytest.fixture(scope="module")
def fresh(models: Models) -> Preserved:
    """Other pictures than those that are held on to."""
    with worn(models, recipe_of()) as denoise:
        return drawn(models, denoise, 2)


@pytest.fixture(scope="module")
def preserved(models: Models) -> Preserved:
    with worn(models, recipe_of()) as denoise:
        return drawn(models, denoise, 1)


def test_prompts_take_turns_and_one_of_each_choice_by_the_seed() -> None:
    found = prompts(WORLD.model_copy(update={"pictures": 40}), (), "zuri", 3)
    assert set(found[1::2]) == {"a house", "a car"}
    assert {text.split()[1] for text in found[::2]} == {"red", "green", "blue"}
    assert not any(sign in text for text in found for sign in "{}|")
    assert found[:8] == prompts(WORLD, (), "zuri", 3), "more pictures leave the first ones as they were"
    assert found != prompts(WORLD.model_copy(update={"pictures": 40}), (), "zuri", 4)


@pytest.mark.parametrize("broken", ["a {red}", "a {red|{dark|light} blue}", "a {red|blue", "a red} cat", "{trigger}"])
def test_braces_that_hold_no_choice_are_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="braces hold a choice"):
        Preserve(prompts=(broken,), pictures=1, steps=1, rows=1, weight=1.0)


def test_a_prompt_takes_the_captions_in_turn_without_their_trigger() -> None:
    recipe = Preserve(prompts=("{caption}, {pixel art|ink}", "a dog"), pictures=5, steps=1, rows=1, weight=1.0)
    captions = ("Zuri, in a forest", "a zuri with a zuriline hat")
    found = prompts(recipe, captions, "zuri", 0)
    assert [text.rpartition(", ")[0] for text in found[::2]] == ["in a forest", "a with a zuriline hat", "in a forest"]
    assert found[1::2] == ("a dog", "a dog")
    assert prompts(recipe, ("zuri",), "zuri", 0)[0] in {"pixel art", "ink"}


def test_an_empty_choice_leaves_no_gap() -> None:
    recipe = Preserve(prompts=("a cat {|} sleeping {|}, ink drawing",), pictures=1, steps=1, rows=1, weight=1.0)
    assert prompts(recipe, (), "zuri", 0) == ("a cat sleeping, ink drawing",)


def test_the_states_lie_on_the_bases_own_way_whatever_the_adapter_does(models: Models, preserved: Preserved) -> None:
    assert len(preserved.noisy) == WORLD.pictures * WORLD.steps
    assert preserved.timesteps.diff().max() <= 0, "from noise to picture"
    assert len(set(preserved.timesteps.tolist())) > WORLD.steps, "not all pictures by the same timesteps"
    base = models.base()
    with worn(models, recipe_of()) as denoise:
        for _, parameter in adapter.parameters(modules_of(models)):
            parameter.data.normal_(std=0.1)
        again = drawn(models, denoise, 1)
        conditions = preserved.texts.take(preserved.prompts)
        moved = denoise(preserved.noisy, preserved.timesteps, conditions).detach()
    assert torch.equal(again.noisy, preserved.noisy)
    assert torch.equal(again.unprompted, preserved.unprompted)
    own = plain(base.unet, "fp32")(preserved.noisy, preserved.timesteps, conditions)
    assert torch.allclose(own, preserved.prompted, atol=1e-4)
    assert not torch.allclose(moved, preserved.prompted, atol=1e-2)
    last = preserved.noisy[-WORLD.pictures :].std()
    assert last < preserved.noisy[: WORLD.pictures].std(), "the noise has become pictures"


def test_a_steps_rows_depend_on_seed_and_step_alone_and_are_spread_over_the_way(
    models: Models, preserved: Preserved
) -> None:
    process = schedule(models.base().scheduler, tiny_recipe(), torch.device("cpu"))
    every = [preserved.rows(5, step, 4, 3.0, process) for step in range(50)]
    assert torch.equal(every[7].noisy, preserved.rows(5, 7, 4, 3.0, process).noisy)
    assert not torch.equal(every[7].noisy, preserved.rows(6, 7, 4, 3.0, process).noisy)
    for rows in every:
        assert rows.timesteps.max() - rows.timesteps.min() > 300
        assert torch.equal(rows.weight, 3 * process.weight[rows.timesteps])
    empty = preserved.texts.states[-1]
    alone = torch.cat([(rows.conditions.states == empty).all(dim=(1, 2)) for rows in every])
    assert float(alone.float().mean()) == pytest.approx(UNPROMPTED, abs=0.1)


def test_before_the_first_step_nothing_is_lost(models: Models, preserved: Preserved) -> None:
    process = schedule(models.base().scheduler, tiny_recipe(), torch.device("cpu"))
    with worn(models, recipe_of()) as denoise, torch.no_grad():
        assert losses(denoise, preserved.rows(1, 0, 8, 1.0, process), process).max() < 1e-8


def test_what_the_base_draws_moves_less_while_the_images_are_learnt_as_well(
    models: Models, encoded: Encoded, preserved: Preserved, fresh: Preserved
) -> None:
    alone = taught(models, encoded, recipe_of(), None, STEPS, 2, fresh)
    recipe = recipe_of(preserve=WORLD.model_copy(update={"weight": 2.0}))
    held = taught(models, encoded, recipe, preserved, STEPS, 4, fresh)
    assert held.moved < 0.7 * alone.moved
    assert held.end < 1.1 * alone.end


def test_a_split_batch_learns_the_same_rows(
    models: Models, encoded: Encoded, preserved: Preserved, fresh: Preserved
) -> None:
    recipe = recipe_of(preserve=WORLD).model_copy(update={"batch": 4})
    whole = taught(models, encoded, recipe, preserved, 2, 6, fresh)
    for batch in (2, 3):
        split = taught(models, encoded, recipe, preserved, 2, batch, fresh)
        assert split.losses == pytest.approx(whole.losses, rel=1e-4)
        assert split.moved == pytest.approx(whole.moved, rel=1e-2)


@pytest.mark.slow
def test_a_resumed_job_makes_the_same_pictures_again_and_goes_on_exactly(models: Models, tmp_path: Path) -> None:
    preset = tiny_preset(
        views=4, sample_steps=1, layers="attention", preserve=WORLD.model_copy(update={"pictures": 2, "steps": 3})
    )
    whole = make_job(tmp_path / "whole", preset=preset)
    saved: list[Path] = []

    def keep(event: wire.Event) -> None:
        if isinstance(event, wire.CheckpointMade):
            saved.append(event.path)

    done = run(whole, models, QUICK.model_copy(update={"checkpoint_s": 0}), Control(), keep)
    job = whole.model_copy(update={"folder": tmp_path / "again", "resume": saved[0]})
    again = run(job, models, QUICK, Control(), lambda _: None)
    assert report_of(again)["training"]["loss"] == report_of(done)["training"]["loss"]
    assert report_of(done)["plan"]["preserved"] == WORLD.rows
    assert "plan-preserved" in {reason["code"] for reason in report_of(done)["plan"]["reasons"]}
    assert report_of(done)["seconds"]["preserving"] > 0


def test_a_cancel_is_heard_while_the_base_draws(models: Models) -> None:
    control = Control()
    heard: list[int] = []

    def check() -> None:
        heard.append(1)
        if len(heard) == 3:
            control.cancel()
        control.check()

    base = models.base()
    with worn(models, recipe_of()) as denoise, pytest.raises(Cancelled):
        preserve(base, base.towers, modules_of(models), denoise, recipe_of(), ["a cat"] * 9, 5, 1, check)
    assert len(heard) == 3
    assert adapter.parameters(modules_of(models)) == []


def report_of(done: wire.Done) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(
        next(file.path for file in done.files if file.kind == "report_json").read_text()
    )
    return report
