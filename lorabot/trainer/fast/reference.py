"""The primitives in plain torch: what the compiled ones are measured by, in any type of float."""

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from lorabot.trainer.fast.attention import Attended, attend
from lorabot.trainer.fast.primitives import Factors, GroupNorm, LayerNorm, Source, Stats

PATTERN = 2654435761
"""2 ** 32 over the golden ratio: its multiples, modulo 2 ** 32, lie evenly spread however many are taken (Knuth, The
Art of Computer Programming, volume 3, 6.4)."""


class Reference:
    """See ``Primitives``."""

    def prepare(self, act: Callable[[], object]) -> Callable[[], None]:
        """There is nothing to compile."""
        return lambda: None

    def add(
        self, rows: torch.Tensor, other: torch.Tensor | None, bias: torch.Tensor | None, batch: int
    ) -> tuple[torch.Tensor, Stats]:
        total = _added(rows, other, bias).to(rows.dtype)
        return total, _stats(total, batch)

    def group_norm(
        self, sources: Sequence[Source], batch: int, shift: torch.Tensor | None, norm: GroupNorm, silu: bool
    ) -> tuple[torch.Tensor, Factors]:
        size = len(sources[0][0]) // batch
        merged = [_merged(stats or _stats(rows, batch), size) for rows, stats in sources]
        mean, spread = (torch.cat(each, dim=1) for each in zip(*merged, strict=True))
        moved = mean if shift is None else mean + shift
        grouped = moved.view(len(moved), norm.groups, -1)
        centre = grouped.mean(dim=2, keepdim=True)
        total = spread.view(grouped.shape) + size * (grouped - centre).square()
        slope = (total.mean(dim=2, keepdim=True) / size + norm.eps).rsqrt().expand_as(grouped).flatten(1)
        away = (0 if shift is None else shift) - centre.expand_as(grouped).flatten(1)
        factors = Factors(slope.contiguous(), (away * slope).contiguous())
        return self.normalise([rows for rows, _ in sources], factors, norm, silu), factors

    def normalise(self, sources: Sequence[torch.Tensor], factors: Factors, norm: GroupNorm, silu: bool) -> torch.Tensor:
        z = _normal(sources, factors) * norm.weight + norm.bias
        return (functional.silu(z) if silu else z).flatten(0, 1).to(sources[0].dtype)

    def normalise_back(
        self,
        sources: Sequence[torch.Tensor],
        factors: Factors,
        norm: GroupNorm,
        silu: bool,
        gradient: torch.Tensor,
        more: Sequence[Sequence[torch.Tensor]],
    ) -> tuple[torch.Tensor, ...]:
        normal = _normal(sources, factors)
        dz = _wide(gradient).view(normal.shape)
        if silu:
            z = normal * norm.weight + norm.bias
            gate = z.sigmoid()
            dz = dz * gate * (1 + z * (1 - gate))
        weighted = dz * norm.weight
        first, second = _over_groups(weighted, norm), _over_groups(weighted * normal, norm)
        dx = factors.slope[:, None] * (weighted - first - normal * second)
        parts = torch.split(dx.flatten(0, 1), [rows.shape[1] for rows in sources], dim=1)
        return tuple(
            sum(others, start=part).to(gradient.dtype).contiguous() for part, others in zip(parts, more, strict=True)
        )

    def layer_norm(
        self, rows: torch.Tensor, other: torch.Tensor | None, bias: torch.Tensor | None, norm: LayerNorm
    ) -> tuple[torch.Tensor, torch.Tensor]:
        nothing = other is None and bias is None
        total = rows if nothing else _added(rows, other, bias).to(rows.dtype)
        wide = _wide(total)
        weight, offset = norm.weight.to(wide.dtype), norm.bias.to(wide.dtype)
        return total, functional.layer_norm(wide, (rows.shape[1],), weight, offset, norm.eps).to(rows.dtype)

    def layer_norm_back(
        self, rows: torch.Tensor, norm: LayerNorm, gradient: torch.Tensor, more: torch.Tensor
    ) -> torch.Tensor:
        wide = _wide(rows)
        spread, mean = torch.var_mean(wide, dim=1, correction=0, keepdim=True)
        slope = (spread + norm.eps).rsqrt()
        normal = (wide - mean) * slope
        weighted = gradient * norm.weight.to(wide.dtype)
        first = weighted.mean(dim=1, keepdim=True)
        second = (weighted * normal).mean(dim=1, keepdim=True)
        return (slope * (weighted - first - normal * second) + more).to(rows.dtype)

    def hears(self, keys: int, size: int) -> bool:
        return False

    def hear(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
        return attend(query, key, value)

    def geglu(self, rows: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        value, gate = _added(rows, None, bias).chunk(2, dim=1)
        return (value * functional.gelu(gate)).to(rows.dtype)

    def geglu_back(
        self, rows: torch.Tensor, bias: torch.Tensor, gradient: torch.Tensor, again: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        value, gate = _added(rows, None, bias).chunk(2, dim=1)
        below = torch.special.ndtr(gate)
        density = torch.exp(-0.5 * gate.square()) * 0.3989422804014327  # 1 / sqrt(2 pi)
        sides = torch.cat([gradient * gate * below, gradient * value * (below + gate * density)], dim=1)
        return sides.to(rows.dtype), (value * gate * below).to(rows.dtype) if again else None

    def interleave(self, made: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
        corners = made.view(batch, height + 1, width + 1, 2, 2, -1)
        large = made.new_empty(batch, height, 2, width, 2, corners.shape[-1])
        for (down, right), corner in _corners(height, width):
            large[:, :, down, :, right] = corners[:, *corner, down, right]
        return large.view(-1, corners.shape[-1])

    def interleave_back(self, gradient: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
        large = gradient.view(batch, height, 2, width, 2, -1)
        found = gradient.new_zeros(batch, height + 1, width + 1, 2, 2, large.shape[-1])
        for (down, right), corner in _corners(height, width):
            found[:, *corner, down, right] = large[:, :, down, :, right]
        return found.view(-1, 4 * large.shape[-1])

    def fold(
        self, base: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scale: torch.Tensor, folded: torch.Tensor
    ) -> None:
        total = _wide(base) + scale * torch.bmm(up, down)
        if base.dtype == torch.bfloat16:
            places = torch.arange(total[0].numel(), device=total.device).view(total[0].shape)
            below = ((places * PATTERN & 0xFFFFFFFF) >> 16).to(torch.int32)
            total = ((total.view(torch.int32) + below) & -0x10000).view(torch.float32)
        folded.copy_(total)


def _corners(height: int, width: int) -> list[tuple[tuple[int, int], tuple[slice, slice]]]:
    """Which of the (height + 1) x (width + 1) outputs belong to even (0) and odd (1) pixels of rows and columns."""
    return [
        ((down, right), (slice(down, down + height), slice(right, right + width)))
        for down in (0, 1)
        for right in (0, 1)
    ]


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _added(rows: torch.Tensor, other: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
    total = _wide(rows)
    for each in (other, bias):
        if each is not None:
            total = total + each
    return total


def _stats(rows: torch.Tensor, batch: int) -> Stats:
    maps = _wide(rows).view(batch, -1, rows.shape[1])
    mean = maps.mean(dim=1, keepdim=True)
    return Stats(mean, (maps - mean).square().sum(dim=1, keepdim=True), maps.shape[1])


def _merged(stats: Stats, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spread (B, C) over all tiles of a picture of ``size`` rows (Chan, Golub, LeVeque 1979)."""
    tiles = stats.mean.shape[1]
    counts = torch.full((tiles, 1), stats.tile, dtype=stats.mean.dtype, device=stats.mean.device)
    counts[-1] = size - (tiles - 1) * stats.tile
    mean = (stats.mean * counts).sum(dim=1) / size
    return mean, (stats.spread + counts * (stats.mean - mean[:, None]).square()).sum(dim=1)


def _normal(sources: Sequence[torch.Tensor], factors: Factors) -> torch.Tensor:
    """(B, H * W, C)."""
    rows = _wide(torch.cat(list(sources), dim=1))
    batch = len(factors.slope)
    return rows.view(batch, -1, rows.shape[1]) * factors.slope[:, None] + factors.offset[:, None]


def _over_groups(values: torch.Tensor, norm: GroupNorm) -> torch.Tensor:
    """(B, H * W, C) to the mean of each group over a picture, in all of its channels (B, 1, C)."""
    grouped = values.view(*values.shape[:2], norm.groups, -1)
    return grouped.mean(dim=(1, 3), keepdim=True).expand(-1, -1, -1, grouped.shape[3]).flatten(2)
