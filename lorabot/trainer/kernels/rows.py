"""Triton kernels of the gated feed-forward layer, of maps that grow, and of folding the adapter into weights."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, index, arg-type"

import triton
import triton.language as tl

from lorabot.trainer.kernels.turns import begin, turn


@triton.jit(do_not_specialize=["count"])
def geglu(rows, bias, out, count, channels, tile: tl.constexpr, wide: tl.constexpr, waits: tl.constexpr):
    """``out`` (N, channels) from ``rows`` (N, 2 * channels); see ``Primitives.geglu``."""
    begin(waits)
    part, column = turn(tl.cdiv(channels, wide), backwards=True)
    row = part.to(tl.int64) * tile + tl.arange(0, tile)
    channel = column * wide + tl.arange(0, wide)
    inside = channel < channels
    mask = (row < count)[:, None] & inside[None, :]
    value, gate = _sides(rows, bias, row, channel, channels, inside, mask)
    place = row[:, None] * channels + channel[None, :]
    tl.store(out + place, (value * gate * _below(gate)).to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["count"])
def geglu_back(
    rows,
    bias,
    gradient,
    sides,
    again,
    count,
    channels,
    want: tl.constexpr,
    tile: tl.constexpr,
    wide: tl.constexpr,
    waits: tl.constexpr,
):
    """The gradient of ``rows`` in ``sides``; where ``want``, what ``geglu`` made of them in ``again``."""
    begin(waits)
    part, column = turn(tl.cdiv(channels, wide), backwards=True)
    row = part.to(tl.int64) * tile + tl.arange(0, tile)
    channel = column * wide + tl.arange(0, wide)
    inside = channel < channels
    mask = (row < count)[:, None] & inside[None, :]
    value, gate = _sides(rows, bias, row, channel, channels, inside, mask)
    place = row[:, None] * channels + channel[None, :]
    given = tl.load(gradient + place, mask=mask, other=0.0).to(tl.float32)
    below = _below(gate)
    density = tl.exp(-0.5 * gate * gate) * 0.3989422804014327  # 1 / sqrt(2 pi)
    left = row[:, None] * (2 * channels) + channel[None, :]
    tl.store(sides + left, (given * gate * below).to(sides.dtype.element_ty), mask=mask)
    right = given * value * (below + gate * density)
    tl.store(sides + left + channels, right.to(sides.dtype.element_ty), mask=mask)
    if want:
        tl.store(again + place, (value * gate * below).to(again.dtype.element_ty), mask=mask)


@triton.jit
def _sides(rows, bias, row, channel, channels, inside, mask):
    left = row[:, None] * (2 * channels) + channel[None, :]
    value = tl.load(rows + left, mask=mask, other=0.0).to(tl.float32)
    gate = tl.load(rows + left + channels, mask=mask, other=0.0).to(tl.float32)
    value += tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
    gate += tl.load(bias + channels + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
    return value, gate


@triton.jit
def _below(gate):
    """The share of a normal distribution below ``gate``."""
    return 0.5 * (1.0 + tl.erf(gate * 0.7071067811865476))


@triton.jit(do_not_specialize=["height", "width", "count"])
def interleave(made, out, height, width, count, channels, tile: tl.constexpr, wide: tl.constexpr, waits: tl.constexpr):
    """See ``Primitives.interleave``; ``count`` rows come out."""
    begin(waits)
    part, column = turn(tl.cdiv(channels, wide), backwards=True)
    row = part.to(tl.int64) * tile + tl.arange(0, tile)
    channel = column * wide + tl.arange(0, wide)
    mask = (row < count)[:, None] & (channel < channels)[None, :]
    line, x = row // (2 * width), row % (2 * width)
    batch, y = line // (2 * height), line % (2 * height)
    corner = (batch * (height + 1) + (y + 1) // 2) * (width + 1) + (x + 1) // 2
    place = (corner * 4 + y % 2 * 2 + x % 2)[:, None] * channels + channel[None, :]
    tl.store(out + row[:, None] * channels + channel[None, :], tl.load(made + place, mask=mask), mask=mask)


@triton.jit(do_not_specialize=["height", "width", "count"])
def interleave_back(
    gradient, out, height, width, count, channels, tile: tl.constexpr, wide: tl.constexpr, waits: tl.constexpr
):
    """See ``Primitives.interleave_back``; ``count`` pieces of ``channels`` come out, four a row."""
    begin(waits)
    part, column = turn(tl.cdiv(channels, wide), backwards=True)
    row = part.to(tl.int64) * tile + tl.arange(0, tile)
    channel = column * wide + tl.arange(0, wide)
    mask = (row < count)[:, None] & (channel < channels)[None, :]
    down, right, corner = row // 2 % 2, row % 2, row // 4
    line, x = corner // (width + 1), corner % (width + 1) - right
    batch, y = line // (height + 1), line % (height + 1) - down
    there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    place = ((batch * height + y) * 2 + down) * (2 * width) + 2 * x + right
    found = tl.load(gradient + place[:, None] * channels + channel[None, :], mask=mask & there[:, None], other=0.0)
    tl.store(out + row[:, None] * channels + channel[None, :], found, mask=mask)


@triton.jit(do_not_specialize=["rank"])
def fold(
    base, down, up, scale, folded, out_width, in_width, rank,
    pattern: tl.constexpr, dithers: tl.constexpr, most: tl.constexpr, tile: tl.constexpr, wide: tl.constexpr,
    waits: tl.constexpr,
):  # fmt: skip
    """One tile of one layer's folded weight; ``most`` is the rank as a power of two, at least 16."""
    begin(waits)
    layer = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * tile + tl.arange(0, tile)
    column = tl.program_id(2) * wide + tl.arange(0, wide)
    thin = tl.arange(0, most)
    ups = tl.load(
        up + (layer * out_width + row)[:, None] * rank + thin[None, :],
        mask=(row < out_width)[:, None] & (thin < rank)[None, :],
        other=0.0,
    )
    downs = tl.load(
        down + (layer * rank + thin)[:, None] * in_width + column[None, :],
        mask=(thin < rank)[:, None] & (column < in_width)[None, :],
        other=0.0,
    )
    mask = (row < out_width)[:, None] & (column < in_width)[None, :]
    inner = row[:, None] * in_width + column[None, :]
    place = layer * out_width * in_width + inner
    value = tl.load(base + place, mask=mask, other=0.0).to(tl.float32)
    value += tl.dot(ups, downs, input_precision="tf32") * tl.load(scale)
    if dithers:
        below = (inner.to(tl.uint32) * pattern) >> 16
        bits = (value.to(tl.uint32, bitcast=True) + below) & 0xFFFF0000
        value = bits.to(tl.float32, bitcast=True)
    tl.store(folded + place, value.to(folded.dtype.element_ty), mask=mask)
