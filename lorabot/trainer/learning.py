"""The part of a job that one recipe decides: plan, look at the images, train, draw the last pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from lorabot.locale import Message
from lorabot.presets import Recipe
from lorabot.trainer import adapter
from lorabot.trainer.attempt import Attempt, Opened, open_base
from lorabot.trainer.course import Course, choose
from lorabot.trainer.descent import Descent
from lorabot.trainer.encoding import encode
from lorabot.trainer.export import model_hash, rounded
from lorabot.trainer.fitting import Outlook, look, plan_to_fit
from lorabot.trainer.infotext import Lora
from lorabot.trainer.naming import file_name
from lorabot.trainer.planning import megabytes
from lorabot.trainer.preserving import Preserved, preserve, prompts
from lorabot.trainer.resume import ResumeState
from lorabot.trainer.sampling import Settings, settings
from lorabot.trainer.showing import draw, show
from lorabot.trainer.training import Setup, Watch, batches_of, train


@dataclass(frozen=True, slots=True)
class Learnt:
    """A training that came to its end. ``state`` is the adapter after step ``chosen``, ``last_pictures`` are its.

    ``descent`` has the plan as it was in the end. ``peak``: the most that was held of the card since it was planned,
    in bytes; None without one.
    """

    descent: Descent
    course: Course
    chosen: int
    state: adapter.State
    last_pictures: tuple[bytes, ...]
    prompts: tuple[str, ...]
    peak: int | None


def learn(attempt: Attempt, recipe: Recipe, saved: ResumeState | None, given_up: Sequence[Message]) -> Learnt:
    """Train as ``recipe`` says, from the beginning or from what was ``saved``.

    ``given_up``: what was said about what this recipe has less than the job's. Raises ``OutOfMemory`` where no plan of
    this recipe fits; what was learnt until then is in the attempt's saver.
    """
    with open_base(attempt, recipe) as opened:
        attempt.control.check()
        attempt.teller.stage("planning")
        outlook = look(opened)
        descent = plan_to_fit(opened, outlook, saved, given_up)
        course = saved.course.copy() if saved else Course()  # what was saved may be gone on from once more
        setup, wanted = _set_up(opened, outlook, descent, course.step)
        if saved:
            adapter.write(opened.modules, saved.adapter)
            for step, pictures in sorted(course.pictures.items()):
                show(attempt.job, step, pictures, wanted, attempt.emit)
        going_on = saved is not None and saved.plan.optimiser == descent.plan.optimiser
        attempt.teller.training(course, descent.plan.steps, None)
        train(setup, course, saved.moments if saved and going_on else None, _watch(opened, setup, descent, wanted))

        attempt.teller.stage("evaluating", "evaluating-note-sampling")
        best = choose(course)
        state = rounded(best.state, recipe.save_precision)
        adapter.write(opened.modules, state)
        last = _last_pictures(opened, setup, descent, wanted, state)
        peak = opened.gauge.peak() if opened.hardware.card is not None else None
    return Learnt(descent, course, best.step, state, last, tuple(prompt.text for prompt in wanted.prompts), peak)


def _set_up(opened: Opened, outlook: Outlook, descent: Descent, done: int) -> tuple[Setup, Settings]:
    """Encode the images, and draw what is to be preserved, ``done`` steps after the beginning; and how samples are."""
    attempt, recipe = opened.attempt, opened.recipe
    job, base, clock, check = attempt.job, attempt.base, attempt.clock, attempt.control.check
    attempt.teller.stage("training", "training-note-encoding", megabytes=megabytes(outlook.file_bytes))
    with clock.running("encoding"):
        cache = job.cache or job.folder / "latents"
        buckets, told, where = outlook.sorted_in.buckets, outlook.told, outlook.where
        encoded = descent.through(
            lambda: encode(
                base,
                job.images,
                buckets,
                told,
                recipe,
                job.seed,
                where,
                cache,
                attempt.control,
                opened.autoencoder,
                descent.say,
            ),
            done,
        )
        wanted = descent.through(
            lambda: settings(base, attempt.towers, job.recipe, base.scheduler, job.trigger, job.seed), done
        )
    preserved: Preserved | None = None
    if recipe.preserve:
        attempt.teller.stage("training", "training-note-preserving")
        with clock.running("preserving"):
            texts = [each.text for each in attempt.captions]
            drawn, steps = prompts(recipe.preserve, texts, job.trigger, job.seed), recipe.preserve.steps
            preserved = descent.through(
                lambda: preserve(
                    base, attempt.towers, opened.modules, opened.denoise, recipe, drawn, steps, job.seed, check
                ),
                done,
            )
    batches = batches_of(encoded, descent.plan, job.seed)
    setup = Setup(base, opened.modules, opened.denoise, encoded, batches, descent.plan, recipe, job.seed, preserved)
    return setup, wanted


def _watch(opened: Opened, setup: Setup, descent: Descent, wanted: Settings) -> Watch:
    attempt = opened.attempt

    def pictures(step: int) -> tuple[bytes, ...]:
        attempt.teller.stage("training", "training-note-sampling")
        with attempt.clock.running("sampling"):
            return draw(attempt.job, setup, wanted, step, attempt.control, attempt.emit, opened.autoencoder)

    return Watch(
        check=attempt.control.check,
        progress=lambda now, rate: attempt.teller.training(now, setup.plan.steps, rate),
        pictures=pictures,
        saving_due=attempt.saver.due,
        save=lambda now, moments: attempt.saver.save(descent.plan, opened.modules, now, moments),
        timed=attempt.clock.add,
        make_room=descent.down,
        stepped=descent.stepped,
    )


def _last_pictures(
    opened: Opened, setup: Setup, descent: Descent, wanted: Settings, state: adapter.State
) -> tuple[bytes, ...]:
    """Those of the adapter's ``state`` that is kept, which is on the model now."""
    attempt, made = opened.attempt, setup.plan
    job, base, precision = attempt.job, attempt.base, opened.recipe.save_precision
    with attempt.clock.running("sampling"):
        lora = Lora(file_name(job.name), model_hash(state, base.family, base.unet, made.alpha, precision))
        return descent.through(
            lambda: draw(job, setup, wanted, made.steps, attempt.control, attempt.emit, opened.autoencoder, lora),
            made.steps,
        )
