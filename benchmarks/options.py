"""Compares options of a recipe on the demo base at equal training time, by the demo world's judge.

``python -m benchmarks.options [--subjects zuri blup] [--seeds 1 2 3] [--lanes 8] [--threads 2] [--minutes 8.5]``, in
the repository. Each variant differs from the preset in one thing. It gets as many steps as fit into the time of the
preset's own, by the ratio of two step times measured beside each other. Lanes are processes that work side by side.
Results are added to ``--out`` after each run, so that calls can follow each other; ``--table`` writes them as Markdown.
``--quick`` shows whether all this works, and nothing about the options: a few steps and pictures.
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lorabot.presets import Recipe
    from lorabot.trainer.models import Models
    from lorabot.trainer.wire import Done
    from tools.demo_models.evaluate import Marks

Changes = Mapping[str, object]
NO_WEIGHT: Changes = {"p2_gamma": 0.0}
VARIANTS: Mapping[str, Mapping[str, Changes]] = {
    "preset": {"as it is": {}},
    "weight of timesteps": {
        "none": NO_WEIGHT,
        "min-SNR 1": {**NO_WEIGHT, "min_snr_gamma": 1.0},
        "min-SNR 5": {**NO_WEIGHT, "min_snr_gamma": 5.0},
    },
    "LoRA+": {"ratio 4": {"lora_plus": 4.0}, "ratio 16": {"lora_plus": 16.0}},
    "rank": {"4": {"rank": 4, "alpha": 4.0}, "16": {"rank": 16, "alpha": 16.0}},
    "optimiser": {
        "Prodigy": {"optimiser": "prodigy", "unet_lr": 1.0},
        "schedule-free AdamW": {"optimiser": "schedule-free", "schedule": "constant"},
    },
    "dropout": {"0.1": {"dropout": 0.1}},
    "timestep bias": {"content": {"timestep_bias": "content"}, "style": {"timestep_bias": "style"}},
}
"""By group and name, what is other than in the preset (rank 8, AdamW, P2 0.5, no LoRA+, no dropout, no bias)."""


@dataclass(frozen=True, slots=True)
class Run:
    """One training and its exam."""

    subject: str
    group: str
    variant: str
    seed: int


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done: the share of the preset's steps, and the pictures that name the subject and that do not.

    ``timed``: the steps whose time is measured; ``preserved``: whether to draw all that the preset holds on to.
    """

    share: float
    asked: int
    kept: int
    timed: int
    preserved: bool


WHOLE, QUICK = Scale(1.0, 40, 60, 14, True), Scale(0.01, 1, 1, 3, False)


@cache
def models(device: str) -> "Models":
    """The models of this lane."""
    from lorabot.trainer.models import Models

    return Models(device)


def recipe_of(run: Run, **changes: object) -> "Recipe":
    from lorabot.presets import Recipe, load_presets
    from tools.demo_models.evaluate import preset_of

    usual = load_presets().get(preset_of(run.subject)).recipe("demo").model_dump()
    return Recipe.model_validate({**usual, **VARIANTS[run.group][run.variant], **changes})


def train(run: Run, recipe: "Recipe", device: str, folder: Path, saving: bool) -> "Done":
    """Teach the subject by ``recipe`` as a job would, without pictures on the way; ``saving`` after every step."""
    from lorabot.presets import load_presets
    from lorabot.trainer import job, wire
    from lorabot.trainer.bases import demo_base
    from lorabot.trainer.config import TrainerConfig
    from lorabot.trainer.control import Control
    from tools.demo_models.evaluate import lesson, own_words, preset_of
    from tools.demo_models.world import render

    catalogue, images = load_presets(), []
    (folder / "images").mkdir(parents=True)
    for number, scene in enumerate(lesson(run.subject)):
        path = folder / "images" / f"{number:02}.png"
        render(scene).save(path)
        images.append(wire.TrainingImage(path=path, name=path.name, caption=own_words(scene)))
    wanted = wire.TrainingJob(
        id="options",
        name=run.subject,
        trigger=run.subject,
        base=demo_base(),
        language="en",
        seed=run.seed,
        preset=catalogue.get(preset_of(run.subject)).model_copy(update={"recipes": {"demo": recipe}}),
        vocabulary=catalogue.vocabulary_for(recipe.caption),
        images=tuple(images),
        folder=folder,
    )
    config = TrainerConfig(device=device, sample_rounds=0, validations=2, checkpoint_s=0 if saving else 3600)
    return job.run(wanted, models(device), config, Control(), lambda _: None)


def brief(recipe: "Recipe") -> dict[str, Any]:
    """What makes a training of this recipe short without changing its steps: hardly anything is drawn."""
    held = recipe.preserve and recipe.preserve.model_copy(update={"pictures": recipe.preserve.rows, "steps": 1})
    return {"sample_steps": 1, "sample_prompts": ("{trigger}",), "preserve": held and held.model_dump()}


def step_seconds(run: Run, scale: Scale, device: str) -> float:
    """The median time of a training step, once warm."""
    from lorabot.trainer import resume

    usual = recipe_of(run)
    views = (scale.timed + scale.timed // 3) * usual.batch
    with tempfile.TemporaryDirectory(prefix="lorabot-options-") as folder:
        train(run, recipe_of(run, views=views, **brief(usual)), device, Path(folder), saving=True)
        last = max((Path(folder) / "resume").glob("*.safetensors"))
        return statistics.median(resume.read(last).course.durations[-scale.timed :])


def judged(run: Run, lora: Path | None, scale: Scale, device: str) -> "Marks":
    """The exam of the demo base, with the LoRA if there is one."""
    from lorabot.trainer.bases import load_base
    from lorabot.trainer.denoising import denoiser
    from tools.demo_models.evaluate import examination
    from tools.demo_models.judge import load_judge
    from tools.demo_models.lora import wear

    base, asked = load_base(device=device), examination(run.subject, scale.asked, scale.kept)
    if lora is not None:
        wear(base, lora)
    with denoiser(base.unet, "fp32") as denoise:
        pictures = asked.draw(base, denoise)
    return asked.marks(load_judge(), pictures)


def untaught(subject: str, scale: Scale, device: str) -> dict[str, Any]:
    """What the exam says of the base alone."""
    return asdict(judged(Run(subject, "preset", "as it is", 0), None, scale, device))


def do(run: Run, scale: Scale, device: str) -> dict[str, Any]:
    """One run, as numbers."""
    began = time.monotonic()
    usual = replace(run, group="preset", variant="as it is")
    step_s, usual_s = step_seconds(run, scale, device), step_seconds(usual, scale, device)
    recipe = recipe_of(usual)
    steps = max(round(scale.share * math.ceil(recipe.views / recipe.batch) * usual_s / step_s), 2)
    with tempfile.TemporaryDirectory(prefix="lorabot-options-") as folder:
        less = {} if scale.preserved else brief(recipe)
        done = train(run, recipe_of(run, views=steps * recipe.batch, **less), device, Path(folder), saving=False)
        trained = time.monotonic()
        lora = next(file.path for file in done.files if file.kind == "lora")
        marks = judged(run, lora, scale, device)
        report = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
    return {
        **asdict(run),
        "steps": steps,
        "step_ms": round(1000 * step_s, 2),
        "preset_step_ms": round(1000 * usual_s, 2),
        "training_s": round(report["seconds"]["training"], 1),
        "chosen_step": done.summary["best_step"],
        "best_validation": done.summary["best_validation"],
        "marks": asdict(marks),
        "seconds": {"training and preparing": round(trained - began, 1), "all": round(time.monotonic() - began, 1)},
    }


def wanted(subjects: Sequence[str], groups: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """Every variant once before any has its second seed."""
    return [
        Run(subject, group, variant, seed)
        for seed in seeds
        for subject in subjects
        for group in groups
        for variant in VARIANTS[group]
    ]


def benchmark(words: argparse.Namespace) -> dict[str, Any]:
    """All runs for which there is time, side by side; the results are written after each."""
    from lorabot.trainer.models import Models
    from lorabot.trainer.report import versions

    began, scale = time.monotonic(), QUICK if words.quick else WHOLE
    results: dict[str, Any] = {"before": {}, "runs": []}
    if words.out.exists():
        results = json.loads(words.out.read_text(encoding="utf-8"))
    results |= {
        "device": Models(words.device).hardware().name,
        "lanes": words.lanes,
        "threads": words.threads,
        "scale": asdict(scale),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions(),
    }
    there = {tuple(each[name] for name in ("subject", "group", "variant", "seed")) for each in results["runs"]}
    left = [
        run
        for run in wanted(words.subjects, words.groups, words.seeds)
        if (run.subject, run.group, run.variant, run.seed) not in there
    ]
    bare = [subject for subject in words.subjects if subject not in results["before"]]
    longest = max((each["seconds"]["all"] for each in results["runs"]), default=0.0)
    failed = []
    os.environ.update({"OMP_NUM_THREADS": str(words.threads), "OMP_WAIT_POLICY": "PASSIVE"})
    with ProcessPoolExecutor(words.lanes, multiprocessing.get_context("spawn")) as pool:
        doing: dict[Future[dict[str, Any]], tuple[Run | str, float]] = {}
        while True:
            spent = time.monotonic() - began
            while len(doing) < words.lanes and (bare or left) and spent + 1.15 * longest < 60 * words.minutes:
                if bare:
                    subject = bare.pop(0)
                    doing[pool.submit(untaught, subject, scale, words.device)] = (subject, time.monotonic())
                else:
                    run = left.pop(0)
                    doing[pool.submit(do, run, scale, words.device)] = (run, time.monotonic())
            if not doing:
                break
            for future in wait(doing, return_when=FIRST_COMPLETED).done:
                what, since = doing.pop(future)
                try:
                    made = future.result()
                except Exception as error:  # the other runs are worth having all the same
                    failed.append(f"{what}: {type(error).__name__}: {error}"[:500])
                    print(f"{time.monotonic() - began:5.0f} s failed: {failed[-1]}", flush=True)
                    continue
                if isinstance(what, str):
                    results["before"][what] = made
                else:
                    longest = max(longest, time.monotonic() - since)
                    results["runs"].append(made)
                print(f"{time.monotonic() - began:5.0f} s {what} {json.dumps(made)}", flush=True)
                words.out.parent.mkdir(parents=True, exist_ok=True)
                words.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"{len(left)} runs are left for another call, {len(failed)} have failed", flush=True)
    return results


def table(results: Mapping[str, Any]) -> str:
    """The results as Markdown: a row for each variant and subject, means over the seeds with the least and the most."""
    head = ["group", "variant", "subject", "steps", "ms a step", "recognised", "most lost", "unasked", "seeds"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    subjects = list(dict.fromkeys(each["subject"] for each in results["runs"]))
    for group, variants in VARIANTS.items():
        for variant in variants:
            for subject in subjects:
                key = (group, variant, subject)
                runs = [each for each in results["runs"] if (each["group"], each["variant"], each["subject"]) == key]
                before = results["before"].get(subject)
                if not runs or before is None:
                    continue
                lost = [_largest_fall(each["marks"]["kept"], before["kept"]) for each in runs]
                row = [
                    group,
                    variant,
                    f"`{subject}`",
                    _spread([each["steps"] for each in runs], ""),
                    _spread([each["step_ms"] for each in runs], ""),
                    _spread([each["marks"]["recognised"] for each in runs], " %"),
                    _spread(lost, ""),
                    _spread([each["marks"]["unasked"] for each in runs], " %"),
                    str(len(runs)),
                ]
                lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _largest_fall(kept: Mapping[str, float], before: Mapping[str, float]) -> float:
    return max(before[name] - kept[name] for name in kept)


def _spread(values: Sequence[float], unit: str) -> str:
    mean, low, high = statistics.mean(values), min(values), max(values)
    return f"{mean:.1f}{unit}" if low == high else f"{mean:.1f}{unit} ({low:.1f} to {high:.1f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", default=["zuri", "blup"])
    parser.add_argument("--groups", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--lanes", type=int, default=1, help="processes side by side")
    parser.add_argument("--threads", type=int, default=2, help="of each lane")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--minutes", type=float, default=8.5, help="no run begins that would not end within this time")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/options.json"))
    parser.add_argument("--table", type=Path, help="where to write the results as Markdown")
    words = parser.parse_args()
    results = benchmark(words)
    if words.table:
        words.table.write_text(table(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
