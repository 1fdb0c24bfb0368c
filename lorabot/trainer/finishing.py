"""Stage: writes a job's files: the LoRA, the loss plot, the sample grid and the report."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from lorabot.locale import Translator
from lorabot.trainer.adapter import State
from lorabot.trainer.bases import BaseModel
from lorabot.trainer.captioning import Caption
from lorabot.trainer.course import Course
from lorabot.trainer.encoding import listening
from lorabot.trainer.events import write_events
from lorabot.trainer.export import Description, export
from lorabot.trainer.grid import draw_grid
from lorabot.trainer.lettering import drawable
from lorabot.trainer.naming import file_name
from lorabot.trainer.planning import Plan
from lorabot.trainer.plotting import LossPlot, plot_losses
from lorabot.trainer.report import LoraFile, Report, language_of, plan_section, write_json, write_markdown
from lorabot.trainer.telling import Stopwatch
from lorabot.trainer.wire import Done, MadeFile, TrainingJob


@dataclass(frozen=True, slots=True)
class Finished:
    """A training that came to its end. ``state`` is the adapter after step ``chosen``, ``last_pictures`` are its.

    ``peak``: the most that was held of the card, in bytes; None without one.
    """

    job: TrainingJob
    base: BaseModel
    plan: Plan
    captions: tuple[Caption, ...]
    course: Course
    chosen: int
    state: State
    prompts: tuple[str, ...]
    last_pictures: tuple[bytes, ...]
    started: datetime
    clock: Stopwatch
    peak: int | None


def write_files(finished: Finished) -> Done:
    """Write everything into the job's folder and say what there is."""
    job, plan, course, clock = finished.job, finished.plan, finished.course, finished.clock
    folder = job.folder
    say = language_of(job)
    name = file_name(job.name)
    lora, events = folder / f"{name}.safetensors", folder / f"{name}.tfevents"
    loss, grid = folder / "loss.png", folder / "samples.png"
    final = say("picture-final", step=finished.chosen)
    columns = {_heading(step, say): files for step, files in sorted(course.pictures.items())}
    columns[final] = finished.last_pictures
    # The grid is half of the work, most of it compressing, which needs no interpreter.
    with clock.running("exporting"), ThreadPoolExecutor(1, "grid") as beside:
        drawn = beside.submit(draw_grid, finished.prompts, columns, grid, say, chosen=final)
        size = export(lora, finished.state, finished.base.unet, plan.alpha, _description(finished, name))
        digest = hashlib.sha256(lora.read_bytes()).hexdigest()
        plot_losses(_plot(finished, _title(job, name, say)), loss, say)
        drawn.result()
    clock.rest("other")
    report = _report(finished, LoraFile(lora.name, size, digest, len(finished.state) // 2))
    write_json(report, folder / "report.json")
    write_markdown(report, folder / "report.md")
    pictures = {**course.pictures, course.step: finished.last_pictures}
    plan_text = plan_section(report, say)
    write_events(course, pictures, finished.prompts, plan_text, finished.started, events)
    return Done(
        job=job.id,
        files=(
            MadeFile(kind="lora", path=lora, content_type="application/octet-stream"),
            MadeFile(kind="plot", path=loss, content_type="image/png"),
            MadeFile(kind="grid", path=grid, content_type="image/png"),
            MadeFile(kind="report", path=folder / "report.md", content_type="text/markdown; charset=utf-8"),
            MadeFile(kind="report_json", path=folder / "report.json", content_type="application/json"),
            MadeFile(kind="tensorboard", path=events, content_type="application/octet-stream"),
        ),
        summary=_summary(finished, report),
    )


def _description(finished: Finished, name: str) -> Description:
    job, base = finished.job, finished.base
    return Description(
        name=name,
        trigger=job.trigger,
        base=job.base.id,
        family=base.family,
        v_prediction=base.scheduler.get("prediction_type") == "v_prediction",
        clip_skip=listening(base, job.recipe)[0].clip_skip,
        recipe=job.recipe,
        plan=finished.plan,
        captions=finished.captions,
        seed=job.seed,
        step=finished.chosen,
        started=finished.started,
        finished=datetime.now(UTC),
    )


def _plot(finished: Finished, title: str) -> LossPlot:
    course = finished.course
    return LossPlot(
        title=title,
        losses=course.losses,
        validation=course.validation,
        seen=course.seen,
        rates=course.rates,
        samples=sorted({*course.pictures, finished.plan.steps}),
        chosen=finished.chosen,
    )


def _report(finished: Finished, file: LoraFile) -> Report:
    return Report(
        job=finished.job,
        base_identity=finished.base.identity,
        plan=finished.plan,
        captions=finished.captions,
        course=finished.course,
        chosen=finished.chosen,
        file=file,
        seconds=dict(finished.clock.seconds),
        spans=tuple(finished.clock.spans),
        started=finished.started,
        finished=datetime.now(UTC),
        peak=finished.peak,
    )


def _summary(finished: Finished, report: Report) -> dict[str, str | int | float | None]:
    """What the queue keeps of the job, and messages and estimates are made of."""
    job, plan, course = finished.job, finished.plan, finished.course
    good = [value for value in course.losses if value is not None]
    return {
        "preset": job.preset.id,
        "trigger": job.trigger,
        "base": job.base.id,
        "images": len(job.images),
        "labelled": sum(caption.source != "person" for caption in finished.captions),
        "held_out": len(plan.split.held_out),
        "steps": plan.steps,
        "best_step": finished.chosen,
        "first_validation": round(course.validation[0][1], 5),
        "best_validation": round(dict(course.validation)[finished.chosen], 5),
        "last_loss": round(good[-1], 5) if good else None,
        "skipped": course.skipped,
        "seconds": round(report.spent, 1),
        "steps_per_second": round(report.rate, 3) if report.rate else None,
        "file_bytes": report.file.size,
        "rank": plan.rank,
        "alpha": plan.alpha,
        "resolution": plan.resolution,
        "device": plan.device_name,
        "measured": len(course.validation),
        "drawn": len(course.pictures) + 1,
        **{f"seconds_{name}": round(spent, 3) for name, spent in finished.clock.seconds.items()},
        "estimated_seconds": round(job.expected.seconds, 1) if job.expected else None,
        "estimate_error": round(report.error, 4) if report.error is not None else None,
        "peak_bytes": finished.peak,
        "planned_peak_bytes": plan.peak_bytes,
    }


def _title(job: TrainingJob, name: str, say: Translator) -> str:
    preset = drawable(job.preset.title.get(say.language), job.preset.title.en)
    return say("picture-title", name=drawable(name), preset=preset, images=len(job.images))


def _heading(step: int, say: Translator) -> str:
    return say("picture-before") if step == 0 else say("picture-step", step=step)
