"""Renders many scenes with captions into flat files, in worker processes, while others already read them."""

import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.demo_models.captions import FIELDS, labels, training_captions
from tools.demo_models.world import (
    HELD_OUT_CHARACTERS,
    HELD_OUT_OBJECTS,
    HELD_OUT_STYLE_NAMES,
    Scene,
    random_scene,
    render,
)

SIDE = 128
CAPTIONS, TOKENS = 5, 48
CHUNK = 128
_COLUMNS: dict[str, tuple[type, tuple[int, ...]]] = {
    "pixels": (np.uint8, (SIDE, SIDE, 3)),
    "labels": (np.uint8, (len(FIELDS) + 1,)),
    "tokens": (np.uint16, (CAPTIONS, TOKENS)),
    "tells": (np.uint8, (CAPTIONS, len(FIELDS))),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Which scenes to render. With `held_out`, that share has a held-out subject or style; captions are left out.

    Of the other scenes with creatures the share `patterned` has spots or stripes, besides those that have by chance.
    """

    folder: Path
    count: int
    seed: int
    held_out: float = 0.0
    patterned: float = 0.0


def column(plan: Plan, name: str, mode: Any = "r") -> NDArray[Any]:
    """One of pixels (N, 128, 128, 3), labels (N, 10), tokens (N, 5, 48), tells (N, 5, 9), as a memory map.

    The last label is the style's number among the base's and the held-out styles.
    """
    kind, shape = _COLUMNS[name]
    return np.memmap(plan.folder / f"{name}.bin", dtype=kind, mode=mode, shape=(plan.count, *shape))


def scene_of(plan: Plan, index: int) -> Scene:
    rng = np.random.default_rng([plan.seed, index])
    fixed: dict[str, str] = {}
    if plan.held_out and rng.random() < plan.held_out:
        names = HELD_OUT_CHARACTERS + HELD_OUT_OBJECTS
        if rng.random() < 0.6:
            fixed["kind"] = names[int(rng.integers(len(names)))]
        if rng.random() < 0.6:
            fixed["style"] = HELD_OUT_STYLE_NAMES[int(rng.integers(len(HELD_OUT_STYLE_NAMES)))]
    elif plan.patterned and rng.random() < plan.patterned:
        fixed["feature"] = ("spots", "stripes")[int(rng.integers(2))]
    return random_scene(rng, **fixed)


def _work(plan: Plan, worker: int, workers: int) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.nice(10)  # training waits for nobody
    from lorabot.trainer.tokenizer import load_tokenizer
    from tools.demo_models.judge import style_number

    tokenizer = load_tokenizer()
    pixels, numbers = column(plan, "pixels", "r+"), column(plan, "labels", "r+")
    tokens, tells = column(plan, "tokens", "r+"), column(plan, "tells", "r+")
    done = np.memmap(plan.folder / "done.bin", dtype=np.uint8, mode="r+")
    for chunk in range(worker, len(done), workers):
        if done[chunk]:
            continue
        rows = range(chunk * CHUNK, min((chunk + 1) * CHUNK, plan.count))
        texts: list[str] = []
        for row in rows:
            scene = scene_of(plan, row)
            pixels[row] = np.asarray(render(scene, SIDE))
            style = style_number(scene.style)
            if plan.held_out:
                numbers[row, -1] = style
                numbers[row, :-1] = labels_or_zero(scene)
                continue
            numbers[row] = (*labels(scene), style)
            captions = training_captions(scene, np.random.default_rng([plan.seed, row, 1]))
            texts += [caption.text for caption in captions]
            tells[row] = [caption.tells for caption in captions]
        if texts:
            ids = tokenizer(texts, padding="max_length", truncation=True, max_length=TOKENS)["input_ids"]
            tokens[rows.start : rows.stop] = np.array(ids, dtype=np.uint16).reshape(len(rows), CAPTIONS, TOKENS)
        done[chunk] = 1


def labels_or_zero(scene: Scene) -> NDArray[np.uint8]:
    """Labels of a scene that may be in a held-out style: the style's own column is 0 then (see `column`)."""
    from dataclasses import replace

    return labels(replace(scene, style="flat") if scene.style in HELD_OUT_STYLE_NAMES else scene)


def finished(plan: Plan) -> int:
    """How many rows, from the first on, can be read."""
    path = plan.folder / "done.bin"
    if not path.exists():
        return 0
    missing = np.flatnonzero(np.fromfile(path, dtype=np.uint8) == 0)
    return plan.count if len(missing) == 0 else int(missing[0]) * CHUNK


class Renderer:
    """Rendering under way in `workers` processes; goes on where an earlier one ended."""

    def __init__(self, plan: Plan, workers: int) -> None:
        plan.folder.mkdir(parents=True, exist_ok=True)
        chunks = -(-plan.count // CHUNK)
        fresh = not (plan.folder / "done.bin").exists()
        for name in _COLUMNS:
            column(plan, name, "w+" if fresh else "r+")
        np.memmap(plan.folder / "done.bin", dtype=np.uint8, mode="w+" if fresh else "r+", shape=(chunks,))
        context = multiprocessing.get_context("spawn")
        self.processes = [context.Process(target=_work, args=(plan, i, workers), daemon=True) for i in range(workers)]
        for process in self.processes:
            process.start()

    @property
    def broken(self) -> bool:
        """Whether a worker died."""
        return any(process.exitcode not in (None, 0) for process in self.processes)
