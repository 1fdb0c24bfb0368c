"""The parts made of attention and feed-forward layers, where the adapter is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from lorabot.trainer.fast.attention import Attended, AttendedItself, Shape, attend_itself
from lorabot.trainer.fast.maps import Back, Gradients, Map, Step
from lorabot.trainer.fast.primitives import GroupNorm, LayerNorm, Primitives
from lorabot.trainer.fast.weights import Product

_BlockBack = Callable[[torch.Tensor, torch.Tensor, bool], torch.Tensor]
Pending = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
"""Rows, and what is still to be added to them: other rows, a bias. The next norm does it on the way."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Self-attention, attention to the texts, and a feed-forward layer, each after a norm and added to what was there.

    ``texts``: where this block's keys and values begin among the outputs of the product with the texts.
    """

    norms: tuple[LayerNorm, LayerNorm, LayerNorm]
    heads: tuple[int, int]
    own: Product
    own_out: Product
    query: Product
    texts: tuple[slice, slice]
    query_out: Product
    widen: Product
    narrow: Product

    def shapes(self, ops: Primitives, tokens: int, texts: int) -> Iterator[Shape]:
        """What attends here to so many ``tokens`` of a picture and of ``texts``, but for what ``ops`` hear."""
        yield Shape(self.heads[0], tokens, tokens, self._size(0))
        if not ops.hears(texts, self._size(1)):
            yield Shape(self.heads[1], tokens, texts, self._size(1))

    def attentions(self, step: Step, pending: Pending, batch: int) -> tuple[Pending, "_Attentions"]:
        """Both attentions; what is pending then is the second's result."""
        ops = step.ops
        begun, first = ops.layer_norm(*pending, self.norms[0])
        own = attend_itself(self.own(first).view(batch, -1, 3, self.heads[0], self._size(0)))
        own_rows = _rows(own.out)
        middle, second = ops.layer_norm(begun, self.own_out(own_rows), self.own_out.bias, self.norms[1])
        query = self._split(self.query(second), batch)
        key, value = (self._split(step.texts[..., part], batch) for part in self.texts)
        heard = ops.hear(query, key, value)
        heard_rows = _rows(heard.out)
        kept = _Attentions(begun, first, own, own_rows, middle, second, heard, heard_rows)
        return (middle, self.query_out(heard_rows), self.query_out.bias), kept

    def opened(self, step: Step, pending: Pending, batch: int) -> tuple["_Attentions", torch.Tensor, torch.Tensor]:
        """What the attentions keep, the rows after them, and those widened."""
        pending, attended = self.attentions(step, pending, batch)
        before, normal = step.ops.layer_norm(*pending, self.norms[2])
        return attended, before, self.widen(normal)

    def attentions_back(
        self, step: Step, kept: "_Attentions", gradient: torch.Tensor, batch: int, on: bool
    ) -> torch.Tensor | None:
        """From the ``gradient`` of what was pending after ``attentions`` that of what was before it, if ``on``."""
        ops = step.ops
        self.query_out.learn(gradient, kept.heard_rows)
        heads = self._split(self.query_out.back(gradient), batch, self.heads[1])
        of_query, of_key, of_value = kept.heard.back(heads)
        for part, found in zip(self.texts, (of_key, of_value), strict=True):
            step.gradients[part.start] = found.transpose(1, 2).flatten(2)
        of_rows = _rows(of_query)
        self.query.learn(of_rows, kept.second)
        gradient = ops.layer_norm_back(kept.middle, self.norms[1], self.query.back(of_rows), gradient)

        self.own_out.learn(gradient, kept.own_rows)
        heads = self._split(self.own_out.back(gradient), batch, self.heads[0])
        of_rows = kept.own.back(heads).flatten(0, 1).flatten(1)
        self.own.learn(of_rows, kept.first)
        if not on:
            return None
        return ops.layer_norm_back(kept.begun, self.norms[0], self.own.back(of_rows), gradient)

    def _size(self, which: int) -> int:
        return (self.own_out, self.query_out)[which].width // self.heads[which]

    def _split(self, rows: torch.Tensor, batch: int, heads: int | None = None) -> torch.Tensor:
        return rows.view(batch, -1, heads or self.heads[1], rows.shape[-1] // (heads or self.heads[1])).transpose(1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Attentions:
    """What ``Block.attentions`` keeps for the way back; ``first`` and ``second`` are ``begun`` and ``middle`` after
    their norms, 7 % of the memory and 0.7 % of a step's time."""

    begun: torch.Tensor
    first: torch.Tensor
    own: AttendedItself
    own_rows: torch.Tensor
    middle: torch.Tensor
    second: torch.Tensor
    heard: Attended
    heard_rows: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Transformer:
    """norm, a projection, blocks, a projection; and the input added.

    Where neither is adapted, the last block's narrowing product and the projection after it are one, ``ending``
    (C, 4 C), with the bias ``last_bias`` that both have together.
    """

    norm: GroupNorm
    into: Product
    blocks: tuple[Block, ...]
    out: Product
    ending: torch.Tensor | None
    last_bias: torch.Tensor
    adapted: bool

    def forward(self, step: Step, sources: Sequence[Map]) -> tuple[Map, Back]:
        ops, (one,) = step.ops, sources
        batch = one.batch
        normal, factors = ops.group_norm([one.source], batch, None, self.norm, silu=False)
        projected = self.into(normal)
        pending: Pending = (projected, None, self.into.bias)
        kept: list[tuple[_Attentions, torch.Tensor, torch.Tensor] | torch.Tensor] = []
        for block in self.blocks:
            attended, before, wide = block.opened(step, pending, batch)
            gated = ops.geglu(wide, _bias(block.widen))
            kept.append(attended.begun if step.again else (attended, before, wide))
            if block is self.blocks[-1] and self.ending is not None:
                made = self.out(before).addmm_(gated, self.ending.t())  # in place: else it is copied first
                last = before
            else:
                pending = (before, block.narrow(gated), block.narrow.bias)
            del attended, wide, gated  # before the next block's come
        if self.ending is None:
            last, _ = ops.add(*pending, batch)
            made = self.out(last)
        out, stats = ops.add(made, one.rows, self.last_bias, batch)
        learns = last if self.out.adapted else None

        def back(gradient: torch.Tensor, more: Sequence[Sequence[torch.Tensor]]) -> Gradients:
            if learns is not None:
                self.out.learn(gradient, learns)
            found: torch.Tensor | None = self.out.back(gradient)
            for number, block in reversed(list(enumerate(self.blocks))):
                assert found is not None
                had = kept.pop()
                if isinstance(had, torch.Tensor):
                    had = block.opened(step, (had, None, None), batch)
                attended, before, wide = had
                if block is self.blocks[-1] and self.ending is not None:
                    of_gated = gradient @ self.ending
                else:
                    of_gated = block.narrow.back(found)
                of_wide, gated = ops.geglu_back(wide, _bias(block.widen), of_gated, block.narrow.adapted)
                if gated is not None:
                    block.narrow.learn(found, gated)
                if block.widen.adapted:
                    block.widen.learn(of_wide, ops.layer_norm(before, None, None, block.norms[2])[1])
                found = ops.layer_norm_back(before, block.norms[2], block.widen.back(of_wide), found)
                on = number > 0 or one.learnt or self.into.adapted
                found = block.attentions_back(step, attended, found, batch, on)
                del had, attended, before, wide, of_wide, gated, of_gated
            if found is not None and self.into.adapted:
                self.into.learn(found, ops.normalise([one.rows], factors, self.norm, silu=False))
            if found is None or not one.learnt:
                return (None,)
            found = self.into.back(found)
            return ops.normalise_back([one.rows], factors, self.norm, False, found, [(gradient, *more[0])])

        return one.next(out, stats, one.learnt or self.adapted), back


def _bias(product: Product) -> torch.Tensor:
    assert product.bias is not None
    return product.bias


def _rows(heads: torch.Tensor) -> torch.Tensor:
    return heads.transpose(1, 2).contiguous().view(heads.shape[0] * heads.shape[2], -1)
