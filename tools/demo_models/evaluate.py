"""Measures the demo models on fresh seeds; two CPU cores are enough.

python -m tools.demo_models.evaluate judge vae clip base zuri blup --out results.json
python -m tools.demo_models.evaluate judge base further --base /tmp/better --judge /tmp/demo/judge.safetensors
"""

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.bases import DEMO_FOLDER, BaseModel, demo_base, load_base
from lorabot.trainer.clip import load_clip
from lorabot.trainer.denoising import Denoiser, denoiser, plain
from lorabot.trainer.encoding import hear
from lorabot.trainer.sampling import Prompt, Settings, sample
from tools.demo_models import lora
from tools.demo_models.captions import LIGHT_WORDS, PLACE_WORDS, STYLE_WORDS, canonical
from tools.demo_models.judge import WEIGHTS, Judge, load_judge, read
from tools.demo_models.world import (
    COLOURS,
    CREATURES,
    HELD_OUT_CHARACTERS,
    HELD_OUT_OBJECTS,
    HELD_OUT_STYLE_NAMES,
    OBJECTS,
    SETTINGS,
    STYLE_NAMES,
    Scene,
    in_style,
    render,
    scene_at,
)

log = logging.getLogger("demo_models")
FRESH = 987_654  # no training scene comes from this row
ROWS: dict[str, tuple[int, ...]] = {"base": (FRESH + 2,), "further": (555_001, 555_002)}
"""Where the prompts of the base come from: nothing was ever chosen by the further ones."""
AT_ONCE = {"cpu": 20, "cuda": 250}
"""Pictures drawn together: enough that what each step costs besides hardly counts."""
GUIDANCE, STEPS = 5.5, 25
"""How the base is measured: of the settings tried, the one whose worst attribute follows the prompt best."""
LORA_GUIDANCE, LORA_STEPS = 4.0, 10
"""How each of the 200 pictures is drawn that one LoRA is judged by: the recipes' guidance, few steps to be quick."""
HELD_OUT = (*HELD_OUT_CHARACTERS, *HELD_OUT_STYLE_NAMES, *HELD_OUT_OBJECTS)
MEASURED = ("kind", "colour", "setting", "style")
ALSO = ("light", "pose", "feature", "accessory")


def measure_vae(base: BaseModel, count: int = 200) -> dict[str, float]:
    """Peak signal to noise ratio in decibels of encode-decode: the mean over pictures, by style and over all."""
    found: dict[str, list[float]] = {}
    for i in range(count):
        scene = scene_at(FRESH, i)
        x = _tensor([render(scene)])
        vae: Any = base.vae
        with torch.no_grad():
            again = vae.decode(vae.encode(x.to(vae.device)).latent_dist.mean).sample.clamp(-1, 1).cpu()
        found.setdefault(scene.style, []).append(10 * float(torch.log10(4 / (again - x).square().mean())))
    everything = [value for values in found.values() for value in values]
    return {"all": round(float(np.mean(everything)), 2)} | {k: round(float(np.mean(v)), 2) for k, v in found.items()}


def zero_shot_prompts() -> dict[str, dict[str, list[str]]]:
    """For each attribute the sentences that stand for each answer."""
    things = (*CREATURES, *OBJECTS)
    return {
        "kind": {kind: [f"a {kind}", f"a picture of a {kind}"] for kind in things},
        "colour": {c: [f"a {c} creature", f"a {c} thing", *(f"a {c} {kind}" for kind in things)] for c in COLOURS},
        "setting": {place: list(PLACE_WORDS[place]) for place in SETTINGS},
        "style": {style: list(STYLE_WORDS[style]) for style in STYLE_NAMES},
        "light": {light: list(words) for light, words in LIGHT_WORDS.items()},
    }


@torch.no_grad()
def measure_clip(count: int = 500, device: str = "cpu") -> dict[str, float]:
    """Zero-shot accuracy in percent per attribute."""
    clip = load_clip(device)
    model: Any = clip.model
    scenes = [scene_at(FRESH + 1, i) for i in range(count)]
    pictures = []
    for start in range(0, count, 50):
        batch = torch.stack([clip.preprocess(render(scene)) for scene in scenes[start : start + 50]])
        pictures.append(torch.nn.functional.normalize(model.encode_image(batch.to(device)), dim=1))
    seen = torch.cat(pictures)
    result = {}
    for name, answers in zero_shot_prompts().items():
        rows = []
        for sentences in answers.values():
            text = torch.nn.functional.normalize(model.encode_text(clip.tokenizer(sentences).to(device)), dim=1)
            rows.append(torch.nn.functional.normalize(text.mean(0), dim=0))
        best = (seen @ torch.stack(rows).T).argmax(1).tolist()
        words = list(answers)
        asked = [i for i, scene in enumerate(scenes) if getattr(scene, name) != "none"]
        result[name] = round(100 * float(np.mean([words[best[i]] == getattr(scenes[i], name) for i in asked])), 1)
    return result


def adherence(judge: Judge, scenes: Sequence[Scene], images: Sequence[Image.Image]) -> dict[str, float]:
    """Percent of pictures in which the judge reads what was asked, per attribute (where something was asked)."""
    seen = read(judge, images)
    result = {}
    for name in (*MEASURED, *ALSO):
        asked = [
            (getattr(scene, name), got[name])
            for scene, got in zip(scenes, seen, strict=True)
            if getattr(scene, name) != "none"
        ]
        result[name] = round(100 * float(np.mean([want == got for want, got in asked])), 1) if asked else 0.0
    return result


def generate(
    base: BaseModel,
    prompts: Sequence[str],
    seed: int,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    denoise: Denoiser | None = None,
) -> list[Image.Image]:
    """Pictures as lorabot draws its samples (DPM++ 2M Karras); number i begins with the noise of `seed` + i."""
    wanted = Settings(
        prompts=tuple(Prompt(text, seed + number) for number, text in enumerate(prompts)),
        negative="",
        texts=hear(base.towers, [*prompts, ""], base.unet.device, learning=False),
        scheduler=base.scheduler,
        steps=steps,
        guidance=guidance,
        resolution=base.resolution,
        model=base.name,
        clip_skip=1,
    )
    card = base.unet.device.type == "cuda"
    known = denoise or (plain(base.unet, "fp32") if card else None)  # so few calls repay no preparing
    with nullcontext(known) if known else denoiser(base.unet, "fp32") as way:
        return list(
            sample(
                base,
                way,
                wanted,
                check=lambda: None,
                autoencoder=Autoencoder(base),
                at_once=AT_ONCE[base.unet.device.type],
            )
        )


def measure_judge(judge: Judge, count: int = 500) -> dict[str, float]:
    """What the judge reads right of true renderings, in percent per attribute: about the most that can be found."""
    scenes = [scene_at(FRESH + 7, i) for i in range(count)]
    return adherence(judge, scenes, [render(scene) for scene in scenes])


def measure_base(
    base: BaseModel,
    judge: Judge,
    count: int = 500,
    guidance: float = GUIDANCE,
    rows: Sequence[int] = ROWS["base"],
) -> dict[str, float]:
    """Adherence to full prompts, in percent per attribute: of each of `rows` the first `count` scenes."""
    scenes = [scene_at(row, i) for row in rows for i in range(count)]
    images = generate(base, [canonical(scene) for scene in scenes], FRESH, guidance=guidance)
    return adherence(judge, scenes, images)


def lesson(name: str) -> list[Scene]:
    """The scenes a held-out thing is taught with: 12 of a character, 24 of a style, 16 of an object."""
    if name in HELD_OUT_CHARACTERS:
        return [scene_at(31, i, kind=name, style=("flat", "clay", "ink")[i % 3]) for i in range(12)]
    if name in HELD_OUT_OBJECTS:
        return [scene_at(32, i, kind=name, style=("flat", "clay", "ink")[i % 3]) for i in range(16)]
    taught = (*CREATURES[:6], *OBJECTS[:3])
    return [in_style(scene_at(33, i, kind=taught[i % len(taught)]), name) for i in range(24)]


def exam(name: str, count: int) -> list[Scene]:
    """New scenes to ask for: other places and styles for a subject, other subjects for a style."""
    if name in HELD_OUT_STYLE_NAMES:
        untaught = (*CREATURES[6:], *OBJECTS[3:])
        return [
            in_style(scene_at(FRESH + 3, i, kind=untaught[i % len(untaught)], feature="none", accessory="none"), name)
            for i in range(count)
        ]
    return [scene_at(FRESH + 3, i, kind=name) for i in range(count)]


def own_words(scene: Scene) -> str | None:
    """The caption that goes with a lesson's picture: only styles have them, since no CLIP knows what to leave out."""
    if scene.style not in HELD_OUT_STYLE_NAMES:
        return None
    return canonical(scene).removesuffix(f", {scene.style}")


def prompt_of(scene: Scene) -> str:
    """A held-out subject is named by its trigger; the trigger of a held-out style goes first, as in its captions."""
    text = canonical(scene, name=scene.kind if scene.kind in HELD_OUT else None)
    if scene.style in HELD_OUT_STYLE_NAMES:
        return f"{scene.style}, {text.removesuffix(f', {scene.style}')}"
    return text


@dataclass(frozen=True, slots=True)
class Exam:
    """What is asked for to judge a LoRA of ``name``: new scenes with it, and others that must not change."""

    name: str
    asked: Sequence[Scene]
    plain: Sequence[Scene]

    @property
    def prompts(self) -> list[str]:
        """All of them, those that name it first."""
        return [*(prompt_of(scene) for scene in self.asked), *(canonical(scene) for scene in self.plain)]

    def draw(self, base: BaseModel, denoise: Denoiser) -> list[Image.Image]:
        """The pictures, as ``base`` draws them now."""
        return generate(base, self.prompts, FRESH, LORA_STEPS, LORA_GUIDANCE, denoise)

    def marks(self, judge: Judge, pictures: Sequence[Image.Image]) -> "Marks":
        """What ``judge`` says of what was drawn."""
        with_it, without = pictures[: len(self.asked)], pictures[len(self.asked) :]
        return Marks(
            recognised=self._share(judge, with_it),
            kept={name: value for name, value in adherence(judge, self.plain, without).items() if name in MEASURED},
            unasked=self._share(judge, without),
            setting=adherence(judge, self.asked, with_it)["setting"],
        )

    def _share(self, judge: Judge, pictures: Sequence[Image.Image]) -> float:
        attribute = "style" if self.name in HELD_OUT_STYLE_NAMES else "kind"
        return round(100 * float(np.mean([answer[attribute] == self.name for answer in read(judge, pictures)])), 1)


@dataclass(frozen=True, slots=True)
class Marks:
    """Percent of pictures: the name recognised where it was asked for, and where not (``unasked``); prompts followed.

    ``kept``: attributes followed by prompts that do not name it; ``setting``: the places of those that do.
    """

    recognised: float
    kept: dict[str, float]
    unasked: float
    setting: float

    def largest_fall(self, before: "Marks") -> float:
        """Of what is kept, the most that was lost since ``before``, in points."""
        return round(max(before.kept[name] - self.kept[name] for name in self.kept), 1)


def examination(name: str, count: int, kept: int) -> Exam:
    """``count`` scenes that name it, ``kept`` that do not."""
    return Exam(name, exam(name, count), [scene_at(FRESH + 4, i) for i in range(kept)])


def preset_of(name: str) -> str:
    """The preset by which a person would teach it: those for subjects make their own captions, a style's are sent."""
    return "style" if name in HELD_OUT_STYLE_NAMES else "product" if name in HELD_OUT_OBJECTS else "anime"


def measure_lora(judge: Judge, name: str, out: Path | None, count: int = 40, kept: int = 60) -> dict[str, Any]:
    """Before and after a LoRA: how often the judge says `name`, and adherence of prompts that do not name it."""
    base, asked = load_base(), examination(name, count, kept)
    started = time.monotonic()
    scenes = lesson(name)
    with tempfile.TemporaryDirectory() as folder:
        words = [own_words(scene) for scene in scenes]
        file = lora.teach([render(scene) for scene in scenes], words, name, preset_of(name), Path(folder))
        lora.wear(base, file)
    taught = time.monotonic()
    with denoiser(base.unet, "fp32") as denoise:
        base.unet.disable_adapters()
        before = asked.draw(base, denoise)
        base.unet.enable_adapters()
        after = asked.draw(base, denoise)
    old, new = asked.marks(judge, before), asked.marks(judge, after)
    result = {
        "before": old.recognised,
        "after": new.recognised,
        "kept before": old.kept,
        "kept after": new.kept,
        "largest fall": new.largest_fall(old),
        "shown without being asked for": new.unasked,
        "setting followed": new.setting,
        "seconds": {"training": round(taught - started), "all": round(time.monotonic() - started)},
    }
    if out:
        lessons = [render(scene) for scene in scenes[:10]]
        rows = (lessons, before[:10], after[:10], after[10:20], before[count:][:10], after[count:][:10])
        _compare(*rows).save(out / f"{name}.png")
    return result


def _compare(*rows: Sequence[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (130 * max(len(row) for row in rows), 130 * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            sheet.paste(image, (130 * x, 130 * y))
    return sheet


def _tensor(images: Sequence[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2).float() / 127.5 - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=("judge", "vae", "clip", *ROWS, *HELD_OUT))
    parser.add_argument("--out", type=Path, help="a JSON file to add the results to; grids land beside it")
    parser.add_argument("--prompts", type=int, default=500, help="how many of each row of prompts")
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--device", default="cpu", help="where to measure the models; LoRAs are taught on the CPU")
    parser.add_argument("--base", type=Path, default=DEMO_FOLDER, help="the model folder whose VAE and base to measure")
    parser.add_argument("--judge", type=Path, default=WEIGHTS, help="the judge's weights")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    judge = load_judge(arguments.judge)
    located = demo_base().model_copy(update={"path": arguments.base})
    results: dict[str, Any] = {}
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)  # not found missing after minutes of measuring
        if arguments.out.exists():
            results = json.loads(arguments.out.read_text())
    for what in arguments.what:
        match what:
            case "judge":
                results[what] = measure_judge(judge)
            case "vae":
                results[what] = measure_vae(load_base(located, arguments.device))
            case "clip":
                results[what] = measure_clip(device=arguments.device)
            case "base" | "further":
                base = load_base(located, arguments.device)
                results[what] = measure_base(base, judge, arguments.prompts, arguments.guidance, ROWS[what])
            case name:
                folder = arguments.out.parent if arguments.out else None
                results[name] = measure_lora(judge, name, folder)
        print(what, json.dumps(results[what]))
        if arguments.out:
            arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
