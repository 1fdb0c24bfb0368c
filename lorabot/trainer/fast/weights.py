"""The weights of the network's products of matrices, with the adapter folded in, and the adapter's gradients."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch

from lorabot.trainer.fast.primitives import Primitives
from lorabot.trainer.fast.unsupported import Unsupported

_STACKED = 16
"""Layers of one shape whose changes wait for each other to be turned into gradients or, where they hear the texts, that
go through at once: few launches, little memory."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A linear layer or a 1 x 1 convolution, with its adapter's matrices where it has one."""

    base: torch.nn.Linear | torch.nn.Conv2d
    down: torch.nn.Parameter | None = None
    up: torch.nn.Parameter | None = None
    scaling: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        return self.base.weight.shape[0], self.base.weight[0].numel()


def layer_of(module: torch.nn.Module) -> Layer:
    """What ``module`` is made of. Raises ``Unsupported`` for what is neither plain nor a plain LoRA."""
    from peft.tuners.lora import LoraLayer

    if isinstance(module, LoraLayer):
        lora: Any = module
        if len(lora.active_adapters) != 1:
            raise Unsupported("layers")
        (name,) = lora.active_adapters
        if name in lora.lora_magnitude_vector:
            raise Unsupported("dora")
        layer = Layer(lora.base_layer, lora.lora_A[name].weight, lora.lora_B[name].weight, lora.scaling[name])
    else:
        given: Any = module
        layer = Layer(given)
    if not isinstance(layer.base, torch.nn.Linear | torch.nn.Conv2d) or layer.base.weight[0, 0].numel() != 1:
        raise Unsupported("network")
    return layer


@dataclass(slots=True, eq=False)
class Stack:
    """n adapted layers of one shape. Their ``base`` weights: (n, out, in), of the network's type.

    ``down`` (n, r, in) and ``up`` (n, out, r) in float32 are the adapter's parameters; ``narrow`` those in the
    network's type; ``gradients`` theirs. ``folded``: a place for the weights with the adapter in them; where there is
    none, a few are made when they are needed.
    """

    base: torch.Tensor
    down: torch.Tensor
    up: torch.Tensor
    scale: torch.Tensor
    narrow: tuple[torch.Tensor, torch.Tensor]
    gradients: tuple[torch.Tensor, torch.Tensor]
    folded: torch.Tensor | None = None
    _ops: Primitives | None = None
    _changes: torch.Tensor | None = None
    _missing: int = 0

    def begin(self, ops: Primitives) -> None:
        """Come to what the adapter is now.

        What a way back that was broken off, for lack of memory say, has left is forgotten.
        """
        self._ops, self._changes = ops, None
        if self.folded is not None:
            ops.fold(self.base, self.down, self.up, self.scale, self.folded)

    def weight(self, part: slice) -> torch.Tensor:
        """The folded weights (k * out, in) of the k layers of ``part``, one above the other."""
        if self.folded is not None:
            return self.folded[part].flatten(0, 1)
        assert self._ops is not None, "no pass has begun"
        made = torch.empty_like(self.base[part])
        self._ops.fold(self.base[part], self.down[part], self.up[part], self.scale, made)
        return made.flatten(0, 1)

    def learn(self, part: slice, gradient: torch.Tensor, rows: torch.Tensor) -> None:
        """Take in what the layers of ``part`` are to learn: they made, of ``rows``, what has ``gradient``."""
        if self._changes is None:
            self._changes, self._missing = torch.empty_like(self.base), len(self.base)
        changes = self._changes[part]
        torch.mm(gradient.t(), rows, out=changes.flatten(0, 1))
        self._missing -= len(changes)
        if not self._missing:
            self.settle(slice(None), self._changes)
            self._changes = None

    def settle(self, part: slice, changes: torch.Tensor) -> None:
        """From the gradient of the folded weights of ``part`` that of the adapter, still without its scale."""
        down, up = (each[part] for each in self.narrow)
        self.gradients[0][part].copy_(torch.bmm(up.mT, changes))
        self.gradients[1][part].copy_(torch.bmm(changes, down.mT))


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """One product: that of one layer, or those of several that hear the same rows.

    Its weight (out, in) is ``frozen``, or that of the layers of a ``stack`` that are its ``part``.
    """

    frozen: torch.Tensor | None = None
    bias: torch.Tensor | None = None
    stack: Stack | None = None
    part: slice = field(default_factory=lambda: slice(None))

    @property
    def adapted(self) -> bool:
        return self.stack is not None

    @property
    def weight(self) -> torch.Tensor:
        """As it is in the pass that was begun last; where folded weights have no place, made each time it is asked."""
        if self.stack is not None:
            return self.stack.weight(self.part)
        assert self.frozen is not None
        return self.frozen

    @property
    def width(self) -> int:
        """Of the rows that go in."""
        held = self.frozen if self.stack is None else self.stack.base
        assert held is not None
        return held.shape[-1]

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ self.weight.t()

    def back(self, gradient: torch.Tensor) -> torch.Tensor:
        """That of the rows."""
        return gradient @ self.weight

    def learn(self, gradient: torch.Tensor, rows: torch.Tensor) -> None:
        """Take in the gradient of what came out when ``rows`` went in."""
        if self.stack is not None:
            self.stack.learn(self.part, gradient, rows)

    def learn_now(self, gradient: torch.Tensor, rows: torch.Tensor) -> None:
        """The same, without waiting for the stack's other layers."""
        if self.stack is not None:
            changes = gradient.t() @ rows
            self.stack.settle(self.part, changes.view(-1, *self.stack.base.shape[1:]))


@dataclass(frozen=True, slots=True, eq=False)
class TextProduct:
    """What all layers make that hear the texts, side by side: ``parts`` of it are as wide as ``widths``."""

    parts: tuple[Product, ...]
    widths: list[int]

    def __call__(self, texts: torch.Tensor) -> torch.Tensor:
        """(N, in) to (N, all outputs)."""
        made = texts.new_empty(len(texts), sum(self.widths))
        for part, place in zip(self.parts, torch.split(made, self.widths, dim=1), strict=True):
            torch.mm(texts, part.weight.t(), out=place)
        return made

    def learn(self, gradient: torch.Tensor, texts: torch.Tensor) -> None:
        """Take in the ``gradient`` (N, all outputs) of what came of ``texts``."""
        for part, wanted in zip(self.parts, torch.split(gradient, self.widths, dim=1), strict=True):
            part.learn_now(wanted, texts)

    def back(self, gradient: torch.Tensor) -> torch.Tensor:
        """From the ``gradient`` of what came out that of the texts; of sums at least in float32."""
        each = zip(self.parts, torch.split(gradient, self.widths, dim=1), strict=True)
        wide = torch.promote_types(gradient.dtype, torch.float32)
        first, *others = (part.back(wanted).to(wide) for part, wanted in each)
        return sum(others, first).to(gradient.dtype)


@dataclass(slots=True, eq=False)
class Weights:
    """All products of a network. ``values`` and ``gradients``: all of the adapter's parameters in a row, float32.

    ``parameters`` are peft's own, in the order of ``values``, which share their memory with them; ``names`` are theirs
    in the network. ``scaling`` is what ``scale`` is unless the adapter is switched off.
    """

    parameters: list[torch.nn.Parameter]
    names: list[str]
    values: torch.Tensor
    gradients: torch.Tensor
    narrow: torch.Tensor
    scale: torch.Tensor
    scaling: float
    stacks: list[Stack] = field(default_factory=list)

    def keep(self, wanted: bool) -> None:
        """Whether folded weights have a place of their own, as large as all adapted layers, or are made as needed.

        All have one or none: where there is too little memory, none, and that is raised.
        """
        places = [torch.empty_like(stack.base) if wanted else None for stack in self.stacks]
        for stack, place in zip(self.stacks, places, strict=True):
            stack.folded = place

    def begin(self, ops: Primitives) -> None:
        """Bring all products to what the adapter is now."""
        if self.stacks:
            self.narrow.copy_(self.values)
        for stack in self.stacks:
            stack.begin(ops)

    def split(self, gradients: torch.Tensor) -> list[torch.Tensor]:
        """A row of all parameters' gradients, one by one, as ``parameters`` are ordered and shaped."""
        parts = torch.split(gradients, [parameter.numel() for parameter in self.parameters])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self.parameters, strict=True)]


def pack(groups: Sequence[Sequence[Layer]], texts: Sequence[Layer]) -> tuple[Weights, list[Product], TextProduct]:
    """The products of ``groups``, in the order in which they are used, and the one of all ``texts``' layers.

    A group's layers are equally large or none of them is adapted. The layers' own weights become views of what is
    packed here, so that nothing is held twice. Raises ``Unsupported``.
    """
    every = [layer for group in (*groups, texts) for layer in group]
    adapted = [layer for layer in every if layer.down is not None and layer.up is not None]
    if len({layer.scaling for layer in adapted}) > 1:
        raise Unsupported("layers")
    some = every[0].base.weight
    total = sum(_numel(layer) for layer in adapted)
    values, gradients = (torch.zeros(total, device=some.device, dtype=_wide(some.dtype)) for _ in range(2))
    narrow = torch.empty_like(values, dtype=some.dtype)
    scaling = adapted[0].scaling if adapted else 0.0
    weights = Weights(
        [], [], values, gradients, narrow, torch.tensor(scaling, device=some.device, dtype=_wide(some.dtype)), scaling
    )
    filling: dict[tuple[int, int], list[Sequence[Layer]]] = {}
    products: dict[int, Product] = {}
    numbered = {id(group): number for number, group in enumerate(groups)}

    def close(shape: tuple[int, int]) -> None:
        members = filling.pop(shape, [])
        if not members:
            return
        base = _joined([layer for group in members for layer in group])
        stack = _stack(weights, [layer for group in members for layer in group], base)
        start = 0
        for group in members:
            part = slice(start, start + len(group))
            products[numbered[id(group)]] = Product(None, _bias(group), stack, part)
            start = part.stop

    for number, group in enumerate(groups):
        if not any(layer.down is not None for layer in group):
            products[number] = Product(_frozen(group), _bias(group))
            continue
        shape = group[0].shape
        if any(layer.shape != shape or layer.down is None for layer in group):
            raise Unsupported("layers")
        held = filling.setdefault(shape, [])
        if sum(map(len, held)) + len(group) > _STACKED:
            close(shape)
            held = filling.setdefault(shape, [])
        held.append(group)
    for shape in list(filling):
        close(shape)
    return weights, [products[number] for number in range(len(groups))], _of_texts(weights, texts)


def _of_texts(weights: Weights, texts: Sequence[Layer]) -> TextProduct:
    """One beside the other; layers of one size follow each other."""
    if all(layer.down is None for layer in texts):
        packed = _frozen(texts)
        return TextProduct((Product(packed),), [len(packed)])
    if any(layer.down is None for layer in texts):
        raise Unsupported("layers")
    parts, widths = [], []
    for (out, _), alike in groupby(texts, key=lambda layer: layer.shape):
        layers = list(alike)
        for first in range(0, len(layers), _STACKED):
            members = layers[first : first + _STACKED]
            parts.append(Product(stack=_stack(weights, members, _joined(members))))
            widths.append(len(members) * out)
    return TextProduct(tuple(parts), widths)


def _stack(weights: Weights, layers: Sequence[Layer], base: torch.Tensor) -> Stack:
    """A stack of ``layers``, whose parameters from now on lie in ``weights``, after those that lie there."""
    at = sum(parameter.numel() for parameter in weights.parameters)
    found: list[tuple[torch.Tensor, ...]] = []
    for matrices in ([layer.down for layer in layers], [layer.up for layer in layers]):
        parameters = [matrix for matrix in matrices if matrix is not None]
        shape = (len(parameters), *parameters[0].flatten(1).shape)
        part = slice(at, at + sum(parameter.numel() for parameter in parameters))
        held, gradient, narrow = (
            each[part].view(shape) for each in (weights.values, weights.gradients, weights.narrow)
        )
        for view, parameter in zip(held, parameters, strict=True):
            view.copy_(parameter.data.flatten(1))
            parameter.data = view.view(parameter.shape)
        weights.parameters.extend(parameters)
        found.append((held, gradient, narrow))
        at = part.stop
    (down, down_gradient, down_narrow), (up, up_gradient, up_narrow) = found
    stack = Stack(base, down, up, weights.scale, (down_narrow, up_narrow), (down_gradient, up_gradient))
    weights.stacks.append(stack)
    return stack


def _joined(layers: Sequence[Layer]) -> torch.Tensor:
    base = torch.stack([layer.base.weight.flatten(1) for layer in layers])
    _point(layers, base)
    return base


def _point(layers: Sequence[Layer], packed: torch.Tensor) -> None:
    for layer, weight in zip(layers, packed, strict=True):
        layer.base.weight.data = weight.view(layer.base.weight.shape)


def _frozen(layers: Sequence[Layer]) -> torch.Tensor:
    if len(layers) == 1:
        return layers[0].base.weight.flatten(1)
    packed = torch.cat([layer.base.weight.flatten(1) for layer in layers])
    row = 0
    for layer in layers:
        out = layer.shape[0]
        _point([layer], packed[row : row + out][None])
        row += out
    return packed


def _bias(group: Sequence[Layer]) -> torch.Tensor | None:
    return group[0].base.bias if len(group) == 1 else None


def _numel(layer: Layer) -> int:
    return sum(matrix.numel() for matrix in (layer.down, layer.up) if matrix is not None)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
