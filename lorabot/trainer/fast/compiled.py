"""The primitives as Triton kernels. Importing this imports Triton."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import triton

from lorabot.trainer.fast import norm_kernels, row_kernels
from lorabot.trainer.fast.primitives import Factors, GroupNorm, LayerNorm, Source, Stats
from lorabot.trainer.fast.reference import PATTERN

_TILE, _WIDE = 64, 64
"""Rows and channels of a program of the group norms. These sizes and the numbers of warps are an H100's best at the
networks' widths (``benchmarks/fast_step.py``)."""
_MANY = 1024
"""Rows of a picture from which programs that add up columns are tall ones: fewer sums are left to be added up."""
_SOME = 16
"""Tiles that a program adds up at once."""
_ROW_ELEMENTS, _ROW_ELEMENTS_BACK = 4096, 1024
"""Of whole rows, what a program has in registers."""

_norms: Any = norm_kernels
_rows: Any = row_kernels


class Compiled:
    """See ``Primitives``. Rows are contiguous."""

    def __init__(self) -> None:
        self._asked: list[Any] | None = None

    def prepare(self, act: Callable[[], object]) -> None:
        self._asked, device = [], torch.cuda.current_device()

        def load(kernel: Any) -> object:
            ready = kernel.result() if hasattr(kernel, "result") else kernel
            with torch.cuda.device(device):
                return ready.run  # loads the kernel, and has what starts it compiled, which takes a C compiler

        with ThreadPoolExecutor() as pool:
            try:
                with triton.AsyncCompileMode(pool):
                    act()
                asked = {id(kernel): kernel for kernel in self._asked}
            finally:
                self._asked = None
            for loaded in [pool.submit(load, kernel) for kernel in asked.values()]:
                loaded.result()

    def _go(self, kernel: Any, grid: tuple[int, ...], *given: object, **constants: object) -> None:
        if self._asked is not None:
            self._asked.append(kernel.warmup(*given, grid=grid, **constants))
        else:
            kernel[grid](*given, **constants)

    def add(
        self, rows: torch.Tensor, other: torch.Tensor | None, bias: torch.Tensor | None, batch: int
    ) -> tuple[torch.Tensor, Stats]:
        total = torch.empty_like(rows)
        return total, self._stats(rows, other, bias, total, batch)

    def stats(self, rows: torch.Tensor, batch: int) -> Stats:
        return self._stats(rows, None, None, rows, batch)

    def _stats(
        self,
        rows: torch.Tensor,
        other: torch.Tensor | None,
        bias: torch.Tensor | None,
        total: torch.Tensor,
        batch: int,
    ) -> Stats:
        size, channels = len(rows) // batch, rows.shape[1]
        tile, wide, warps = (128, 64, 4) if size >= _MANY else (32, 64, 2)
        tiles = triton.cdiv(size, tile)
        mean, spread = (rows.new_empty(batch, tiles, channels, dtype=torch.float32) for _ in range(2))
        self._go(_norms.add, (batch * tiles, triton.cdiv(channels, wide)),
            rows, rows if other is None else other, rows if bias is None else bias, total, mean, spread,
            size, channels, tiles, has_other=other is not None, has_bias=bias is not None, write=total is not rows,
            tile=tile, wide=wide, num_warps=warps,
        )  # fmt: skip
        return Stats(mean, spread, tile)

    def factors(self, sources: Sequence[Source], shift: torch.Tensor | None, norm: GroupNorm) -> Factors:
        (rows, stats), (_, stats2) = sources[0], sources[-1]
        batch, tiles, channels = stats.mean.shape
        every = sum(each.shape[1] for each, _ in sources)
        slope, offset = (stats.mean.new_empty(batch, every) for _ in range(2))
        each = every // norm.groups
        self._go(_norms.factors, (batch, norm.groups),
            stats.mean, stats.spread, stats2.mean, stats2.spread, slope if shift is None else shift, slope, offset,
            len(rows) // batch, channels, every, tiles, stats.tile, each, norm.eps,
            has_shift=shift is not None, two=len(sources) > 1, wide=triton.next_power_of_2(each), some=_SOME,
        )  # fmt: skip
        return Factors(slope, offset)

    def normalise(self, sources: Sequence[torch.Tensor], factors: Factors, norm: GroupNorm, silu: bool) -> torch.Tensor:
        batch, every = factors.slope.shape
        size = len(sources[0]) // batch
        tiles = triton.cdiv(size, _TILE)
        out, at = sources[0].new_empty(len(sources[0]), every), 0
        for rows in sources:
            channels = rows.shape[1]
            self._go(_norms.normalise, (batch * tiles, triton.cdiv(channels, _WIDE)),
                rows, factors.slope, factors.offset, norm.weight, norm.bias, out, size, channels, at, every, tiles,
                silu=silu, tile=_TILE, wide=_WIDE,
            )  # fmt: skip
            at += channels
        return out

    def normalise_back(
        self,
        sources: Sequence[torch.Tensor],
        factors: Factors,
        norm: GroupNorm,
        silu: bool,
        gradient: torch.Tensor,
        more: Sequence[Sequence[torch.Tensor]],
    ) -> tuple[torch.Tensor, ...]:
        batch, every = factors.slope.shape
        size, each = len(gradient) // batch, every // norm.groups
        tile, wide, warps = (128, 32, 4) if size >= _MANY else (32, 64, 2)
        tiles = triton.cdiv(size, tile)
        first, second = (factors.slope.new_empty(batch, tiles, every) for _ in range(2))
        means = factors.slope.new_empty(batch, norm.groups, 2)
        normal = (factors.slope, factors.offset, norm.weight, norm.bias)
        at = 0
        for rows in sources:
            self._go(_norms.back_sums, (batch * tiles, triton.cdiv(rows.shape[1], wide)),
                rows, gradient, *normal, first, second, size, rows.shape[1], at, every, tiles,
                silu=silu, tile=tile, wide=wide, num_warps=warps,
            )  # fmt: skip
            at += rows.shape[1]
        self._go(_norms.back_means, (batch, norm.groups),
            first, second, means, size, every, tiles, norm.groups, each,
            wide=triton.next_power_of_2(each), some=_SOME,
        )  # fmt: skip
        found, at, tiles = [], 0, triton.cdiv(size, _TILE)
        for rows, added in zip(sources, more, strict=True):
            one, two = (*added, rows, rows)[:2]
            found.append(torch.empty_like(rows))
            self._go(_norms.back_rows, (batch * tiles, triton.cdiv(rows.shape[1], _WIDE)),
                rows, gradient, *normal, means, one, two, found[-1], size, rows.shape[1], at, every, tiles, norm.groups,
                each, silu=silu, adds=len(added), tile=_TILE, wide=_WIDE,
            )  # fmt: skip
            at += rows.shape[1]
        return tuple(found)

    def layer_norm(
        self, rows: torch.Tensor, other: torch.Tensor | None, bias: torch.Tensor | None, norm: LayerNorm
    ) -> tuple[torch.Tensor, torch.Tensor]:
        count, channels = rows.shape
        nothing = other is None and bias is None
        total, out = rows if nothing else torch.empty_like(rows), torch.empty_like(rows)
        wide = triton.next_power_of_2(channels)
        tile = max(1, _ROW_ELEMENTS // wide)
        self._go(_norms.layer_norm, (triton.cdiv(count, tile),),
            rows, rows if other is None else other, rows if bias is None else bias, norm.weight, norm.bias, total, out,
            count, channels, norm.eps, has_other=other is not None, has_bias=bias is not None, tile=tile, wide=wide,
        )  # fmt: skip
        return total, out

    def layer_norm_back(
        self, rows: torch.Tensor, norm: LayerNorm, gradient: torch.Tensor, more: torch.Tensor
    ) -> torch.Tensor:
        count, channels = rows.shape
        wide = triton.next_power_of_2(channels)
        tile = max(1, _ROW_ELEMENTS_BACK // wide)
        out = torch.empty_like(rows)
        self._go(_norms.layer_norm_back, (triton.cdiv(count, tile),),
            rows, gradient, norm.weight, more, out, count, channels, norm.eps, tile=tile, wide=wide, num_warps=2
        )  # fmt: skip
        return out

    def geglu(self, rows: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        count, channels = len(rows), rows.shape[1] // 2
        out = rows.new_empty(count, channels)
        self._go(
            _rows.geglu,
            (triton.cdiv(count, 16), triton.cdiv(channels, 128)),
            rows,
            bias,
            out,
            count,
            channels,
            tile=16,
            wide=128,
        )
        return out

    def geglu_back(
        self, rows: torch.Tensor, bias: torch.Tensor, gradient: torch.Tensor, again: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        count, channels = gradient.shape
        sides = torch.empty_like(rows)
        made = torch.empty_like(gradient) if again else None
        self._go(
            _rows.geglu_back,
            (triton.cdiv(count, 16), triton.cdiv(channels, 128)),
            rows,
            bias,
            gradient,
            sides,
            sides if made is None else made,
            count,
            channels,
            want=again,
            tile=16,
            wide=128,
        )
        return sides, made

    def fold(
        self, base: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scale: torch.Tensor, folded: torch.Tensor
    ) -> None:
        layers, out_width, in_width = base.shape
        rank = down.shape[1]
        self._go(_rows.fold, (layers, triton.cdiv(out_width, 64), triton.cdiv(in_width, 64)),
            base, down, up, scale, folded, out_width, in_width, rank,
            pattern=PATTERN, dithers=base.dtype == torch.bfloat16, most=max(16, triton.next_power_of_2(rank)),
            tile=64, wide=64,
        )  # fmt: skip
