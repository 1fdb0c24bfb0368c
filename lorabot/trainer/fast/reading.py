"""Reads the network out of a diffusers UNet, and says where it is none that the fast way knows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from lorabot.trainer.fast.convolving import Convolution, Resnet, Upsampling
from lorabot.trainer.fast.embedding import Embedding
from lorabot.trainer.fast.network import Link, Network
from lorabot.trainer.fast.primitives import GroupNorm, LayerNorm, Primitives
from lorabot.trainer.fast.transforming import Block, Transformer
from lorabot.trainer.fast.unsupported import Unsupported
from lorabot.trainer.fast.weights import Layer, Product, layer_of, pack

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

_PLAIN: dict[str, tuple[object, ...]] = {
    "act_fn": ("silu",),
    "addition_embed_type": (None, "text_time"),
    "attention_type": ("default",),
    "center_input_sample": (False,),
    "class_embed_type": (None,),
    "class_embeddings_concat": (False,),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "cross_attention_norm": (None,),
    "downsample_padding": (1,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim": (None,),
    "encoder_hid_dim_type": (None,),
    "mid_block_only_cross_attention": (None, False),
    "mid_block_scale_factor": (1,),
    "num_class_embeds": (None,),
    "only_cross_attention": (False,),
    "resnet_out_scale_factor": (1.0,),
    "resnet_skip_time_act": (False,),
    "resnet_time_scale_shift": ("default",),
    "reverse_transformer_layers_per_block": (None,),
    "time_cond_proj_dim": (None,),
    "time_embedding_act_fn": (None,),
    "time_embedding_type": ("positional",),
    "timestep_post_act": (None,),
}
_BLOCKS = ("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UNetMidBlock2DCrossAttn", None)


def read(unet: "UNet2DConditionModel", ops: Primitives) -> Network:
    """``unet`` with the adapter that is on it now; its weights are laid out anew, with the same values.

    Raises ``Unsupported`` for parts that Stable Diffusion 1, 2 and XL don't have and for other kinds of adapter.
    """
    config: Any = unet.config
    if any(config.get(name, values[0]) not in values for name, values in _PLAIN.items()):
        raise Unsupported("network")
    kinds = (*config.down_block_types, *config.up_block_types, config.mid_block_type)
    if any(kind not in _BLOCKS for kind in kinds):
        raise Unsupported("network")
    return _Reader(unet, ops).network()


class _Reader:
    """Walks through the modules once to find the adapted layers, packs them, and walks again to build the parts."""

    def __init__(self, unet: "UNet2DConditionModel", ops: Primitives) -> None:
        self._unet: Any = unet
        self._ops = ops
        self._resnets: list[Any] = []

    def network(self) -> Network:
        unet = self._unet
        transformers = [module for _, module, _, _ in self._walk() if hasattr(module, "transformer_blocks")]
        blocks = [block for transformer in transformers for block in transformer.transformer_blocks]
        _check(unet, blocks)
        groups = [group for transformer in transformers for group in _groups(transformer)]
        texts = sorted(
            (layer_of(each) for block in blocks for each in (block.attn2.to_k, block.attn2.to_v)),
            key=lambda layer: layer.shape[0],
        )
        weights, products, text_product = pack(groups, texts)
        names = {id(parameter): name for name, parameter in unet.named_parameters()}
        weights.names = [names[id(parameter)] for parameter in weights.parameters]
        places: dict[int, slice] = {}
        row = 0
        for layer in texts:
            places[id(layer.base)] = slice(row, row + layer.shape[0])
            row += layer.shape[0]
        left = iter(products)
        made: list[Link] = []
        shifts: list[Any] = []
        for kind, module, takes, puts in self._walk():
            part: Any
            if kind == "resnet":
                part = _resnet(module, len(shifts))
                shifts.append(module)
            elif kind == "transformer":
                part = _transformer(module, [next(left) for _ in _groups(module)], places)
            elif kind == "down":
                part = _convolution(module.conv)
            else:
                part = Upsampling.of(module.conv.weight, module.conv.bias)
            made.append(Link(part, takes, puts))
        times = torch.cat([module.time_emb_proj.weight for module in shifts])
        wide = torch.promote_types(times.dtype, torch.float32)
        biases = [module.time_emb_proj.bias.to(wide) + module.conv1.bias for module in shifts]
        return Network(
            ops=self._ops,
            weights=weights,
            texts=text_product,
            embed=_embedding(unet),
            times=times,
            times_bias=torch.cat(biases),
            widths=tuple(len(bias) for bias in biases),
            first=_convolution(unet.conv_in),
            links=tuple(made),
            norm=_group_norm(unet.conv_norm_out),
            last=_channels_last(unet.conv_out.weight),
            last_bias=unet.conv_out.bias,
            grain=2 ** (len(unet.config.block_out_channels) - 1),
        )

    def _walk(self) -> list[tuple[str, Any, bool, bool]]:
        """What there is, in the order it is gone through: its kind, whether it takes a map put by, and puts one by."""
        found: list[tuple[str, Any, bool, bool]] = []
        for block in self._unet.down_blocks:
            attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
            for resnet, attention in zip(block.resnets, attentions, strict=True):
                found.append(("resnet", resnet, False, attention is None))
                if attention is not None:
                    found.append(("transformer", attention, False, True))
            found.extend(("down", sampler, False, True) for sampler in block.downsamplers or ())
        if middle := self._unet.mid_block:
            found.append(("resnet", middle.resnets[0], False, False))
            for attention, resnet in zip(middle.attentions, middle.resnets[1:], strict=True):
                found += [("transformer", attention, False, False), ("resnet", resnet, False, False)]
        for block in self._unet.up_blocks:
            attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
            for resnet, attention in zip(block.resnets, attentions, strict=True):
                found.append(("resnet", resnet, True, False))
                if attention is not None:
                    found.append(("transformer", attention, False, False))
            found.extend(("up", sampler, False, False) for sampler in block.upsamplers or ())
        return found


def _check(unet: Any, blocks: Sequence[Any]) -> None:
    """Raise ``Unsupported`` where an adapter is on other layers than those of the transformers, or only on some."""
    from peft.tuners.lora import LoraLayer

    adapted = [name for name, module in unet.named_modules() if isinstance(module, LoraLayer)]
    if any(".attentions." not in name for name in adapted):
        raise Unsupported("layers")
    for block in blocks:
        attentions = [(one.to_q, one.to_k, one.to_v, one.to_out[0]) for one in (block.attn1, block.attn2)]
        if adapted and not all(isinstance(layer, LoraLayer) for layers in attentions for layer in layers):
            raise Unsupported("layers")
        gate = getattr(block.ff.net[0], "proj", None)
        known = block.norm_type == "layer_norm" and type(block.ff.net[0]).__name__ == "GEGLU" and gate is not None
        if not known or any(one.norm_q is not None or one.to_q.bias is not None for one in (block.attn1, block.attn2)):
            raise Unsupported("network")
    if any(resnet.conv1.bias is None or resnet.output_scale_factor != 1 for resnet in _resnets(unet)):
        raise Unsupported("network")


def _resnets(unet: Any) -> list[Any]:
    return [module for module in unet.modules() if hasattr(module, "time_emb_proj") and hasattr(module, "conv1")]


def _groups(transformer: Any) -> list[list[Layer]]:
    """The products of ``transformer`` in the order of their use, each with the layers that hear the same rows."""
    groups = [[layer_of(transformer.proj_in)]]
    for block in transformer.transformer_blocks:
        own, heard = block.attn1, block.attn2
        groups += [
            [layer_of(own.to_q), layer_of(own.to_k), layer_of(own.to_v)],
            *([layer_of(one)] for one in (own.to_out[0], heard.to_q, heard.to_out[0])),
            *([layer_of(one)] for one in (block.ff.net[0].proj, block.ff.net[2])),
        ]
    return [*groups, [layer_of(transformer.proj_out)]]


def _transformer(module: Any, products: Sequence[Product], places: dict[int, slice]) -> Transformer:
    into, *inner, out = products
    blocks = tuple(
        _block(block, inner[6 * number : 6 * number + 6], places)
        for number, block in enumerate(module.transformer_blocks)
    )
    last = blocks[-1].narrow
    ending, bias = None, out.bias
    assert bias is not None
    if not last.adapted and not out.adapted:
        wide = torch.promote_types(out.weight.dtype, torch.float32)
        ending = (out.weight.to(wide) @ last.weight.to(wide)).to(out.weight.dtype)
        assert last.bias is not None
        bias = bias.to(wide) + out.weight.to(wide) @ last.bias.to(wide)
    return Transformer(
        norm=_group_norm(module.norm),
        into=into,
        blocks=blocks,
        out=out,
        ending=ending,
        last_bias=bias,
        adapted=any(product.adapted for product in products),
    )


def _block(module: Any, products: Sequence[Product], places: dict[int, slice]) -> Block:
    own, own_out, query, query_out, widen, narrow = products
    return Block(
        norms=(_layer_norm(module.norm1), _layer_norm(module.norm2), _layer_norm(module.norm3)),
        heads=(module.attn1.heads, module.attn2.heads),
        own=own,
        own_out=own_out,
        query=query,
        texts=(places[id(_base(module.attn2.to_k))], places[id(_base(module.attn2.to_v))]),
        query_out=query_out,
        widen=widen,
        narrow=narrow,
    )


def _base(module: Any) -> Any:
    return getattr(module, "base_layer", module)


def _resnet(module: Any, shift: int) -> Resnet:
    past = None if module.conv_shortcut is None else module.conv_shortcut.weight.flatten(1)
    bias = module.conv2.bias
    if module.conv_shortcut is not None and module.conv_shortcut.bias is not None:
        wide = torch.promote_types(bias.dtype, torch.float32)
        bias = bias.to(wide) + module.conv_shortcut.bias
    return Resnet(
        first_norm=_group_norm(module.norm1),
        first=_channels_last(module.conv1.weight),
        shift=shift,
        second_norm=_group_norm(module.norm2),
        second=_channels_last(module.conv2.weight),
        past=past,
        bias=bias,
    )


def _convolution(module: Any) -> Convolution:
    return Convolution(_channels_last(module.weight), module.bias, module.stride[0])


def _channels_last(weight: torch.nn.Parameter) -> torch.Tensor:
    """The same values; the layer's own weight becomes them, so that they are held once."""
    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return weight.data


def _group_norm(module: Any) -> GroupNorm:
    return GroupNorm(module.weight.detach(), module.bias.detach(), module.num_groups, module.eps)


def _layer_norm(module: Any) -> LayerNorm:
    return LayerNorm(module.weight.detach(), module.bias.detach(), module.eps)


def _embedding(unet: Any) -> Embedding:
    # The modules it needs and not the whole network, which whoever keeps this would otherwise keep alive.
    size_proj, added = (getattr(unet, name, None) for name in ("add_time_proj", "add_embedding"))
    return Embedding(unet.time_proj, unet.time_embedding, size_proj, added, unet.conv_in.weight.dtype)
