"""The weights of the network's products of matrices, with the adapter folded in, and the adapter's gradients."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lorabot.trainer.fast.primitives import Primitives
from lorabot.trainer.fast.unsupported import Unsupported

_STACKED = 16
"""Layers of one shape whose changes wait for each other to be turned into gradients: few launches, little memory."""


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
    """n adapted layers of one shape. Their ``base`` and ``folded`` weights: (n, out, in), of the network's type.

    ``down`` (n, r, in) and ``up`` (n, out, r) in float32 are the adapter's parameters; ``narrow`` those in the
    network's type; ``gradients`` theirs.
    """

    base: torch.Tensor
    folded: torch.Tensor
    down: torch.Tensor
    up: torch.Tensor
    narrow: tuple[torch.Tensor, torch.Tensor]
    gradients: tuple[torch.Tensor, torch.Tensor]
    _changes: torch.Tensor | None = None
    _missing: int = 0

    def learn(self, start: int, count: int, gradient: torch.Tensor, rows: torch.Tensor) -> None:
        """Take in the part that ``count`` layers from ``start`` have: they made, of ``rows``, what has ``gradient``."""
        if self._changes is None:
            self._changes, self._missing = torch.empty_like(self.base), len(self.base)
        torch.mm(gradient.t(), rows, out=self._changes[start : start + count].flatten(0, 1))
        self._missing -= count
        if not self._missing:
            self.settle(self._changes)
            self._changes = None

    def begin(self) -> None:
        """Forget what a way back that was broken off, for lack of memory say, has left."""
        self._changes = None

    def settle(self, changes: torch.Tensor) -> None:
        """From the gradient of all ``folded`` weights that of the adapter, still without its scale."""
        down, up = self.narrow
        self.gradients[0].copy_(torch.bmm(up.mT, changes))
        self.gradients[1].copy_(torch.bmm(changes, down.mT))


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """``weight`` (out, in) of one product: that of one layer, or those of several that hear the same rows."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None
    stack: Stack | None = None
    start: int = 0
    count: int = 1

    @property
    def adapted(self) -> bool:
        return self.stack is not None

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ self.weight.t()

    def back(self, gradient: torch.Tensor) -> torch.Tensor:
        """That of the rows."""
        return gradient @ self.weight

    def learn(self, gradient: torch.Tensor, rows: torch.Tensor) -> None:
        """Take in the gradient of what came out when ``rows`` went in."""
        if self.stack is not None:
            self.stack.learn(self.start, self.count, gradient, rows)


@dataclass(frozen=True, slots=True, eq=False)
class TextProduct:
    """``weight`` (all outputs, in) of the one product with the texts; ``stacks`` are its rows, one after the other."""

    weight: torch.Tensor
    stacks: tuple[Stack, ...] = ()

    def learn(self, gradient: torch.Tensor, texts: torch.Tensor) -> None:
        """Take in the ``gradient`` (B * L, all outputs) of what came of ``texts`` (B * L, in)."""
        changes, row = gradient.t() @ texts, 0
        for stack in self.stacks:
            rows = stack.base.shape[0] * stack.base.shape[1]
            stack.settle(changes[row : row + rows].view(stack.base.shape))
            row += rows


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

    def fold(self, ops: Primitives) -> None:
        """Bring all products to what the adapter is now."""
        if self.stacks:
            self.narrow.copy_(self.values)
        for stack in self.stacks:
            stack.begin()
            ops.fold(stack.base, stack.down, stack.up, self.scale, stack.folded)

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
        stack = _stack(weights, [layer for group in members for layer in group], base, torch.empty_like(base))
        start = 0
        for group in members:
            weight = stack.folded[start : start + len(group)].flatten(0, 1)
            products[numbered[id(group)]] = Product(weight, _bias(group), stack, start, len(group))
            start += len(group)

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
    """One above the other; layers of one size follow each other."""
    if all(layer.down is None for layer in texts):
        return TextProduct(_frozen(texts))
    if any(layer.down is None for layer in texts):
        raise Unsupported("layers")
    base = torch.cat([layer.base.weight.flatten(1) for layer in texts])
    folded = torch.empty_like(base)
    row = first = 0
    stacks = []
    for number, layer in enumerate(texts):
        if number + 1 == len(texts) or texts[number + 1].shape != layer.shape:
            members = texts[first : number + 1]
            (out, into), count = layer.shape, len(members)
            part = slice(row, row + count * out)
            _point(members, base[part].view(count, out, into))
            shaped = (base[part].view(count, out, into), folded[part].view(count, out, into))
            stacks.append(_stack(weights, members, *shaped))
            row, first = part.stop, number + 1
    return TextProduct(folded, tuple(stacks))


def _stack(weights: Weights, layers: Sequence[Layer], base: torch.Tensor, folded: torch.Tensor) -> Stack:
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
    stack = Stack(base, folded, down, up, (down_narrow, up_narrow), (down_gradient, up_gradient))
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
