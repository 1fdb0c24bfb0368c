"""The text by which AUTOMATIC1111, Forge and sites for pictures know how a picture was made; see its ``PNG info`` tab.

Three parts, each on a line of its own: the prompt, ``Negative prompt: ...``, and settings as ``Name: value`` with
commas between, a value in JSON's quotes where it holds a comma, a colon or a line break.
"""

import json
from dataclasses import dataclass

KEY = "parameters"
"""The PNG text chunk that holds it."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """How a picture was drawn. ``clip_skip`` only where it is another than the first layer; ``size``: width, height."""

    prompt: str
    negative: str
    steps: int
    sampler: str
    schedule: str
    guidance: float
    seed: int
    size: tuple[int, int]
    model: str
    version: str
    clip_skip: int = 1
    rescale: float = 0.0


@dataclass(frozen=True, slots=True)
class Lora:
    """The LoRA file that was used at strength 1: its name without ending, and its hash over all after the header."""

    name: str
    sha256: str


def infotext(drawn: Drawn, lora: Lora | None = None) -> str:
    """The text for a picture; ``lora`` is named in the prompt, as one would type it."""
    settings: dict[str, object] = {
        "Steps": drawn.steps,
        "Sampler": drawn.sampler,
        "Schedule type": drawn.schedule,
        "CFG scale": f"{drawn.guidance:g}",
        "Seed": drawn.seed,
        "Size": f"{drawn.size[0]}x{drawn.size[1]}",
        "Model": drawn.model,
    }
    if drawn.clip_skip > 1:
        settings["Clip skip"] = drawn.clip_skip
    if drawn.rescale:
        settings["CFG Rescale phi"] = f"{drawn.rescale:g}"
    prompt = drawn.prompt
    if lora is not None:
        prompt = f"{prompt} <lora:{lora.name}:1>"
        settings["Lora hashes"] = f"{lora.name}: {lora.sha256[:12]}"
    settings["Version"] = drawn.version
    lines = [prompt, *([f"Negative prompt: {drawn.negative}"] if drawn.negative else [])]
    lines.append(", ".join(f"{name}: {_quoted(str(value))}" for name, value in settings.items()))
    return "\n".join(lines)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if set(value) & set(",:\n") else value
