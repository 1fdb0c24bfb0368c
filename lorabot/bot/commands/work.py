"""What there is to do in a job, counted in what its time depends on: steps, rows, pixels, pictures."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from lorabot.presets import Bases, Recipe
from lorabot.queue.model import Job, JsonObject, NewJob

_PAIRS = 16
"""Times that an image is looked at in each validation; it only has to be the same everywhere."""
_SECONDS = "seconds_"
COUNTED = frozenset({"captioning", "encoding", "preserving", "training", "validation", "sampling"})
"""Parts whose size is known beforehand; the others, such as loading and writing, cost about the same every time."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the things a job's time goes into: ``count`` times something that takes the longer the larger ``size``.

    A size is in pixels that go through a model, unless it is a number of images.
    """

    count: float
    size: float


@dataclass(frozen=True, slots=True)
class Course:
    """What the trainer's settings add: how often it validates and draws samples, at the start and the end too."""

    measured: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Work:
    """A job's parts, by the names that the trainer gives them.

    ``alike`` is what else makes a step dear: where it differs, so does the price of the same size.
    """

    base: str
    alike: tuple[object, ...]
    parts: Mapping[str, Part]


@dataclass(frozen=True, slots=True)
class Done:
    """A job that was done, on which device, and the seconds by what they went into.

    ``peak_bytes`` is what it took of the card's memory, ``error`` how far the estimate was off, as a share of it.
    """

    device: str
    work: Work
    seconds: Mapping[str, float]
    course: Course
    peak_bytes: int | None
    error: float | None


def recipe_of(job: NewJob, bases: Bases) -> Recipe | None:
    """The recipe that ``job`` is trained by; None where its snapshot is of another version, or its base is gone."""
    base, recipes = bases.get(job.base), job.preset.get("recipes")
    given = recipes.get(base.family) if base is not None and isinstance(recipes, dict) else None
    try:
        return Recipe.model_validate(given)
    except ValidationError:
        return None


def work_of(base: str, recipe: Recipe, images: int, labelled: int, course: Course) -> Work:
    """What a training by ``recipe`` on ``base`` consists of, with so many ``images``, ``labelled`` ones by CLIP."""
    pixels = recipe.resolution**2
    rows = recipe.batch + (recipe.preserve.rows if recipe.preserve else 0)
    steps = -(-recipe.views // recipe.batch)
    views = recipe.crops * (2 if recipe.flip else 1)
    drawn = min(course.drawn, steps + 1) * recipe.sample_steps
    parts = {
        "captioning": Part(1, labelled if recipe.caption.method == "zero-shot" else 0),
        "encoding": Part(1, images * views * pixels),
        "training": Part(steps, rows * pixels),
        "validation": Part(min(course.measured, steps + 1), _PAIRS * images * pixels),
        "sampling": Part(drawn, 2 * len(recipe.sample_prompts) * pixels),
    }
    if recipe.preserve:
        parts["preserving"] = Part(recipe.preserve.steps, 2 * recipe.preserve.pictures * pixels)
    alike = (recipe.layers, recipe.dora, recipe.dropout > 0, recipe.checkpointing, recipe.text_encoder_lr > 0)
    return Work(base, alike, parts)


def done_in(job: Job, bases: Bases) -> Done | None:
    """What ``job`` was and took, by its summary; None where that does not say, as in a job of an older lorabot."""
    recipe, summary = recipe_of(job, bases), job.outcome.summary if job.outcome else {}
    seconds = {
        name.removeprefix(_SECONDS): float(value)
        for name, value in summary.items()
        if name.startswith(_SECONDS) and isinstance(value, int | float)
    }
    images, labelled, measured, drawn = (whole(summary, key) for key in ("images", "labelled", "measured", "drawn"))
    if recipe is None or "training" not in seconds or not images or not measured or not drawn or labelled is None:
        return None
    course = Course(measured, drawn)
    work = work_of(job.base, recipe, images, labelled, course)
    error = summary.get("estimate_error")
    return Done(
        str(summary.get("device")),
        work,
        {name: spent for name, spent in seconds.items() if name not in COUNTED or name in work.parts},
        course,
        whole(summary, "peak_bytes"),
        float(error) if isinstance(error, int | float) else None,
    )


def whole(values: JsonObject, key: str) -> int | None:
    """The whole number at ``key``, if there is one."""
    value = values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
