"""Tells from a file's header what it is: a checkpoint and of which family, or what else, which can't be trained on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lorabot.presets import Prediction, RealFamily
from lorabot.trainer.bases.header import Header
from lorabot.trainer.errors import BadBase

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "cond_stage_model.transformer."
OPEN_CLIP = "cond_stage_model.model."
FIRST_OF_XL = "conditioner.embedders.0.transformer."
SECOND_OF_XL = "conditioner.embedders.1.model."
REFINER = "conditioner.embedders.0.model."
_V_PREDICTION, _ZERO_SNR = "v_pred", "ztsnr"
"""Empty tensors by which makers of v-prediction models tell ComfyUI and Forge how theirs was trained."""

_COMPRESSED = (".scale_weight", ".weight_scale", ".comfy_quant", "scaled_fp8", ".absmax", ".SCB")
"""What ComfyUI and bitsandbytes put beside weights that mean something only together with it."""

_USUAL: Mapping[RealFamily, Prediction] = {"sd15": "epsilon", "sd21": "v_prediction", "sdxl": "epsilon"}
"""SD2.1 exists with both; the 768 px model, which predicts v, is the one that people mean."""

_INPUTS = {5: "base-depth", 7: "base-upscaler", 8: "base-instruct", 9: "base-inpainting"}


@dataclass(frozen=True, slots=True)
class Detected:
    """What a checkpoint is.

    ``sure``: whether the file itself says what its UNet predicts; ``zero_snr``: whether its noise schedule ends in
    noise alone (arXiv 2305.08891).
    """

    family: RealFamily
    prediction: Prediction
    sure: bool
    zero_snr: bool


def detect(header: Header) -> Detected:
    """What the checkpoint with this header is. Raises ``BadBase`` where it is no whole one of a known family."""
    name, shapes = header.path.name, header.shapes
    if not any(key.startswith(UNET) for key in shapes):
        raise BadBase(_other_kind(header), file=name)
    for code, is_it in _OTHER_MODELS.items():
        if any(is_it(key.removeprefix(UNET)) for key in shapes):
            raise BadBase(code, file=name)
    if any(key.endswith(_COMPRESSED) or ".quant_state." in key for key in shapes):
        raise BadBase("base-compressed", file=name)
    channels = (*shapes.get(f"{UNET}input_blocks.0.0.weight", ()), 0, 0)[1]
    if channels != 4:
        raise BadBase(_INPUTS.get(channels, "base-odd-unet"), file=name, channels=channels)
    family = _family(header)
    if not any(key.startswith(VAE) for key in shapes):
        raise BadBase("base-without-vae", file=name)
    told = _told(header)
    return Detected(family, told or _USUAL[family], told is not None, _ZERO_SNR in shapes)


def _family(header: Header) -> RealFamily:
    """By the text encoders, which the families do not share: CLIP, OpenCLIP, or both."""

    def has(prefix: str) -> bool:
        return any(key.startswith(prefix) for key in header.shapes)

    if has(FIRST_OF_XL) and has(SECOND_OF_XL):
        return "sdxl"
    if has(REFINER):
        raise BadBase("base-refiner", file=header.path.name)
    if has(CLIP):
        return "sd15"
    if has(OPEN_CLIP):
        return "sd21"
    raise BadBase("base-without-text-encoder", file=header.path.name)


def _told(header: Header) -> Prediction | None:
    if _V_PREDICTION in header.shapes:
        return "v_prediction"
    said = header.metadata.get("modelspec.prediction_type", "").lower()  # `epsilon` or `v`, says the specification
    if said in ("v", "v_prediction", "v-prediction"):
        return "v_prediction"
    return "epsilon" if said == "epsilon" else None


_OTHER_MODELS: Mapping[str, Callable[[str], bool]] = {
    "base-sd3": lambda key: key.startswith("joint_blocks."),
    "base-flux": lambda key: key.startswith(("double_blocks.", "single_blocks.", "double_stream_modulation")),
}
"""Newer architectures, by the names within their denoiser."""


def _other_kind(header: Header) -> str:
    """The code of the sentence for a file without a UNet in its place."""
    keys = header.shapes
    kinds: dict[str, Callable[[str], bool]] = {
        "base-lora": lambda key: (
            key.startswith(("lora_unet_", "lora_te"))
            or key.endswith((".alpha", ".dora_scale"))
            or any(part in key for part in (".lora_", "_lora.", ".hada_w", ".lokr_w", ".oft_"))
        ),
        "base-controlnet": lambda key: key.startswith(("control_model.", "controlnet_", "input_hint_block.")),
        **_OTHER_MODELS,
        "base-unet": lambda key: key.startswith(("input_blocks.", "down_blocks.", "time_embedding.")),
        "base-vae": lambda key: (
            key.startswith((VAE, "encoder.down", "decoder.up", "quant_conv.", "post_quant_conv."))
            and not key.startswith("encoder.layers.")
        ),
        "base-embedding": lambda key: key in ("emb_params", "clip_g", "clip_l") or key.startswith("string_to_param"),
        "base-text-encoder": lambda key: (
            key.startswith(
                ("text_model.", "encoder.layers.", "transformer.resblocks.", "embeddings.", "text_encoders.")
            )
            or key.startswith((CLIP, OPEN_CLIP, FIRST_OF_XL, SECOND_OF_XL))
        ),
    }
    return next((code for code, is_it in kinds.items() if any(is_it(key) for key in keys)), "base-other")
