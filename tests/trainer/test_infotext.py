"""AUTOMATIC1111 reads back how a picture was drawn; parsed here as its infotext code does it."""

import json
import re
from dataclasses import replace

from lorabot.trainer.infotext import Drawn, Lora, infotext

SETTING = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""AUTOMATIC1111's own pattern for one setting, from ``modules/infotext_utils.py``."""

DRAWN = Drawn(
    prompt="zuri, upper body, (smile:1.2)",
    negative="lowres, bad anatomy",
    steps=25,
    sampler="DPM++ 2M",
    schedule="Karras",
    guidance=7.5,
    seed=42,
    size=(512, 512),
    model="any, model: v2",
    version="lorabot 1.0",
)


def read_back(text: str) -> tuple[str, str, dict[str, str]]:
    """Prompt, negative prompt and settings: the last line holds these, the prompts are what is before it."""
    *lines, last = text.strip().split("\n")
    found = SETTING.findall(last)
    assert len(found) >= 3, "with fewer the line counts as part of the prompt"
    prompts: dict[bool, list[str]] = {False: [], True: []}
    negative = False
    for line in lines:
        negative = negative or line.startswith("Negative prompt:")
        prompts[negative].append(line.removeprefix("Negative prompt:").strip() if negative else line)
    settings = {name: json.loads(value) if value.startswith('"') else value for name, value in found}
    return "\n".join(prompts[False]), "\n".join(prompts[True]), settings


def test_prompts_and_settings_come_back_as_they_were() -> None:
    prompt, negative, settings = read_back(infotext(DRAWN))
    assert (prompt, negative) == (DRAWN.prompt, DRAWN.negative)
    assert settings == {
        "Steps": "25",
        "Sampler": "DPM++ 2M",
        "Schedule type": "Karras",
        "CFG scale": "7.5",
        "Seed": "42",
        "Size": "512x512",
        "Model": "any, model: v2",
        "Version": "lorabot 1.0",
    }


def test_a_lora_is_named_as_it_is_typed_and_found_by_its_hash() -> None:
    prompt, _, settings = read_back(infotext(DRAWN, Lora("My-Zuri", "0123456789abcdef" * 4)))
    assert prompt == f"{DRAWN.prompt} <lora:My-Zuri:1>"
    assert settings["Lora hashes"] == "My-Zuri: 0123456789ab"


def test_what_is_usual_is_not_said() -> None:
    prompt, negative, settings = read_back(infotext(replace(DRAWN, negative="", clip_skip=2, rescale=0.7)))
    assert (prompt, negative) == (DRAWN.prompt, "")
    assert settings["Clip skip"] == "2"
    assert settings["CFG Rescale phi"] == "0.7"
