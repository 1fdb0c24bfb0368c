"""Triton kernels of the norms: statistics in tiles, their sum over a group, and the rows made normal, both ways.

Everything is loaded and stored in the rows' type and computed in float32. Names: ``size`` rows a picture has, ``tile``
rows and ``wide`` channels a program has, ``all_channels`` how many the norm has, of which the first ``channels`` are
those of the first source and the others, where there are ``two``, those of the second.

Triton compiles a kernel anew for numbers that are 1 or multiples of 16. Of channels that is worth it, since it says how
rows are aligned; of what depends on pictures and batches it would only mean that each new size has to be compiled.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, index, arg-type"

import triton
import triton.language as tl

from lorabot.trainer.kernels.turns import begin, turn


@triton.jit(do_not_specialize=["size", "tiles"])
def add(
    rows, other, bias, total, mean, spread, size, channels, tiles,
    has_other: tl.constexpr, has_bias: tl.constexpr, write: tl.constexpr, tile: tl.constexpr, wide: tl.constexpr,
    waits: tl.constexpr,
):  # fmt: skip
    """``total`` = ``rows`` + ``other`` + ``bias``, with its mean and spread in each tile; see ``Primitives.add``."""
    begin(waits)
    part, column = turn(tl.cdiv(channels, wide), backwards=True)
    batch = part // tiles
    number = part % tiles
    row = number * tile + tl.arange(0, tile)
    channel = column * wide + tl.arange(0, wide)
    mask = (row < size)[:, None] & (channel < channels)[None, :]
    place = (batch.to(tl.int64) * size + row)[:, None] * channels + channel[None, :]
    value = tl.load(rows + place, mask=mask, other=0.0).to(tl.float32)
    if has_other:
        value += tl.load(other + place, mask=mask, other=0.0).to(tl.float32)
    if has_bias:
        value += tl.load(bias + channel, mask=channel < channels, other=0.0).to(tl.float32)[None, :]
    if write:
        narrow = value.to(total.dtype.element_ty)
        tl.store(total + place, narrow, mask=mask)
        value = narrow.to(tl.float32)  # the statistics are of what is stored
    count = tl.minimum(size - number * tile, tile).to(tl.float32)
    middle = tl.sum(tl.where(mask, value, 0.0), axis=0) / count
    away = tl.where(mask, value - middle[None, :], 0.0)
    where = part.to(tl.int64) * channels + channel
    tl.store(mean + where, middle, mask=channel < channels)
    tl.store(spread + where, tl.sum(away * away, axis=0), mask=channel < channels)


@triton.jit(do_not_specialize=["size", "tiles", "tile", "each"])
def factors(
    mean, spread, mean2, spread2, shift, slope, offset, size, channels, all_channels, tiles, tile, each, eps,
    has_shift: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, some: tl.constexpr, waits: tl.constexpr,
):  # fmt: skip
    """Slope and offset of one group of ``each`` channels in one picture, by tiles, ``some`` at a time.

    The first ``channels`` are those of ``mean``, the others of ``mean2``.
    """
    begin(waits)
    batch = tl.program_id(0)
    within = tl.arange(0, wide)
    channel = tl.program_id(1) * each + within
    inside = within < each
    moved = tl.zeros([wide], tl.float32)
    if has_shift:
        moved += tl.load(shift + batch * all_channels + channel, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros([wide], tl.float32)
    for first in range(0, tiles, some):
        number = first + tl.arange(0, some)
        mask = (number < tiles)[:, None] & inside[None, :]
        count = tl.minimum(size - number * tile, tile).to(tl.float32)
        value = _either(mean, mean2, batch, number, channel, channels, all_channels, tiles, mask, two)
        total += tl.sum(value * tl.where(number < tiles, count, 0.0)[:, None], axis=0)
    middle = tl.sum(tl.where(inside, total + moved * size, 0.0), axis=0) / (size * each)
    about = tl.zeros([wide], tl.float32)
    for first in range(0, tiles, some):
        number = first + tl.arange(0, some)
        mask = (number < tiles)[:, None] & inside[None, :]
        count = tl.minimum(size - number * tile, tile).to(tl.float32)
        value = _either(mean, mean2, batch, number, channel, channels, all_channels, tiles, mask, two)
        away = tl.where(mask, value + moved[None, :] - middle, 0.0)
        about += tl.sum(away * away * count[:, None], axis=0)
        about += tl.sum(
            _either(spread, spread2, batch, number, channel, channels, all_channels, tiles, mask, two), axis=0
        )
    steep = 1.0 / tl.sqrt(tl.sum(about, axis=0) / (size * each) + eps)
    place = batch * all_channels + channel
    tl.store(slope + place, tl.zeros([wide], tl.float32) + steep, mask=inside)
    tl.store(offset + place, (moved - middle) * steep, mask=inside)


@triton.jit
def _either(first, second, batch, number, channel, channels, all_channels, tiles, mask, two: tl.constexpr):
    """What stands in the first array for channels below ``channels``, in the second for the others."""
    row = (batch * tiles + number).to(tl.int64)
    value = tl.load(
        first + row[:, None] * channels + channel[None, :], mask=mask & (channel < channels)[None, :], other=0.0
    )
    if two:
        value += tl.load(
            second + row[:, None] * (all_channels - channels) + (channel - channels)[None, :],
            mask=mask & (channel >= channels)[None, :],
            other=0.0,
        )
    return value


@triton.jit(do_not_specialize=["size", "tiles"])
def normalise(
    rows, rows2, slope, offset, weight, bias, out, size, channels, all_channels, tiles,
    two: tl.constexpr, silu: tl.constexpr, tile: tl.constexpr, wide: tl.constexpr, waits: tl.constexpr,
):  # fmt: skip
    """The norm's rows ``out``."""
    begin(waits)
    batch, row, channel, inside, mask, _ = _tile(size, channels, all_channels, tiles, two, tile, wide, False)
    value = _of_sources(rows, rows2, row, channel, channels, all_channels, mask, two)
    _, z = _normal(value, slope, offset, weight, bias, batch * all_channels, channel, inside)
    if silu:
        z = z * tl.sigmoid(z)
    place = row[:, None] * all_channels + channel[None, :]
    tl.store(out + place, z.to(out.dtype.element_ty), mask=mask)


@triton.jit
def _tile(
    size, channels, all_channels, tiles, two: tl.constexpr, tile: tl.constexpr, wide: tl.constexpr,
    backwards: tl.constexpr,
):  # fmt: skip
    """What a program that has a tile of one source has to do: its picture, its rows among all pictures', its channels
    of the norm and which of them are there, what of all that is there, and the tile's number."""
    columns = tl.cdiv(channels, wide)
    if two:
        part, column = turn(columns + tl.cdiv(all_channels - channels, wide), backwards)
        beyond = column >= columns
        at = tl.where(beyond, channels, 0)
        width = tl.where(beyond, all_channels - channels, channels)
        column -= tl.where(beyond, columns, 0)
    else:
        part, column = turn(columns, backwards)
        at = 0
        width = channels
    batch = part // tiles
    row = (part % tiles) * tile + tl.arange(0, tile)
    within = column * wide + tl.arange(0, wide)
    inside = within < width
    mask = (row < size)[:, None] & inside[None, :]
    return batch, batch.to(tl.int64) * size + row, at + within, inside, mask, part


@triton.jit
def _of_sources(rows, rows2, row, channel, channels, all_channels, mask, two: tl.constexpr):
    """The rows' channels of the norm, from wherever they are."""
    first = mask & (channel < channels)[None, :]
    value = tl.load(rows + row[:, None] * channels + channel[None, :], mask=first, other=0.0)
    if two:
        place = row[:, None] * (all_channels - channels) + (channel - channels)[None, :]
        value += tl.load(rows2 + place, mask=mask & (channel >= channels)[None, :], other=0.0)
    return value.to(tl.float32)


@triton.jit
def _normal(value, slope, offset, weight, bias, place, channel, inside):
    steep = tl.load(slope + place + channel, mask=inside, other=0.0)
    apart = tl.load(offset + place + channel, mask=inside, other=0.0)
    heavy = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    beside = tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)
    normal = value * steep[None, :] + apart[None, :]
    return normal, normal * heavy[None, :] + beside[None, :]


@triton.jit
def _through(gradient, z, silu: tl.constexpr):
    if silu:
        gate = tl.sigmoid(z)
        gradient = gradient * gate * (1.0 + z * (1.0 - gate))
    return gradient


@triton.jit(do_not_specialize=["size", "tiles"])
def back_sums(
    rows, rows2, gradient, slope, offset, weight, bias, first, second, size, channels, all_channels, tiles,
    two: tl.constexpr, silu: tl.constexpr, tile: tl.constexpr, wide: tl.constexpr, waits: tl.constexpr,
):  # fmt: skip
    """Of one tile of a source and each channel, the sums of the gradient, and of it times the normal rows."""
    begin(waits)
    batch, row, channel, inside, mask, part = _tile(size, channels, all_channels, tiles, two, tile, wide, True)
    value = _of_sources(rows, rows2, row, channel, channels, all_channels, mask, two)
    given = tl.load(gradient + row[:, None] * all_channels + channel[None, :], mask=mask, other=0.0)
    normal, z = _normal(value, slope, offset, weight, bias, batch * all_channels, channel, inside)
    heavy = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    weighted = _through(given.to(tl.float32), z, silu) * heavy[None, :]
    where = part.to(tl.int64) * all_channels + channel
    tl.store(first + where, tl.sum(tl.where(mask, weighted, 0.0), axis=0), mask=inside)
    tl.store(second + where, tl.sum(tl.where(mask, weighted * normal, 0.0), axis=0), mask=inside)


@triton.jit(do_not_specialize=["size", "tiles", "groups", "each"])
def back_means(
    first, second, means, size, all_channels, tiles, groups, each, wide: tl.constexpr, some: tl.constexpr,
    waits: tl.constexpr,
):  # fmt: skip
    """From ``back_sums`` the two means over one group of a picture, side by side in ``means`` (B, groups, 2)."""
    begin(waits)
    batch = tl.program_id(0)
    group = tl.program_id(1)
    within = tl.arange(0, wide)
    one = tl.zeros([some, wide], tl.float32)
    two = tl.zeros([some, wide], tl.float32)
    for start in range(0, tiles, some):
        number = start + tl.arange(0, some)
        mask = (number < tiles)[:, None] & (within < each)[None, :]
        row = (batch * tiles + number).to(tl.int64)
        place = row[:, None] * all_channels + group * each + within[None, :]
        one += tl.load(first + place, mask=mask, other=0.0)
        two += tl.load(second + place, mask=mask, other=0.0)
    place = (batch * groups + group) * 2
    tl.store(means + place, tl.sum(tl.sum(one, axis=1), axis=0) / (size * each))
    tl.store(means + place + 1, tl.sum(tl.sum(two, axis=1), axis=0) / (size * each))


@triton.jit(do_not_specialize=["size", "tiles", "groups", "each"])
def back_rows(
    rows, rows2, gradient, slope, offset, weight, bias, means, more, more2, others, others2, out, out2,
    size, channels, all_channels, tiles, groups, each,
    two: tl.constexpr, silu: tl.constexpr, adds: tl.constexpr, adds2: tl.constexpr, tile: tl.constexpr,
    wide: tl.constexpr, waits: tl.constexpr,
):  # fmt: skip
    """The gradient of each source, with ``adds`` more of it added to the first and ``adds2`` to the second."""
    begin(waits)
    batch, row, channel, inside, mask, _ = _tile(size, channels, all_channels, tiles, two, tile, wide, False)
    value = _of_sources(rows, rows2, row, channel, channels, all_channels, mask, two)
    given = tl.load(gradient + row[:, None] * all_channels + channel[None, :], mask=mask, other=0.0)
    normal, z = _normal(value, slope, offset, weight, bias, batch * all_channels, channel, inside)
    heavy = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    steep = tl.load(slope + batch * all_channels + channel, mask=inside, other=0.0)
    group = (batch * groups + channel // each) * 2
    one = tl.load(means + group, mask=inside, other=0.0)
    other = tl.load(means + group + 1, mask=inside, other=0.0)
    weighted = _through(given.to(tl.float32), z, silu) * heavy[None, :]
    found = steep[None, :] * (weighted - one[None, :] - normal * other[None, :])
    _to_sources(
        out, out2, found, more, more2, others, others2, row, channel, channels, all_channels, mask, two, adds, adds2
    )


@triton.jit
def _to_sources(
    out, out2, found, more, more2, others, others2, row, channel, channels, all_channels, mask,
    two: tl.constexpr, adds: tl.constexpr, adds2: tl.constexpr,
):  # fmt: skip
    """Store what was ``found`` for the norm's channels where their sources' gradients are, with more of them added."""
    place = row[:, None] * channels + channel[None, :]
    _give(out, found, more, more2, place, mask & (channel < channels)[None, :], adds)
    if two:
        place = row[:, None] * (all_channels - channels) + (channel - channels)[None, :]
        _give(out2, found, others, others2, place, mask & (channel >= channels)[None, :], adds2)


@triton.jit
def _give(out, found, more, more2, place, mask, adds: tl.constexpr):
    """Store what was ``found``, with ``adds`` more added."""
    if adds > 0:
        found += tl.load(more + place, mask=mask, other=0.0).to(tl.float32)
    if adds > 1:
        found += tl.load(more2 + place, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + place, found.to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["size"])
def whole(
    rows, rows2, shift, weight, bias, slope, offset, out, size, channels, all_channels, eps,
    has_shift: tl.constexpr, two: tl.constexpr, silu: tl.constexpr, each: tl.constexpr, tile: tl.constexpr,
    wide: tl.constexpr, waits: tl.constexpr,
):  # fmt: skip
    """A group norm of small maps at once: a program has all rows of one group of a picture."""
    begin(waits)
    batch, row, channel, inside, mask = _group(size, all_channels, each, tile, wide)
    value = _of_sources(rows, rows2, row, channel, channels, all_channels, mask, two)
    place = batch * all_channels + channel
    moved = tl.zeros([wide], tl.float32)
    if has_shift:
        moved += tl.load(shift + place, mask=inside, other=0.0).to(tl.float32)
    value += moved[None, :]
    middle = tl.sum(tl.sum(tl.where(mask, value, 0.0), axis=1), axis=0) / (size * each)
    away = tl.where(mask, value - middle, 0.0)
    steep = 1.0 / tl.sqrt(tl.sum(tl.sum(away * away, axis=1), axis=0) / (size * each) + eps)
    tl.store(slope + place, tl.zeros([wide], tl.float32) + steep, mask=inside)
    tl.store(offset + place, (moved - middle) * steep, mask=inside)
    heavy = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    beside = tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)
    z = away * steep * heavy[None, :] + beside[None, :]
    if silu:
        z = z * tl.sigmoid(z)
    tl.store(out + row[:, None] * all_channels + channel[None, :], z.to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["size"])
def whole_back(
    rows, rows2, gradient, slope, offset, weight, bias, more, more2, others, others2, out, out2,
    size, channels, all_channels,
    two: tl.constexpr, silu: tl.constexpr, adds: tl.constexpr, adds2: tl.constexpr, each: tl.constexpr,
    tile: tl.constexpr, wide: tl.constexpr, waits: tl.constexpr,
):  # fmt: skip
    """What ``back_sums``, ``back_means`` and ``back_rows`` do, of small maps at once."""
    begin(waits)
    batch, row, channel, inside, mask = _group(size, all_channels, each, tile, wide)
    value = _of_sources(rows, rows2, row, channel, channels, all_channels, mask, two)
    given = tl.load(gradient + row[:, None] * all_channels + channel[None, :], mask=mask, other=0.0)
    normal, z = _normal(value, slope, offset, weight, bias, batch * all_channels, channel, inside)
    heavy = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    steep = tl.load(slope + batch * all_channels + channel, mask=inside, other=0.0)
    weighted = tl.where(mask, _through(given.to(tl.float32), z, silu) * heavy[None, :], 0.0)
    one = tl.sum(tl.sum(weighted, axis=1), axis=0) / (size * each)
    other = tl.sum(tl.sum(weighted * normal, axis=1), axis=0) / (size * each)
    found = steep[None, :] * (weighted - one - normal * other)
    _to_sources(
        out, out2, found, more, more2, others, others2, row, channel, channels, all_channels, mask, two, adds, adds2
    )


@triton.jit
def _group(size, all_channels, each: tl.constexpr, tile: tl.constexpr, wide: tl.constexpr):
    """This program's picture, its rows among all pictures', its channels of the norm, and what of them is there."""
    groups = all_channels // each
    batch = tl.program_id(0) // groups
    row, within = tl.arange(0, tile), tl.arange(0, wide)
    inside = within < each
    mask = (row < size)[:, None] & inside[None, :]
    return batch, batch.to(tl.int64) * size + row, (tl.program_id(0) % groups) * each + within, inside, mask


@triton.jit(do_not_specialize=["count"])
def layer_norm(
    rows, other, bias, weight, beside, total, out, count, channels, eps,
    has_other: tl.constexpr, has_bias: tl.constexpr, tile: tl.constexpr, wide: tl.constexpr, waits: tl.constexpr,
):  # fmt: skip
    """``total`` = ``rows`` + ``other`` + ``bias``, and that normalised row by row, in ``out``."""
    begin(waits)
    part, _ = turn(1, backwards=True)
    row = part.to(tl.int64) * tile + tl.arange(0, tile)
    channel = tl.arange(0, wide)
    inside = channel < channels
    mask = (row < count)[:, None] & inside[None, :]
    place = row[:, None] * channels + channel[None, :]
    value = tl.load(rows + place, mask=mask, other=0.0).to(tl.float32)
    if has_other:
        value += tl.load(other + place, mask=mask, other=0.0).to(tl.float32)
    if has_bias:
        value += tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
    if has_other or has_bias:
        narrow = value.to(total.dtype.element_ty)
        tl.store(total + place, narrow, mask=mask)
        value = narrow.to(tl.float32)
    normal, _ = _rows_normal(value, inside, channels, eps)
    heavy = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    apart = tl.load(beside + channel, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + place, (normal * heavy[None, :] + apart[None, :]).to(out.dtype.element_ty), mask=mask)


@triton.jit
def _rows_normal(value, inside, channels, eps):
    middle = tl.sum(tl.where(inside[None, :], value, 0.0), axis=1) / channels
    away = tl.where(inside[None, :], value - middle[:, None], 0.0)
    steep = 1.0 / tl.sqrt(tl.sum(away * away, axis=1) / channels + eps)
    return away * steep[:, None], steep


@triton.jit(do_not_specialize=["count"])
def layer_norm_back(
    rows, gradient, weight, more, out, count, channels, eps, tile: tl.constexpr, wide: tl.constexpr, waits: tl.constexpr
):
    """The gradient of ``rows``, with ``more`` added; their mean and spread are found again."""
    begin(waits)
    part, _ = turn(1, backwards=True)
    row = part.to(tl.int64) * tile + tl.arange(0, tile)
    channel = tl.arange(0, wide)
    inside = channel < channels
    mask = (row < count)[:, None] & inside[None, :]
    place = row[:, None] * channels + channel[None, :]
    value = tl.load(rows + place, mask=mask, other=0.0).to(tl.float32)
    normal, steep = _rows_normal(value, inside, channels, eps)
    heavy = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    weighted = tl.load(gradient + place, mask=mask, other=0.0).to(tl.float32) * heavy[None, :]
    one = tl.sum(weighted, axis=1) / channels
    two = tl.sum(weighted * normal, axis=1) / channels
    found = steep[:, None] * (weighted - one[:, None] - normal * two[:, None])
    found += tl.load(more + place, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + place, found.to(out.dtype.element_ty), mask=mask)
