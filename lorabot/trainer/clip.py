"""The CLIP that labels pictures: the built-in one, which reads text with the demo base's own encoder."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lorabot.trainer.bases import DEMO_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from PIL.Image import Image

CLIP_CONFIG = DEMO_FOLDER / "clip" / "lorabot-demo.json"
CLIP_WEIGHTS = DEMO_FOLDER / "clip" / "visual.safetensors"


@dataclass(frozen=True, slots=True)
class Clip:
    """An open_clip model in evaluation mode: `preprocess` makes its (3, H, W) input, `tokenizer` its (N, 77) tokens."""

    name: str
    model: "torch.nn.Module"
    preprocess: "Callable[[Image], torch.Tensor]"
    tokenizer: "Callable[[str | list[str]], torch.Tensor]"
    device: "torch.device"


def load_clip(device: "str | torch.device" = "cpu") -> Clip:
    """The built-in CLIP: an image tower beside the demo base's own text encoder, as an open_clip model in float32."""
    import open_clip
    import torch
    from safetensors.torch import load_file

    add_model_config: Any = open_clip.add_model_config  # it carries no hints
    add_model_config(CLIP_CONFIG)
    name = CLIP_CONFIG.stem
    config = json.loads(CLIP_CONFIG.read_text())
    # Not by open_clip's factory, which would warn that a model without a download is random.
    model = open_clip.CLIP(**config)
    text = load_file(DEMO_FOLDER / "text_encoder" / "model.safetensors")
    state = {**load_file(CLIP_WEIGHTS), **open_clip_text_state(text)}
    model.load_state_dict({key: value.float() for key, value in state.items()})
    return Clip(
        name=name,
        model=model.requires_grad_(False).eval().to(device),
        preprocess=open_clip.image_transform(config["vision_cfg"]["image_size"], is_train=False),
        tokenizer=open_clip.get_tokenizer(name),
        device=torch.device(device),
    )


def open_clip_text_state(text_encoder: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The weights of a CLIPTextModel under open_clip's names: the same transformer, its q, k and v in one matrix."""
    import torch

    weights = {key.removeprefix("text_model."): value for key, value in text_encoder.items()}
    state = {
        "token_embedding.weight": weights["embeddings.token_embedding.weight"],
        "positional_embedding": weights["embeddings.position_embedding.weight"],
    }
    layers = {key.split(".")[2] for key in weights if key.startswith("encoder.layers.")}
    for kind in ("weight", "bias"):
        state[f"ln_final.{kind}"] = weights[f"final_layer_norm.{kind}"]
        for layer in layers:
            ours, theirs = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
            qkv = [weights[f"{ours}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            state[f"{theirs}.attn.in_proj_{kind}"] = torch.cat(qkv)
            state[f"{theirs}.attn.out_proj.{kind}"] = weights[f"{ours}.self_attn.out_proj.{kind}"]
            state[f"{theirs}.ln_1.{kind}"] = weights[f"{ours}.layer_norm1.{kind}"]
            state[f"{theirs}.ln_2.{kind}"] = weights[f"{ours}.layer_norm2.{kind}"]
            state[f"{theirs}.mlp.c_fc.{kind}"] = weights[f"{ours}.mlp.fc1.{kind}"]
            state[f"{theirs}.mlp.c_proj.{kind}"] = weights[f"{ours}.mlp.fc2.{kind}"]
    return state
