"""Writes what happened in a job: as JSON for programs, as a page in the person's language."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from lorabot import __version__
from lorabot.locale import Message, Param, Translator, negotiate, translator
from lorabot.trainer.captioning import Caption
from lorabot.trainer.course import Course, candidate_from
from lorabot.trainer.curves import smooth, window
from lorabot.trainer.devices import MIB
from lorabot.trainer.planning import Plan
from lorabot.trainer.telling import Span
from lorabot.trainer.wire import TrainingJob

_LIBRARIES = ("torch", "diffusers", "transformers", "peft", "open_clip_torch", "safetensors")
_SHOWN_IMAGES = 200


@dataclass(frozen=True, slots=True)
class LoraFile:
    """The exported file. ``size`` in bytes; ``modules`` is how many layers it changes."""

    name: str
    size: int
    sha256: str
    modules: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say about a job that was done.

    ``seconds``: time by what it was spent on, ``spans``: when the last attempt did what. ``peak``: the most that was
    held of the card, in bytes.
    """

    job: TrainingJob
    base_identity: str
    plan: Plan
    captions: tuple[Caption, ...]
    course: Course
    chosen: int
    file: LoraFile
    seconds: Mapping[str, float]
    spans: Sequence[Span]
    started: datetime
    finished: datetime
    peak: int | None = None

    @property
    def rate(self) -> float | None:
        """Training steps per second, without saving, validating and sampling."""
        spent = self.seconds.get("training", 0.0)
        return self.course.step / spent if spent else None

    @property
    def spent(self) -> float:
        """Seconds that all of it took."""
        return sum(self.seconds.values())

    @property
    def error(self) -> float | None:
        """By how much the job took longer (above 0) or shorter than expected, as a share of that; None: nothing was."""
        expected = self.job.expected
        return self.spent / expected.seconds - 1 if expected else None


def write_json(report: Report, path: Path) -> None:
    """Write the report as JSON."""
    path.write_text(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def as_json(report: Report) -> dict[str, object]:
    """The report as plain values. It names the images as their owner did, and no folder of this machine."""
    job, plan, course = report.job, report.plan, report.course
    means = smooth(course.losses, window(max(course.step, 1)))
    held = set(plan.split.held_out)
    return {
        "job": {
            "id": job.id,
            "name": job.name,
            "preset": job.preset.id,
            "trigger": job.trigger,
            "seed": job.seed,
            "language": job.language,
            "started": report.started.isoformat(timespec="seconds"),
            "finished": report.finished.isoformat(timespec="seconds"),
        },
        "base": {"name": job.base.id, "identity": report.base_identity},
        "dataset": {
            "images": len(job.images),
            "training": len(plan.split.training),
            "held_out": len(held),
            "files": [
                {
                    "name": image.name,
                    "held_out": index in held,
                    "caption": caption.text,
                    "caption_source": caption.source,
                    "labels": [asdict(label) for label in caption.labels],
                }
                for index, (image, caption) in enumerate(zip(job.images, report.captions, strict=True))
            ],
        },
        "plan": {
            "device": plan.device_name,
            "precision": plan.precision,
            "resolution": plan.resolution,
            "batch": plan.batch,
            "accumulation": plan.accumulation,
            "preserved": plan.preserved,
            "steps": plan.steps,
            "warmup_steps": plan.warmup_steps,
            "learning_rate": plan.learning_rate,
            "optimiser": plan.optimiser,
            "schedule": plan.schedule,
            "rank": plan.rank,
            "alpha": plan.alpha,
            "buckets": [asdict(bucket) for bucket in plan.buckets],
            "checkpointing": plan.checkpointing,
            "offloading": plan.offloading,
            "peak_bytes": plan.peak_bytes,
            "estimated_training_seconds": round(plan.estimate_s, 2),
            "reasons": [reason.to_json() for reason in plan.reasons],
        },
        "recipe": job.recipe.model_dump(mode="json"),
        "training": {
            "steps": course.step,
            "skipped_steps": course.skipped,
            "steps_per_second": round(report.rate, 4) if report.rate else None,
            "loss": course.losses,
            "learning_rate": course.rates,
            "loss_smoothed": [None if mean is None else round(mean, 6) for mean in means],
            "validation_on": "held-out images" if held else "training images",
            "validation": course.validation,
            "training_images_fixed_noise": course.seen,
            "samples_at": sorted({*course.pictures, plan.steps}),
            "candidates": [{"step": each.step, "validation": each.validation} for each in course.candidates],
            "chosen_step": report.chosen,
            "peak_bytes": report.peak,
        },
        "file": asdict(report.file),
        "estimate": _estimate(report),
        "seconds": {name: round(spent, 3) for name, spent in report.seconds.items()},
        "spans": [_rounded(span) for span in report.spans],
        "versions": versions(),
    }


def _rounded(span: Span) -> dict[str, object]:
    return {"name": span.name, **{each: round(getattr(span, each), 3) for each in ("begin", "first", "end")}}


def _estimate(report: Report) -> dict[str, object] | None:
    expected = report.job.expected
    if expected is None or report.error is None:
        return None
    return {**expected.model_dump(), "true_seconds": round(report.spent, 1), "error": round(report.error, 4)}


def versions() -> dict[str, str]:
    """Versions of what took part."""
    return {"lorabot": __version__, "python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def write_markdown(report: Report, path: Path) -> None:
    """Write the report as a page in the job's language."""
    path.write_text(markdown(report, language_of(report.job)), encoding="utf-8")


def language_of(job: TrainingJob) -> Translator:
    """Sentences in the job's language."""
    return translator(negotiate(job.language))


def markdown(report: Report, say: Translator) -> str:
    """The report as Markdown in the language of ``say``."""
    sections = (_head, _usage, _numbers, plan_section, _losses, _dataset, _timings, _versions)
    return "\n\n".join(section(report, say) for section in sections) + "\n"


def _head(report: Report, say: Translator) -> str:
    job = report.job
    validation = dict(report.course.validation)
    intro = say(
        "report-intro",
        trigger=job.trigger,
        preset=job.preset.title.get(say.language),
        base=job.base.id,
        images=len(job.images),
        steps=report.course.step,
    )
    kept = say(
        "report-chosen" if report.plan.split.held_out else "report-chosen-seen",
        step=report.chosen,
        loss=_loss(validation[report.chosen]),
        first=_loss(report.course.validation[0][1]),
        half=candidate_from(report.plan.steps),
    )
    pictures = f"![{say('report-plot')}](loss.png)\n\n![{say('report-grid')}](samples.png)"
    return f"# {job.name}\n\n{intro}\n\n{kept}\n\n{pictures}"


def _usage(report: Report, say: Translator) -> str:
    job, file = report.job, report.file.name
    stem = file.removesuffix(".safetensors")
    lines = [f"## {say('report-usage')}", ""]
    if job.base.family == "demo":
        lines += [say("report-usage-demo"), ""]
        code = (
            "from lorabot.trainer.bases import load_base, pipeline\n\n"
            "pipe = pipeline(load_base())\n"
            f'pipe.load_lora_weights("{file}")\n'
            f'pipe("{_first_prompt(report)}", height={report.plan.resolution}, width={report.plan.resolution})'
            '.images[0].save("picture.png")'
        )
    else:
        lines += [
            f"- {say('report-usage-a1111', file=file, tag=f'<lora:{stem}:1>', trigger=job.trigger)}",
            f"- {say('report-usage-comfyui', file=file, trigger=job.trigger)}",
            "",
        ]
        kind = "StableDiffusionXLPipeline" if job.base.family == "sdxl" else "StableDiffusionPipeline"
        load = "from_single_file" if job.base.known_as.endswith(".safetensors") else "from_pretrained"
        code = (
            f"import torch\nfrom diffusers import {kind}\n\n"
            f'pipe = {kind}.{load}("{job.base.known_as}", torch_dtype=torch.float16).to("cuda")\n'
            f'pipe.load_lora_weights("{file}")\n'
            f'pipe("{_first_prompt(report)}").images[0].save("picture.png")'
        )
    lines += [f"{say('report-usage-diffusers')}\n", f"```python\n{code}\n```", "", say("report-usage-strength")]
    return "\n".join(lines)


def _numbers(report: Report, say: Translator) -> str:
    plan, course = report.plan, report.course
    spent, stepping = report.spent, report.seconds.get("training", 0.0)
    means = [mean for mean in smooth(course.losses, window(max(course.step, 1))) if mean is not None]
    validation = dict(course.validation)
    rows = [
        ("report-row-file", f"`{report.file.name}`, {report.file.size / 1e6:.2f} MB"),
        ("report-row-images", say("report-images", training=len(plan.split.training), held=len(plan.split.held_out))),
        ("report-row-buckets", ", ".join(f"{each.width} × {each.height} ({each.count})" for each in plan.buckets)),
        ("report-row-steps", say("report-steps", steps=course.step, batch=plan.effective_batch)),
        ("report-row-rate", say("report-rate", rate=f"{report.rate:.2f}") if report.rate else "–"),
        ("report-row-time", say("report-time", seconds=round(spent), training=round(stepping))),
        ("report-row-loss", f"{_loss(means[0])} → {_loss(means[-1])}" if means else "–"),
        ("report-row-validation", f"{_loss(validation[0])} → {_loss(validation[report.chosen])}"),
        ("report-row-skipped", str(course.skipped)),
        ("report-row-device", f"{plan.device_name}, {plan.precision}"),
    ]
    table = [f"| {say(code)} | {value} |" for code, value in rows]
    return "\n".join([f"## {say('report-numbers')}", "", "| | |", "| --- | --- |", *table])


def plan_section(report: Report, say: Translator) -> str:
    """What was decided and why, and how long the steps took after all, as Markdown."""
    reasons = [f"- {say.text(reason)}" for reason in report.plan.reasons]
    came_true = Message(
        "report-estimate-true",
        {"estimate": round(report.plan.estimate_s), "true": round(report.seconds.get("training", 0.0))},
    )
    lines = [f"## {say('report-plan')}", "", *reasons, f"- {say.text(came_true)}"]
    if (expected := report.job.expected) and report.error is not None:
        params: dict[str, Param] = {
            "low": round(expected.low),
            "high": round(expected.high),
            "true": round(report.spent),
            "percent": round(100 * abs(report.error)),
            "way": "longer" if report.error >= 0 else "shorter",
        }
        lines.append(f"- {say('report-expected', **params)}")
    if report.peak is not None:
        planned = report.plan.peak_bytes
        memory: dict[str, Param] = {"true": report.peak // MIB, "planned": planned // MIB if planned else "none"}
        lines.append(f"- {say('report-peak', **memory)}")
    return "\n".join(lines)


def _losses(report: Report, say: Translator) -> str:
    course, seen = report.course, dict(report.course.seen)
    head = [say("report-column-step"), say("report-column-validation")]
    head += [say("report-column-seen")] if seen else []
    rows = []
    for step, value in course.validation:
        mark = " ★" if step == report.chosen else ""
        rows.append([f"{step}{mark}", _loss(value), *([_loss(seen[step])] if step in seen else [])])
    return "\n".join([f"## {say('report-losses')}", "", say("report-losses-how"), "", *_table(head, rows)])


def _dataset(report: Report, say: Translator) -> str:
    held = set(report.plan.split.held_out)
    rows = [
        [_cell(image.name), _cell(caption.text), say(f"report-used-{'held-out' if index in held else 'training'}")]
        for index, (image, caption) in enumerate(zip(report.job.images, report.captions, strict=True))
    ]
    head = [say("report-column-image"), say("report-column-caption"), say("report-column-used")]
    more = len(rows) - _SHOWN_IMAGES
    lines = [f"## {say('report-dataset')}", "", say("report-dataset-how", trigger=report.job.trigger), ""]
    lines += _table(head, rows[:_SHOWN_IMAGES])
    return "\n".join(lines + (["", say("report-dataset-more", count=more)] if more > 0 else []))


def _timings(report: Report, say: Translator) -> str:
    rows = [[say(f"report-seconds-{name}"), f"{spent:.1f} s"] for name, spent in report.seconds.items()]
    rows.append([say("report-seconds-sum"), f"{report.spent:.1f} s"])
    return "\n".join([f"## {say('report-timings')}", "", *_table([say("report-column-stage"), ""], rows)])


def _versions(report: Report, say: Translator) -> str:
    used = ", ".join(f"{name} {number}" for name, number in versions().items())
    base = say("report-base", base=report.job.base.id, identity=report.base_identity, seed=report.job.seed)
    return f"## {say('report-versions')}\n\n{used}\n\n{base}\n\nSHA-256: `{report.file.sha256}`"


def _first_prompt(report: Report) -> str:

    prompts = report.job.recipe.sample_prompts
    text = next((prompt for prompt in prompts if "{trigger}" in prompt), "{trigger}")
    return text.replace("{trigger}", report.job.trigger).replace('"', "'")


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]


def _cell(text: str) -> str:
    """``text`` so that it can't end its cell or become a tag."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _loss(value: float) -> str:
    return f"{value:.4f}"
