"""What a LoRA file says about itself: the words that loaders, model sites and people read in its header."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lorabot import __version__
from lorabot.presets import Family, OptimiserName, Recipe
from lorabot.trainer.captioning import Caption
from lorabot.trainer.planning import Plan


@dataclass(frozen=True, slots=True)
class _Known:
    """How the public knows a family: names of its architecture, its version in kohya's scripts, its code."""

    architecture: str
    version: str
    implementation: str = "diffusers"


_KNOWN: Mapping[Family, _Known] = {
    "sd15": _Known("stable-diffusion-v1", "sd_v1"),
    "sd21": _Known("stable-diffusion-v2-512", "sd_v2"),
    "sdxl": _Known(
        "stable-diffusion-xl-v1-base", "sdxl_base_v1-0", "https://github.com/Stability-AI/generative-models"
    ),
    # None of the public models, and not to be taken for one.
    "demo": _Known("lorabot-demo", "lorabot_demo"),
}
_KNOWN_BY_V: Mapping[Family, _Known] = {
    "sd15": _Known("stable-diffusion-v1", "sd_v1_v"),
    "sd21": _Known("stable-diffusion-v2-768-v", "sd_v2_v"),
}
"""Where a base that predicts v goes by another name."""


_OPTIMISERS: Mapping[OptimiserName, str] = {
    "adamw": "torch.optim.AdamW",
    "adamw8bit": "bitsandbytes.optim.AdamW8bit",
    "prodigy": "prodigyopt.Prodigy",
    "schedule-free": "schedulefree.AdamWScheduleFree",
}


@dataclass(frozen=True, slots=True)
class Description:
    """What the file says about itself.

    ``base`` is the base model's name; ``v_prediction`` is whether it predicts v rather than the noise; ``clip_skip`` is
    the text encoder's layer that it listens to, counted from the end. ``step`` is the one whose weights were chosen.
    """

    name: str
    trigger: str
    base: str
    family: Family
    v_prediction: bool
    clip_skip: int
    recipe: Recipe
    plan: Plan
    captions: tuple[Caption, ...]
    seed: int
    step: int
    started: datetime
    finished: datetime


def metadata(about: Description) -> dict[str, str]:
    """The file's header, all of it text; what a person wrote about their images stays out of it."""
    return {**_modelspec(about), **_kohya(about), "lorabot.recipe": _recipe(about.recipe)}


def _known(about: Description) -> _Known:
    known = _KNOWN[about.family]
    return _KNOWN_BY_V.get(about.family, known) if about.v_prediction else known


def _modelspec(about: Description) -> dict[str, str]:
    """The keys of the ModelSpec standard, https://github.com/Stability-AI/ModelSpec."""
    known = _known(about)
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{known.architecture}/lora",
        "modelspec.implementation": known.implementation,
        "modelspec.title": about.name,
        "modelspec.date": about.finished.isoformat(timespec="seconds"),
        "modelspec.resolution": f"{about.plan.resolution}x{about.plan.resolution}",
        "modelspec.trigger_phrase": about.trigger,
        "modelspec.prediction_type": "v" if about.v_prediction else "epsilon",
        "modelspec.encoder_layer": str(about.clip_skip),
    }


def _kohya(about: Description) -> dict[str, str]:
    """The keys of kohya's scripts, which AUTOMATIC1111, Forge and the model sites read."""
    plan, recipe, images = about.plan, about.recipe, len(about.captions)
    folder = f"1_{about.trigger}"
    buckets = {
        "buckets": {
            str(index): {"resolution": [each.width, each.height], "count": each.count}
            for index, each in enumerate(plan.buckets)
        }
    }
    return {
        "ss_output_name": about.name,
        "ss_sd_model_name": about.base,
        "ss_base_model_version": _known(about).version,
        "ss_v2": str(about.family == "sd21"),
        "ss_clip_skip": str(about.clip_skip),
        "ss_network_module": "lycoris.kohya" if recipe.dora else "networks.lora",
        "ss_network_dim": str(plan.rank),
        "ss_network_alpha": f"{plan.alpha:g}",
        "ss_network_args": json.dumps(_network_args(about)),
        "ss_network_dropout": f"{recipe.dropout:g}",
        "ss_resolution": f"({plan.resolution}, {plan.resolution})",
        "ss_num_train_images": str(len(plan.split.training)),
        "ss_num_reg_images": str(recipe.preserve.pictures if recipe.preserve else 0),
        "ss_prior_loss_weight": f"{recipe.preserve.weight if recipe.preserve else 0:g}",
        "ss_batch_size_per_device": str(plan.batch),
        "ss_gradient_accumulation_steps": str(plan.accumulation),
        "ss_max_train_steps": str(plan.steps),
        "ss_steps": str(about.step),
        "ss_learning_rate": f"{plan.learning_rate:g}",
        "ss_unet_lr": f"{plan.learning_rate:g}",
        "ss_text_encoder_lr": f"{recipe.text_encoder_lr:g}",
        "ss_lr_scheduler": "cosine_with_restarts" if plan.schedule == "restarts" else plan.schedule,
        "ss_lr_warmup_steps": str(plan.warmup_steps),
        "ss_optimizer": _OPTIMISERS[plan.optimiser],
        "ss_mixed_precision": {"fp32": "no", "bf16": "bf16"}[plan.precision],
        "ss_min_snr_gamma": f"{recipe.min_snr_gamma:g}" if recipe.min_snr_gamma is not None else "None",
        "ss_noise_offset": f"{recipe.noise_offset:g}",
        "ss_zero_terminal_snr": str(recipe.zero_terminal_snr),
        "ss_loss_type": recipe.loss,
        "ss_enable_bucket": "True",
        "ss_bucket_no_upscale": "False",
        "ss_shuffle_caption": str(recipe.shuffle_captions > 0),
        "ss_caption_dropout_rate": f"{recipe.caption_dropout:g}",
        "ss_random_crop": str(recipe.crops > 1),
        "ss_gradient_checkpointing": str(about.plan.checkpointing),
        "ss_flip_aug": str(recipe.flip),
        "ss_seed": str(about.seed),
        "ss_training_started_at": f"{about.started.timestamp():.3f}",
        "ss_training_finished_at": f"{about.finished.timestamp():.3f}",
        "ss_tag_frequency": json.dumps({folder: tag_frequency(about.trigger, about.captions)}, ensure_ascii=False),
        "ss_dataset_dirs": json.dumps({folder: {"n_repeats": 1, "img_count": images}}, ensure_ascii=False),
        "ss_bucket_info": json.dumps(buckets),
        "ss_training_comment": f"lorabot {__version__}",
    }


def _recipe(recipe: Recipe) -> str:
    """Everything that was asked for, also what kohya's scripts have no key for; without the texts of its pictures."""
    return recipe.model_dump_json(exclude={"sample_prompts": True, "negative_prompt": True, "preserve": {"prompts"}})


def _network_args(about: Description) -> dict[str, str]:
    """What kohya's scripts would have been told beside rank and alpha; they take text."""
    said: dict[str, str] = {}
    if about.recipe.layers == "all":
        said |= {"conv_dim": str(about.plan.rank), "conv_alpha": f"{about.plan.alpha:g}"}
    if about.recipe.dora:
        said |= {"algo": "locon", "dora_wd": "True", "wd_on_output": "True"}
    if about.recipe.lora_plus != 1:
        said["loraplus_lr_ratio"] = f"{about.recipe.lora_plus:g}"
    return said


def tag_frequency(trigger: str, captions: Sequence[Caption]) -> dict[str, int]:
    """How many captions hold the trigger and each label; the words of captions that people wrote are not counted."""
    tags = Counter({trigger: len(captions)})
    for caption in captions:
        if caption.source == "zero-shot":
            tags.update(caption.text.removeprefix(f"{trigger}, ").split(", ") if ", " in caption.text else [])
    return dict(tags.most_common())
