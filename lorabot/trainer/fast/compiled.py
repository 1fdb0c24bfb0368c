"""The primitives as Triton kernels. Importing this imports Triton."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import triton

from lorabot.trainer.fast.attention import Attended, attend
from lorabot.trainer.fast.primitives import Factors, GroupNorm, LayerNorm, Source, Stats
from lorabot.trainer.fast.reference import PATTERN
from lorabot.trainer.kernels import norms, rows, texts
from lorabot.trainer.kernels.ahead import Note, compile_apart, wanted_by

_TILE, _WIDE = 64, 64
"""Rows and channels of a program of the group norms. These sizes and the numbers of warps are an H100's best at the
networks' widths (``benchmarks/fast_step.py``)."""
_MANY = 1024
"""Rows of a picture from which programs that add up columns are tall ones: fewer sums are left to be added up."""
_WHOLE, _WHOLE_WIDTH = 64, 1280
"""Rows of a picture up to which, and channels from which, a program norms a whole group: three kernels took longer to
begin. Small maps with fewer channels are rare, and not worth their kernels."""
_SOME, _ACROSS = 16, (16, 128)
"""Tiles that a program adds up at once, and channels that it can take in: those of a group in the largest maps, and in
all, so that two kernels serve all levels."""
_ROW_ELEMENTS, _ROW_ELEMENTS_BACK = 4096, 1024
"""Of whole rows, what a program has in registers."""
_KEYS, _HEAD = (64, 16), 64
"""Keys that are heard at once, in two pieces: 77 and few more; and the largest head that leaves registers for them."""
_HEARERS = 264
"""Programs that fill a card twice; so many parts are pictures' tokens heard in on the way back."""
_EARLY = (9, 0)
"""From which cards on a kernel's programs may come onto the card before the last one's are done."""

_norms: Any = norms
_rows: Any = rows
_texts: Any = texts


class Compiled:
    """See ``Primitives``. Rows are contiguous."""

    def __init__(self) -> None:
        self._asking = False
        early = torch.cuda.is_available() and torch.cuda.get_device_capability() >= _EARLY
        self._early = {"waits": True, "launch_pdl": True} if early else {"waits": False}

    def prepare(self, act: Callable[[], object]) -> Callable[[], None]:
        device = torch.cuda.current_device()
        wait = compile_apart(lambda note: self._ask(act, note))

        def load(kernel: Any) -> object:
            ready = kernel.result() if hasattr(kernel, "result") else kernel
            with torch.cuda.device(device):
                return ready.run  # loads the kernel, and has what starts it compiled, which takes a C compiler

        def load_all() -> None:
            wanted = wait()
            with ThreadPoolExecutor() as pool:
                with triton.AsyncCompileMode(pool):
                    kernels = [each.compile() for each in wanted]
                for loaded in [pool.submit(load, kernel) for kernel in kernels]:
                    loaded.result()

        return load_all

    def _ask(self, act: Callable[[], object], note: Note) -> None:
        self._asking = True
        try:
            wanted_by(act, note)
        finally:
            self._asking = False

    def _go(self, kernel: Any, grid: tuple[int, ...], *given: object, **constants: object) -> None:
        if self._asking:
            kernel.warmup(*given, grid=grid, **constants, **self._early)
        else:
            kernel[grid](*given, **constants, **self._early)

    def add(
        self, rows: torch.Tensor, other: torch.Tensor | None, bias: torch.Tensor | None, batch: int
    ) -> tuple[torch.Tensor, Stats]:
        total = torch.empty_like(rows)
        return total, self._stats(rows, other, bias, total, batch)

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
        self._go(_norms.add, (batch * tiles * triton.cdiv(channels, wide),),
            rows, rows if other is None else other, rows if bias is None else bias, total, mean, spread,
            size, channels, tiles, has_other=other is not None, has_bias=bias is not None, write=total is not rows,
            tile=tile, wide=wide, num_warps=warps,
        )  # fmt: skip
        return Stats(mean, spread, tile)

    def group_norm(
        self, sources: Sequence[Source], batch: int, shift: torch.Tensor | None, norm: GroupNorm, silu: bool
    ) -> tuple[torch.Tensor, Factors]:
        rows = [each for each, _ in sources]
        if _at_once(len(rows[0]) // batch, _width(rows)):
            return self._whole(rows, batch, shift, norm, silu)
        known = [stats or self._stats(each, None, None, each, batch) for each, stats in sources]
        factors = self._factors(known, len(rows[0]) // batch, shift, norm)
        return self.normalise(rows, factors, norm, silu), factors

    def _whole(
        self, rows: Sequence[torch.Tensor], batch: int, shift: torch.Tensor | None, norm: GroupNorm, silu: bool
    ) -> tuple[torch.Tensor, Factors]:
        channels, every = rows[0].shape[1], _width(rows)
        each = every // norm.groups
        out = rows[0].new_empty(len(rows[0]), every)
        slope, offset = (out.new_empty(batch, every, dtype=torch.float32) for _ in range(2))
        self._go(_norms.whole, (batch * norm.groups,),
            rows[0], rows[-1], slope if shift is None else shift, norm.weight, norm.bias, slope, offset, out,
            len(out) // batch, channels, every, norm.eps, has_shift=shift is not None, two=len(rows) > 1, silu=silu,
            each=each, tile=_WHOLE, wide=triton.next_power_of_2(each), num_warps=_whole_warps(each),
        )  # fmt: skip
        return out, Factors(slope, offset)

    def _factors(self, known: Sequence[Stats], size: int, shift: torch.Tensor | None, norm: GroupNorm) -> Factors:
        one, two = known[0], known[-1]
        batch, tiles, channels = one.mean.shape
        every = sum(stats.mean.shape[2] for stats in known)
        slope, offset = (one.mean.new_empty(batch, every) for _ in range(2))
        each = every // norm.groups
        self._go(_norms.factors, (batch, norm.groups),
            one.mean, one.spread, two.mean, two.spread, slope if shift is None else shift, slope, offset,
            size, channels, every, tiles, one.tile, each, norm.eps,
            has_shift=shift is not None, two=len(known) > 1, wide=_across(each), some=_SOME,
        )  # fmt: skip
        return Factors(slope, offset)

    def normalise(self, sources: Sequence[torch.Tensor], factors: Factors, norm: GroupNorm, silu: bool) -> torch.Tensor:
        batch, every = factors.slope.shape
        size = len(sources[0]) // batch
        tiles = triton.cdiv(size, _TILE)
        out = sources[0].new_empty(len(sources[0]), every)
        self._go(_norms.normalise, (batch * tiles * _columns(sources, _WIDE),),
            sources[0], sources[-1], factors.slope, factors.offset, norm.weight, norm.bias, out,
            size, sources[0].shape[1], every, tiles, two=len(sources) > 1, silu=silu, tile=_TILE, wide=_WIDE,
        )  # fmt: skip
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
        size, each, channels = len(gradient) // batch, every // norm.groups, sources[0].shape[1]
        found = tuple(torch.empty_like(rows) for rows in sources)
        normal = (factors.slope, factors.offset, norm.weight, norm.bias)
        one, two = (sources[0], sources[-1]), len(sources) > 1
        # A kernel wants a place for what may be added, also where nothing is.
        added = [(*given, rows, rows)[:2] for given, rows in zip(more, sources, strict=True)]
        given = (*added[0], *added[-1], found[0], found[-1])
        kind = {"two": two, "silu": silu, "adds": len(more[0]), "adds2": len(more[-1])}
        if _at_once(size, every):
            self._go(_norms.whole_back, (batch * norm.groups,),
                *one, gradient, *normal, *given, size, channels, every, **kind, each=each, tile=_WHOLE,
                wide=triton.next_power_of_2(each), num_warps=_whole_warps(each, back=True),
            )  # fmt: skip
            return found
        tile, wide, warps = (128, 32, 4) if size >= _MANY else (32, 64, 2)
        tiles = triton.cdiv(size, tile)
        first, second = (factors.slope.new_empty(batch, tiles, every) for _ in range(2))
        means = factors.slope.new_empty(batch, norm.groups, 2)
        self._go(_norms.back_sums, (batch * tiles * _columns(sources, wide),),
            *one, gradient, *normal, first, second, size, channels, every, tiles,
            two=two, silu=silu, tile=tile, wide=wide, num_warps=warps,
        )  # fmt: skip
        self._go(_norms.back_means, (batch, norm.groups),
            first, second, means, size, every, tiles, norm.groups, each,
            wide=_across(each), some=_SOME,
        )  # fmt: skip
        tiles = triton.cdiv(size, _TILE)
        self._go(_norms.back_rows, (batch * tiles * _columns(sources, _WIDE),),
            *one, gradient, *normal, means, *given, size, channels, every, tiles, norm.groups, each,
            **kind, tile=_TILE, wide=_WIDE,
        )  # fmt: skip
        return found

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

    def hears(self, keys: int, size: int) -> bool:
        return keys <= sum(_KEYS) and size <= _HEAD

    def hear(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
        batch, heads, tokens, each = query.shape
        keys, tile = key.shape[2], 64
        if not self.hears(keys, each):
            return attend(query, key, value)
        most, rest = _KEYS
        kind = {"each": each, "wide": max(16, triton.next_power_of_2(each)), "most": most, "rest": rest, "tile": tile}
        lying = (heads * each, key.stride(2), key.stride(0), each**-0.5)
        tiles = triton.cdiv(tokens, tile)
        out = query.new_empty(batch, tokens, heads, each)
        self._go(_texts.hear, (batch * tiles * heads,),
            query, key, value, out, tokens, keys, heads, tiles, *lying, **kind,
        )  # fmt: skip

        def back(gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            parts = min(tiles, triton.cdiv(_HEARERS, batch * heads))
            of_query = torch.empty_like(out)
            of_texts = out.new_empty(2, parts, batch, keys, heads, each, dtype=torch.float32)
            self._go(_texts.hear_back, (batch * parts * heads,),
                query, key, value, gradient, of_query, of_texts[0], of_texts[1], tokens, keys, heads, parts,
                triton.cdiv(tiles, parts), *lying, **kind, num_warps=8,
            )  # fmt: skip
            of_key, of_value = of_texts.sum(dim=1).to(out.dtype)
            return of_query.transpose(1, 2), of_key.transpose(1, 2), of_value.transpose(1, 2)

        return Attended(out.transpose(1, 2), back)

    def geglu(self, rows: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        count, channels = len(rows), rows.shape[1] // 2
        out = rows.new_empty(count, channels)
        self._go(
            _rows.geglu,
            (triton.cdiv(count, 16) * triton.cdiv(channels, 128),),
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
            (triton.cdiv(count, 16) * triton.cdiv(channels, 128),),
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

    def interleave(self, made: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
        return self._copied(_rows.interleave, made, batch * 4 * height * width, made.shape[1] // 4, (height, width))

    def interleave_back(self, gradient: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
        channels, count = gradient.shape[1], batch * (height + 1) * (width + 1)
        found = self._copied(_rows.interleave_back, gradient, 4 * count, channels, (height, width))
        return found.view(count, 4 * channels)

    def _copied(
        self, kernel: Any, given: torch.Tensor, count: int, channels: int, size: tuple[int, int]
    ) -> torch.Tensor:
        out = given.new_empty(count, channels)
        self._go(kernel, (triton.cdiv(count, 32) * triton.cdiv(channels, 128),),
            given, out, *size, count, channels, tile=32, wide=128,
        )  # fmt: skip
        return out

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


def _at_once(size: int, channels: int) -> bool:
    return size <= _WHOLE and channels >= _WHOLE_WIDTH


def _width(sources: Sequence[torch.Tensor]) -> int:
    return sum(rows.shape[1] for rows in sources)


def _columns(sources: Sequence[torch.Tensor], wide: int) -> int:
    """Programs side by side; none has channels of two sources."""
    return sum(triton.cdiv(rows.shape[1], wide) for rows in sources)


def _across(each: int) -> int:
    return next((wide for wide in _ACROSS if each <= wide), triton.next_power_of_2(each))


def _whole_warps(each: int, back: bool = False) -> int:
    """So many that their registers hold a group of ``each`` channels."""
    return min(16, (2 if back else 1) * (8 if each <= 64 else 16))
