"""Loads a checkpoint in the original layout: one safetensors file that holds UNet, VAE and text encoders.

Names are converted by diffusers' own single-file code; the configurations come from the file's shapes, so that nothing
is ever looked up anywhere.
"""

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers.loaders import single_file_utils
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from lorabot.trainer.bases.architecture import (
    TextPart,
    scheduler_config,
    text_parts,
    unet_config,
    vae_config,
)
from lorabot.trainer.bases.detection import UNET, VAE
from lorabot.trainer.bases.header import Header, read_header
from lorabot.trainer.bases.located import LocatedBase
from lorabot.trainer.bases.model import Parts
from lorabot.trainer.errors import BadBase

_State = dict[str, torch.Tensor]
_convert: Any = single_file_utils  # it carries no hints


def load_single_file(
    base: LocatedBase, device: torch.device, rest: torch.device, dtype: torch.dtype, vae_dtype: torch.dtype
) -> Parts:
    """The checkpoint's UNet on ``device`` and all else on ``rest``.

    Raises ``BadBase`` where a part lacks weights or is none of ours.
    """
    assert base.family != "demo"
    header = read_header(base.path)
    configs = (
        unet_config(header, base.family, base.prediction),
        vae_config(header, base.family, base.prediction),
        text_parts(header, base.family),
    )
    beside = _Place(header, rest, dtype)
    return Parts(
        unet=_unet(_Place(header, device, dtype), configs[0]),
        vae=_vae(_Place(header, rest, vae_dtype), configs[1]),
        encoders=tuple(_text_encoder(beside, part) for part in configs[2]),
        scheduler=scheduler_config(base.prediction, base.zero_snr),
    )


class _Place:
    """Where weights come from, and where and as what they go."""

    def __init__(self, header: Header, device: torch.device, dtype: torch.dtype) -> None:
        self.file = header.path.name
        self._header, self._device, self._dtype = header, device, dtype

    def read(self, prefix: str) -> _State:
        """The tensors under ``prefix``, as they lie in the file: not copied before they are used."""
        with safe_open(self._header.path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in self._header.shapes if name.startswith(prefix)}

    def fill(self, model: Any, state: Mapping[str, torch.Tensor]) -> Any:
        """Give ``model``, which is empty, its weights. Raises ``BadBase`` where some are missing or of other shapes."""
        expected = model.state_dict()
        missing = [name for name in expected if name not in state]
        if missing:
            raise BadBase(
                "base-incomplete", file=self.file, part=type(model).__name__, name=missing[0], count=len(missing)
            )
        odd = [name for name, value in expected.items() if value.shape != state[name].shape]
        if odd:
            raise BadBase("base-odd-part", file=self.file, part=type(model).__name__, name=odd[0])
        # A copy even where nothing changes: the file may be replaced while its weights are in use.
        moved = {name: state[name].to(self._device).to(self._dtype, copy=True) for name in expected}
        model.load_state_dict(moved, assign=True)
        return model.to(self._device)


def _unet(place: _Place, config: dict[str, Any]) -> UNet2DConditionModel:
    with init_empty_weights():
        unet: UNet2DConditionModel = UNet2DConditionModel(**config)
    tensors = place.read(UNET)
    state = _convert.convert_ldm_unet_checkpoint(tensors, {"addition_embed_type": None, **config})
    if len(state) < len(tensors):  # something in it has no place in this UNet
        raise BadBase("base-odd-unet", file=place.file, channels=4)
    filled: UNet2DConditionModel = place.fill(unet, state)
    return filled


def _vae(place: _Place, config: dict[str, Any]) -> AutoencoderKL:
    with init_empty_weights():
        vae: AutoencoderKL = AutoencoderKL(**config)
    filled: AutoencoderKL = place.fill(vae, _convert.convert_ldm_vae_checkpoint(place.read(VAE), config))
    return filled


def _text_encoder(place: _Place, part: TextPart) -> CLIPTextModel | CLIPTextModelWithProjection:
    kind: Any = CLIPTextModelWithProjection if part.projected else CLIPTextModel
    with init_empty_weights():
        model = kind(CLIPTextConfig(**part.config))
    tensors = place.read(part.prefix)
    state: _State
    if part.open_clip:
        state = _convert.convert_open_clip_checkpoint(model, tensors, prefix=part.prefix)
    else:
        state = _convert.convert_ldm_clip_checkpoint(tensors)
    # With and without a prefix: some files' makers had one, and so have some versions of transformers.
    wrapper = "text_model." if hasattr(model, "text_model") else ""
    named = {
        name if name.startswith("text_projection") else f"{wrapper}{name.removeprefix('text_model.')}": value
        for name, value in state.items()
    }
    filled: CLIPTextModel | CLIPTextModelWithProjection = place.fill(model, named)
    return filled
