"""The parts made of convolutions: residual blocks, and the ways between the levels. Their weights are frozen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from lorabot.trainer.fast.maps import Back, Gradients, Map, Step, flat, pictures
from lorabot.trainer.fast.primitives import GroupNorm


def convolve_back(gradient: torch.Tensor, weight: torch.Tensor, size: tuple[int, int], stride: int = 1) -> torch.Tensor:
    """From the ``gradient`` (B, C, H, W) of a convolution with padding 1 that of its input of ``size`` (H, W)."""
    # Of the input nothing is read but its layout; where that is not channels last, the gradient would be copied twice.
    shape = (len(gradient), weight.shape[1], *size)
    given = torch.empty(shape, dtype=weight.dtype, device=weight.device, memory_format=torch.channels_last)
    found: torch.Tensor = torch.ops.aten.convolution_backward(
        gradient, given, weight, None, (stride, stride), (1, 1), (1, 1), False, (0, 0), 1, (True, False, False)
    )[0]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Resnet:
    """norm, SiLU, 3 x 3 convolution, the time's shift, norm, SiLU, 3 x 3 convolution; beside it a way past them.

    ``shift``: number of the shift in ``Step``, which holds the first convolution's bias too; ``bias`` is that of the
    second and of the way past, whose weights ``past`` stand there where the number of channels changes.
    """

    first_norm: GroupNorm
    first: torch.Tensor
    shift: int
    second_norm: GroupNorm
    second: torch.Tensor
    past: torch.Tensor | None
    bias: torch.Tensor

    def forward(self, step: Step, sources: Sequence[Map]) -> tuple[Map, Back]:
        ops, one = step.ops, sources[0]
        batch, size, learns = one.batch, (one.height, one.width), any(each.learnt for each in sources)
        rows = [each.rows for each in sources]
        normal, before = ops.group_norm([each.source for each in sources], batch, None, self.first_norm, silu=True)
        middle = flat(functional.conv2d(pictures(normal, batch, *size), self.first, padding=1))
        shift = step.shifts[self.shift]
        normal, within = ops.group_norm([(middle, None)], batch, shift, self.second_norm, silu=True)
        last = flat(functional.conv2d(pictures(normal, batch, *size), self.second, padding=1))
        beside = rows[0]
        widths = [each.shape[1] for each in rows]
        pasts = None if self.past is None else torch.split(self.past, widths, dim=1)
        if pasts is not None:
            beside = rows[0] @ pasts[0].t()
            for each, past in zip(rows[1:], pasts[1:], strict=True):
                beside = beside.addmm_(each, past.t())  # in place: else it is copied first
        out, stats = ops.add(last, beside, self.bias, batch)

        def back(gradient: torch.Tensor, more: Sequence[Sequence[torch.Tensor]]) -> Gradients:
            found = flat(convolve_back(pictures(gradient, batch, *size), self.second, size))
            (found,) = ops.normalise_back([middle], within, self.second_norm, True, found, [()])
            if step.shifting:
                step.of_shifts[self.shift] = found.view(batch, -1, found.shape[1]).sum(dim=1)
            if not learns:
                return (None,) * len(sources)
            found = flat(convolve_back(pictures(found, batch, *size), self.first, size))
            if pasts is None:
                added = [(gradient, *more[0])]
            else:
                added = [(gradient @ past, *others) for past, others in zip(pasts, more, strict=True)]
            return ops.normalise_back(rows, before, self.first_norm, True, found, added)

        def again(gradient: torch.Tensor, more: Sequence[Sequence[torch.Tensor]]) -> Gradients:
            return self.forward(replace(step, again=False), sources)[1](gradient, more)

        return one.next(out, stats, learns or step.shifting), again if step.again else back


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A 3 x 3 convolution with bias: the first of the network, or one of stride 2 to the next level."""

    weight: torch.Tensor
    bias: torch.Tensor
    stride: int

    def forward(self, step: Step, sources: Sequence[Map]) -> tuple[Map, Back]:
        (one,) = sources

        def back(gradient: torch.Tensor, more: Sequence[Sequence[torch.Tensor]]) -> Gradients:
            found = pictures(gradient, out.batch, out.height, out.width)
            return (_plus(flat(convolve_back(found, self.weight, (one.height, one.width), self.stride)), more[0]),)

        out = self.of(step, one.pictures(), one.learnt)
        return out, back

    def of(self, step: Step, given: torch.Tensor, learnt: bool) -> Map:
        """The map that ``given`` (B, C, H, W) becomes."""
        made = functional.conv2d(given, self.weight, stride=self.stride, padding=1)
        batch, _, height, width = made.shape
        rows, stats = step.ops.add(flat(made), None, self.bias, batch)
        return Map(rows, batch, height, width, stats, learnt)


@dataclass(frozen=True, slots=True, eq=False)
class Upsampling:
    """Every pixel doubled both ways, then a 3 x 3 convolution: as one of 2 x 2 on the small map with four outputs.

    Of two equal pixels side by side a kernel sees either both or one and another's: three taps make two. ``weight``
    (4 C, C, 2, 2): those of the pixels at (even, even), (even, odd), (odd, even) and (odd, odd) places.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor) -> "Upsampling":
        """From the ``weight`` (C, C, 3, 3) of the convolution on the large map."""
        wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
        pairs = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=wide.dtype, device=wide.device)
        taps = torch.einsum("ayk,bxl,oikl->aboiyx", pairs, pairs, wide).flatten(0, 2).to(weight.dtype)
        return cls(taps.contiguous(memory_format=torch.channels_last), bias)

    def forward(self, step: Step, sources: Sequence[Map]) -> tuple[Map, Back]:
        (one,) = sources
        batch, height, width = one.batch, one.height, one.width
        made = flat(functional.conv2d(one.pictures(), self.weight, padding=1))
        rows, stats = step.ops.add(step.ops.interleave(made, batch, height, width), None, self.bias, batch)

        def back(gradient: torch.Tensor, more: Sequence[Sequence[torch.Tensor]]) -> Gradients:
            of_made = pictures(step.ops.interleave_back(gradient, batch, height, width), batch, height + 1, width + 1)
            return (_plus(flat(convolve_back(of_made, self.weight, (height, width))), more[0]),)

        return Map(rows, batch, 2 * height, 2 * width, stats, one.learnt), back


def _plus(gradient: torch.Tensor, more: Sequence[torch.Tensor]) -> torch.Tensor:
    for each in more:
        gradient = gradient + each
    return gradient
