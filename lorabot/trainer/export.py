"""Stage: writes the LoRA as one file that AUTOMATIC1111/Forge, ComfyUI and diffusers load without a key left over."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
from safetensors.torch import save

from lorabot import __version__
from lorabot.trainer.adapter import State
from lorabot.trainer.captioning import Caption
from lorabot.trainer.planning import Plan

ARCHITECTURES: Mapping[str, tuple[str, str]] = {
    "sd15": ("stable-diffusion-v1/lora", "sd_v1"),
    "demo": ("lorabot-demo/lora", "lorabot_demo"),
}
"""Per family: ``modelspec.architecture`` and ``ss_base_model_version``. The demo base is none of the public models, and
must not be taken for one."""

DTYPE = torch.float16
"""What every loader reads; half the size of float32."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the file says about itself."""

    name: str
    trigger: str
    base: str
    family: str
    plan: Plan
    captions: tuple[Caption, ...]
    seed: int
    step: int
    min_snr_gamma: float | None
    noise_offset: float
    started: datetime
    finished: datetime


def rounded(state: State) -> State:
    """``state`` as the file will hold it: float32 values that float16 can express."""
    return {name: value.to(DTYPE).float() for name, value in state.items()}


def tensors(state: State, alpha: float) -> dict[str, torch.Tensor]:
    """peft's parameters under the names of kohya's scripts, with ``alpha`` written beside each pair.

    ``unet.down_blocks.0.[...].to_q.lora_A.default.weight`` becomes
    ``lora_unet_down_blocks_0_[...]_to_q.lora_down.weight``.
    """
    named: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        path, _, kind = name.partition(".lora_")
        module = "lora_" + path.replace(".", "_")
        side = {"A": "lora_down", "B": "lora_up"}[kind[0]]
        named[f"{module}.{side}.weight"] = value.to(DTYPE).contiguous()
        named[f"{module}.alpha"] = torch.tensor(alpha, dtype=DTYPE)
    return dict(sorted(named.items()))


def metadata(about: Description) -> dict[str, str]:
    """The file's header, all of it text; what a person wrote about their images stays out of it."""
    architecture, version = ARCHITECTURES[about.family]
    plan, images = about.plan, len(about.captions)
    folder = f"1_{about.trigger}"
    resolution = f"{plan.resolution}x{plan.resolution}"
    buckets = {"buckets": {"0": {"resolution": [plan.resolution] * 2, "count": images}}, "mean_img_ar_error": 0.0}
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": architecture,
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
        "modelspec.title": about.name,
        "modelspec.date": about.finished.isoformat(timespec="seconds"),
        "modelspec.resolution": resolution,
        "modelspec.trigger_phrase": about.trigger,
        "modelspec.prediction_type": "epsilon",
        "modelspec.encoder_layer": "1",
        "ss_output_name": about.name,
        "ss_sd_model_name": about.base,
        "ss_base_model_version": version,
        "ss_v2": "False",
        "ss_clip_skip": "1",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(plan.rank),
        "ss_network_alpha": f"{plan.alpha:g}",
        "ss_resolution": f"({plan.resolution}, {plan.resolution})",
        "ss_num_train_images": str(len(plan.split.training)),
        "ss_num_reg_images": "0",
        "ss_batch_size_per_device": str(plan.batch),
        "ss_gradient_accumulation_steps": str(plan.accumulation),
        "ss_max_train_steps": str(plan.steps),
        "ss_steps": str(about.step),
        "ss_learning_rate": f"{plan.learning_rate:g}",
        "ss_unet_lr": f"{plan.learning_rate:g}",
        "ss_text_encoder_lr": "0",
        "ss_lr_scheduler": "cosine",
        "ss_lr_warmup_steps": str(plan.warmup_steps),
        "ss_optimizer": "torch.optim.AdamW",
        "ss_mixed_precision": {"fp32": "no", "bf16": "bf16"}[plan.precision],
        "ss_min_snr_gamma": f"{about.min_snr_gamma:g}" if about.min_snr_gamma is not None else "None",
        "ss_noise_offset": f"{about.noise_offset:g}",
        "ss_seed": str(about.seed),
        "ss_training_started_at": f"{about.started.timestamp():.3f}",
        "ss_training_finished_at": f"{about.finished.timestamp():.3f}",
        "ss_tag_frequency": json.dumps({folder: tag_frequency(about.trigger, about.captions)}, ensure_ascii=False),
        "ss_dataset_dirs": json.dumps({folder: {"n_repeats": 1, "img_count": images}}, ensure_ascii=False),
        "ss_bucket_info": json.dumps(buckets),
        "ss_training_comment": f"lorabot {__version__}",
    }


def tag_frequency(trigger: str, captions: Sequence[Caption]) -> dict[str, int]:
    """How many captions hold the trigger and each label; the words of captions that people wrote are not counted."""
    tags = Counter({trigger: len(captions)})
    for caption in captions:
        if caption.source == "zero-shot":
            tags.update(caption.text.removeprefix(f"{trigger}, ").split(", ") if ", " in caption.text else [])
    return dict(tags.most_common())


def export(path: Path, state: State, about: Description) -> int:
    """Write the file and return its size in bytes."""
    content = tensors(state, about.plan.alpha)
    header = metadata(about)
    header.update(hashes(content, header))
    path.write_bytes(save(content, metadata=header))
    return path.stat().st_size


def hashes(content: dict[str, torch.Tensor], header: Mapping[str, str]) -> dict[str, str]:
    """The two hashes by which model sites and AUTOMATIC1111 know a file, over the tensors and ``ss_`` keys alone."""
    serialised = save(content, metadata={key: value for key, value in header.items() if key.startswith("ss_")})
    after_header = 8 + int.from_bytes(serialised[:8], "little")
    return {
        "sshs_model_hash": hashlib.sha256(serialised[after_header:]).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(serialised[0x100000:0x110000]).hexdigest()[:8],
    }
