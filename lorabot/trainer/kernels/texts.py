"""Triton kernels of attention to the texts: so few keys that a program has them all at once.

Names: a picture has ``tokens``, its text ``keys``; ``each`` is a head's size, ``wide`` that as a power of two. Rows of
queries, gradients and results lie ``across`` elements apart, those of keys and values ``key_row``, and from one text
to the next it is ``key_batch``. The ``most`` first keys and the ``rest`` are two pieces, since a program's sizes are
powers of two and 77 keys made 128 would not fit into its registers.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, index, arg-type, var-annotated"

import triton
import triton.language as tl

from lorabot.trainer.kernels.turns import begin


@triton.jit(do_not_specialize=["tokens", "keys", "heads", "tiles"])
def hear(
    query, key, value, out, tokens, keys, heads, tiles, across, key_row, key_batch, scale,
    each: tl.constexpr, wide: tl.constexpr, most: tl.constexpr, rest: tl.constexpr, tile: tl.constexpr,
    waits: tl.constexpr,
):  # fmt: skip
    """``out`` = softmax(``query`` ``key``^T ``scale``) ``value``, of one head and ``tile`` tokens of a picture."""
    begin(waits)
    head = tl.program_id(0) % heads
    part = tl.program_id(0) // heads
    batch = part // tiles
    text = batch.to(tl.int64) * key_batch
    place, there = _texts(key_row, 0, keys, head, each, wide, most)
    place2, there2 = _texts(key_row, most, keys, head, each, wide, rest)
    ours, mask = _rows(batch, (part % tiles) * tile, tokens, across, head, each, wide, tile)
    queries = tl.load(query + ours, mask=mask, other=0.0)
    first = tl.load(key + text + place, mask=there, other=0.0)
    last = tl.load(key + text + place2, mask=there2, other=0.0)
    share, share2 = _shares(queries, first, last, keys, scale, most, rest)
    first = tl.load(value + text + place, mask=there, other=0.0)
    last = tl.load(value + text + place2, mask=there2, other=0.0)
    heard = tl.dot(share.to(first.dtype), first) + tl.dot(share2.to(last.dtype), last)
    tl.store(out + ours, heard.to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["tokens", "keys", "heads", "parts", "span"])
def hear_back(
    query, key, value, gradient, of_query, of_key, of_value, tokens, keys, heads, parts, span, across, key_row,
    key_batch, scale,
    each: tl.constexpr, wide: tl.constexpr, most: tl.constexpr, rest: tl.constexpr, tile: tl.constexpr,
    waits: tl.constexpr,
):  # fmt: skip
    """From the ``gradient`` of ``out`` those of the queries, and of keys and values what one of the ``parts`` of a
    picture's tokens, ``span`` tiles of them, adds to theirs: (parts, B, keys, across)."""
    begin(waits)
    head = tl.program_id(0) % heads
    part = (tl.program_id(0) // heads) % parts
    batch = tl.program_id(0) // (heads * parts)
    text = batch.to(tl.int64) * key_batch
    place, there = _texts(key_row, 0, keys, head, each, wide, most)
    place2, there2 = _texts(key_row, most, keys, head, each, wide, rest)
    keys1 = tl.load(key + text + place, mask=there, other=0.0)
    keys2 = tl.load(key + text + place2, mask=there2, other=0.0)
    values1 = tl.load(value + text + place, mask=there, other=0.0)
    values2 = tl.load(value + text + place2, mask=there2, other=0.0)
    of_keys1 = tl.zeros([most, wide], tl.float32)
    of_keys2 = tl.zeros([rest, wide], tl.float32)
    of_values1 = tl.zeros([most, wide], tl.float32)
    of_values2 = tl.zeros([rest, wide], tl.float32)
    for number in range(part * span, part * span + span):
        ours, mask = _rows(batch, number * tile, tokens, across, head, each, wide, tile)
        queries = tl.load(query + ours, mask=mask, other=0.0)
        given = tl.load(gradient + ours, mask=mask, other=0.0)
        share1, share2 = _shares(queries, keys1, keys2, keys, scale, most, rest)
        of_values1 += tl.dot(tl.trans(share1.to(given.dtype)), given)
        of_values2 += tl.dot(tl.trans(share2.to(given.dtype)), given)
        of_share1 = tl.dot(given, tl.trans(values1))
        of_share2 = tl.dot(given, tl.trans(values2))
        common = (tl.sum(share1 * of_share1, axis=1) + tl.sum(share2 * of_share2, axis=1))[:, None]
        narrow1 = (share1 * (of_share1 - common) * scale).to(given.dtype)
        narrow2 = (share2 * (of_share2 - common) * scale).to(given.dtype)
        found = tl.dot(narrow1, keys1) + tl.dot(narrow2, keys2)
        tl.store(of_query + ours, found.to(of_query.dtype.element_ty), mask=mask)
        of_keys1 += tl.dot(tl.trans(narrow1), queries)
        of_keys2 += tl.dot(tl.trans(narrow2), queries)
    text = (part * (tl.num_programs(0) // (heads * parts)) + batch).to(tl.int64) * keys * across
    place, there = _texts(across, 0, keys, head, each, wide, most)
    place2, there2 = _texts(across, most, keys, head, each, wide, rest)
    tl.store(of_key + text + place, of_keys1, mask=there)
    tl.store(of_key + text + place2, of_keys2, mask=there2)
    tl.store(of_value + text + place, of_values1, mask=there)
    tl.store(of_value + text + place2, of_values2, mask=there2)


@triton.jit
def _texts(row, first, keys, head, each: tl.constexpr, wide: tl.constexpr, count: tl.constexpr):
    """Where one head's keys or values from the ``first`` lie in a text, and which of them are there."""
    number, place = first + tl.arange(0, count), tl.arange(0, wide)
    mask = (number < keys)[:, None] & (place < each)[None, :]
    return number[:, None] * row + head * each + place[None, :], mask


@triton.jit
def _rows(batch, first, tokens, across, head, each: tl.constexpr, wide: tl.constexpr, tile: tl.constexpr):
    """Where one head's part of ``tile`` tokens from the ``first`` lies, and which of them are there."""
    number, place = first + tl.arange(0, tile), tl.arange(0, wide)
    mask = (number < tokens)[:, None] & (place < each)[None, :]
    return (batch.to(tl.int64) * tokens + number)[:, None] * across + head * each + place[None, :], mask


@triton.jit
def _shares(queries, first, last, keys, scale, most: tl.constexpr, rest: tl.constexpr):
    """How much a token gets of each value: (tile, most) and (tile, rest)."""
    products = tl.dot(queries, tl.trans(first)) * scale
    products = tl.where((tl.arange(0, most) < keys)[None, :], products, float("-inf"))
    products2 = tl.dot(queries, tl.trans(last)) * scale
    products2 = tl.where((most + tl.arange(0, rest) < keys)[None, :], products2, float("-inf"))
    top = tl.maximum(tl.max(products, axis=1), tl.max(products2, axis=1))[:, None]
    powers = tl.exp(products - top)
    powers2 = tl.exp(products2 - top)
    part = (1.0 / (tl.sum(powers, axis=1) + tl.sum(powers2, axis=1)))[:, None]
    return powers * part, powers2 * part
