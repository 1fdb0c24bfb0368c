"""Attention forward and backward without autograd: cuDNN's or torch's own, else products of matrices.

Queries, keys and values: (B, heads, tokens, head size) as views of rows; so is what comes out, wherever the library
keeps that layout.
"""

import logging
import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from lorabot.trainer.fast import cudnn_attention
from lorabot.trainer.fast.cudnn_attention import Heads, rows_like

_aten: Any = torch.ops.aten
_FEW = 256 * 77
"""Products of a query and a key, of each head, up to which torch's flash attention is taken: there cuDNN's is faster by
0.3 % of a step at most, and takes a plan each way for every new size and batch, and a second to build."""
_built: set[tuple["Shape", torch.device, torch.dtype]] = set()
_log = logging.getLogger(__name__)


class Attended(NamedTuple):
    """What came ``out``, and how a gradient of it becomes those of queries, keys and values."""

    out: torch.Tensor
    back: Callable[[torch.Tensor], Heads]


class AttendedItself(NamedTuple):
    """The same of queries, keys and values side by side, (B, tokens, 3, heads, head size), and so their gradients."""

    out: torch.Tensor
    back: Callable[[torch.Tensor], torch.Tensor]


_Way = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Attended]


class Shape(NamedTuple):
    """Of an attention: so many ``heads`` with a query for each of a picture's ``tokens``, and ``keys`` of ``size``."""

    heads: int
    tokens: int
    keys: int
    size: int


def build(shapes: Collection[Shape], like: torch.Tensor) -> Callable[[], None]:
    """Have what attends in such ``shapes`` there and back built, side by side, for the device and type of ``like``.

    What comes back waits for it. cuDNN builds a kernel when a kind of shape first comes, and one after the other this
    takes a second each; then the process has it. What can't be built here is left to whoever needs it.
    """
    left = [shape for shape in shapes if (shape, like.device, like.dtype) not in _built]

    def there_and_back(shape: Shape, way: _Way, given: Heads) -> None:
        attended = way(*given)
        attended.back(torch.zeros_like(attended.out))
        _built.add((shape, like.device, like.dtype))

    pool = ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, len(left))))

    def begin(shape: Shape) -> Future[None]:
        heads, tokens, keys, size = shape
        query, key, value = (like.new_zeros(1, each, heads, size).transpose(1, 2) for each in (tokens, keys, keys))
        # Chosen here: who asks torch for another attention does so for all threads. And cuDNN's by torch's call: its
        # front end has the same kernels, but holds up all of Python while they are built.
        way = _way(query, key, value)
        return pool.submit(there_and_back, shape, _by_torch if way is _cudnn else way, (query, key, value))

    begun: list[Future[None]] = []
    for shape in left:
        with _told():
            begun.append(begin(shape))
    pool.shutdown(wait=False)

    def wait() -> None:
        for each in begun:
            with _told():
                each.result()

    return wait


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a library or a driver may say
        _log.warning("an attention could not be built ahead: %s", error)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
    """Softmax of the scaled products of ``query`` and ``key``, times ``value``."""
    return _way(query, key, value)(query, key, value)


def attend_itself(given: torch.Tensor) -> AttendedItself:
    """The same for tokens that hear each other; ``given``: (B, tokens, 3, heads, head size)."""
    return _itself(_way(*parts(given)), given)


def parts(given: torch.Tensor) -> Heads:
    """Of queries, keys and values side by side each as (B, heads, tokens, head size)."""
    query, key, value = given.transpose(1, 3).unbind(2)
    return query, key, value


def _itself(way: "_Way", given: torch.Tensor) -> AttendedItself:
    if way is _cudnn:
        return _cudnn_itself(given)
    attended = way(*parts(given))
    return AttendedItself(attended.out, lambda gradient: _together(attended.back(gradient)))


def _together(gradients: Heads) -> torch.Tensor:
    return torch.stack([each.transpose(1, 2) for each in gradients], dim=2)


def _way(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> "_Way":
    if query.device.type == "cuda":
        # Of tensors without gradients torch would tell whether there is a way there, not whether there is one back.
        queries, keys, values = (each.detach().requires_grad_() for each in (query, key, value))
        asked = torch.backends.cuda.SDPAParams(queries, keys, values, None, 0.0, False, False)
        flash = torch.backends.cuda.can_use_flash_attention(asked)
        if flash and query.shape[2] * key.shape[2] <= _FEW:
            return _flash
        if torch.backends.cuda.can_use_cudnn_attention(asked):
            return _cudnn
        if flash:
            return _flash
        if torch.backends.cuda.can_use_efficient_attention(asked):
            return _efficient
    return _products


def _cudnn(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
    by_cudnn = _by_cudnn((query, key, value))

    def back(gradient: torch.Tensor) -> Heads:
        into = rows_like(query), rows_like(key), rows_like(value)
        if by_cudnn.learn(gradient, into):
            return into
        del into  # not to be held beside torch's
        return by_cudnn.back(gradient)

    return Attended(by_cudnn.out, back)


def _cudnn_itself(given: torch.Tensor) -> AttendedItself:
    by_cudnn = _by_cudnn(parts(given))

    def back(gradient: torch.Tensor) -> torch.Tensor:
        together = torch.empty_like(given)
        if by_cudnn.learn(gradient, parts(together)):
            return together
        del together
        return _together(by_cudnn.back(gradient))

    return AttendedItself(by_cudnn.out, back)


class _ByCudnn(NamedTuple):
    """What came ``out``; what puts its gradients into place, if it can; and else the way ``back`` by torch's call."""

    out: torch.Tensor
    learn: Callable[[torch.Tensor, Heads], bool]
    back: Callable[[torch.Tensor], Heads]


def _by_cudnn(given: Heads) -> _ByCudnn:
    found, torchs = cudnn_attention.attend(*given), None
    if found is None:
        torchs, sums = _by_torch_and_sums(*given)
        found = torchs.out, sums
    out, sums = found

    def learn(gradient: torch.Tensor, into: Heads) -> bool:
        return cudnn_attention.learn(gradient, given, out, sums, into)

    def back(gradient: torch.Tensor) -> Heads:
        return (torchs or _by_torch(*given)).back(gradient)

    return _ByCudnn(out, learn, back)


def _by_torch(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
    attended, _ = _by_torch_and_sums(query, key, value)
    return attended


def _by_torch_and_sums(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[Attended, torch.Tensor]:
    """cuDNN's by torch's call, and the logarithms of the softmax's sums as ``cudnn_attention.attend`` has them."""
    out, sums, starts_q, starts_k, most_q, most_k, seed, offset, _ = _aten._scaled_dot_product_cudnn_attention(
        query, key, value, None, True
    )

    def back(gradient: torch.Tensor) -> Heads:
        found: Heads = _aten._scaled_dot_product_cudnn_attention_backward(
            gradient, query, key, value, out, sums, seed, offset, None, starts_q, starts_k, most_q, most_k, 0.0, False
        )
        return found

    return Attended(out, back), sums


def _flash(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
    out, sums, starts_q, starts_k, most_q, most_k, state, unused, _ = _aten._scaled_dot_product_flash_attention(
        query, key, value
    )

    def back(gradient: torch.Tensor) -> Heads:
        found: Heads = _aten._scaled_dot_product_flash_attention_backward(
            gradient, query, key, value, out, sums, starts_q, starts_k, most_q, most_k, 0.0, False, state, unused
        )
        return found

    return Attended(out, back)


def _efficient(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
    out, sums, seed, offset = _aten._scaled_dot_product_efficient_attention(query, key, value, None, True)

    def back(gradient: torch.Tensor) -> Heads:
        wanted = [True, True, True, False]
        dq, dk, dv, _ = _aten._scaled_dot_product_efficient_attention_backward(
            gradient, query, key, value, None, out, sums, seed, offset, 0.0, wanted
        )
        return dq, dk, dv

    return Attended(out, back)


def _products(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
    scale = query.shape[-1] ** -0.5
    share = torch.softmax((query @ key.mT) * scale, dim=-1)
    out = share @ value

    def back(gradient: torch.Tensor) -> Heads:
        d_share = gradient @ value.mT
        d_products = share * (d_share - (d_share * share).sum(dim=-1, keepdim=True)) * scale
        return d_products @ key, d_products.mT @ query, share.mT @ gradient

    return Attended(out, back)
