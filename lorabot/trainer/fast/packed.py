"""The way back through cuDNN's attention with the gradients of queries, keys and values side by side.

Torch's call makes three tensors of them, and to put these together takes 1 % of a step at batch 16. cuDNN writes
wherever it is told to, and its front end asks it directly.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch

from lorabot.trainer.memory import ran_out_of_memory

_log = logging.getLogger(__name__)


class _Layout(NamedTuple):
    """Of a tensor: (B, heads, tokens, head size), and how far the elements of each are apart."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]


class _Kind(NamedTuple):
    """What a plan is made for: the layouts of queries, which keys and values share, of what came out and of its
    gradient, on a device."""

    query: _Layout
    out: _Layout
    gradient: _Layout
    device: torch.device


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A graph of cuDNN's, its tensors in the order in which ``learn`` gives them, and the bytes it works in."""

    graph: Any
    tensors: tuple[Any, ...]
    workspace: int


_plans: dict[_Kind, _Plan | None] = {}
"""No plan is ever dropped: what is recorded on a card needs its kernels for as long as it is kept. None: there is none
that cuDNN knows."""
_handles: dict[torch.device, list[int]] = {}
_lock = threading.Lock()
_LITTLE = 2**28
"""Bytes free on a card below which what can't be planned may be for lack of memory: cuDNN doesn't say."""


def learn(gradient: torch.Tensor, given: torch.Tensor, out: torch.Tensor, sums: torch.Tensor) -> torch.Tensor | None:
    """From the ``gradient`` of what came ``out`` that of what was ``given``: bfloat16 (B, tokens, 3, heads, head size).

    ``gradient`` and ``out`` are (B, heads, tokens, head size), ``sums``, as many in float32: the logarithms of the
    softmax's sums. None where this can't be done so; the log has why.
    """
    if given.dtype != torch.bfloat16 or not given.is_contiguous() or front_end() is None:
        return None
    query, key, value = parts(given)
    kind = _Kind(_layout(query), _layout(out), _layout(gradient), given.device)
    if kind not in _plans and not torch.cuda.is_current_stream_capturing():  # where nothing may be built
        _planned(kind)
    plan = _plans.get(kind)
    if plan is None:
        return None
    found = torch.empty_like(given)
    workspace = torch.empty(max(1, plan.workspace), dtype=torch.uint8, device=given.device)
    places = (query, key, value, out, gradient, sums.contiguous(), *parts(found))
    with _handle(given.device) as handle:
        plan.graph.execute(dict(zip(plan.tensors, places, strict=True)), workspace, handle=handle)
    return found


@cache
def front_end() -> str | None:
    """The version of cuDNN's front end, and of cuDNN; None where it can't be used, which is logged once."""
    try:
        import cudnn

        return f"{cudnn.__version__}, {cudnn.backend_version()}"
    except Exception as error:  # it may be missing, or not find its libraries
        _log.info("attentions' gradients are put together by torch: %s", error)
        return None


def parts(packed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of queries, keys and values side by side each as (B, heads, tokens, head size)."""
    query, key, value = packed.transpose(1, 3).unbind(2)
    return query, key, value


def _layout(tensor: torch.Tensor) -> _Layout:
    return _Layout(tuple(tensor.shape), tensor.stride())


def _planned(kind: _Kind) -> None:
    """Put what is found by ``kind``; nothing where memory may have been short, so that it is asked again."""
    made: _Plan | None = None
    try:
        with _handle(kind.device) as handle:
            made = _plan(kind, handle)
    except Exception as error:  # another cuDNN, say, that knows no such graph
        if ran_out_of_memory(error):
            raise
        _log.warning("the gradients of attentions over %s are put together by torch: %s", kind.query.sizes, error)
        if torch.cuda.mem_get_info(kind.device)[0] < _LITTLE:
            return
    _plans.setdefault(kind, made)


def _plan(kind: _Kind, handle: int) -> _Plan:
    import cudnn

    narrow, wide = cudnn.data_type.BFLOAT16, cudnn.data_type.FLOAT
    graph: Any = cudnn.pygraph(io_data_type=narrow, intermediate_data_type=wide, compute_data_type=wide, handle=handle)

    def tensor(name: str, layout: _Layout, dtype: Any = narrow) -> Any:
        return graph.tensor(name=name, dim=list(layout.sizes), stride=list(layout.strides), data_type=dtype)

    batch, heads, tokens, size = kind.query.sizes
    sums = _Layout((batch, heads, tokens, 1), (heads * tokens, tokens, 1, 1))
    query, key, value = (tensor(name, kind.query) for name in ("query", "key", "value"))
    out, gradient = tensor("out", kind.out), tensor("gradient", kind.gradient)
    logarithms = tensor("sums", sums, wide)
    found = graph.sdpa_backward(
        q=query, k=key, v=value, o=out, dO=gradient, stats=logarithms, attn_scale=size**-0.5, name="attention"
    )
    for each in found:
        each.set_output(True).set_dim(list(kind.query.sizes)).set_stride(list(kind.query.strides))
    graph.validate()
    graph.build_operation_graph()
    graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
    graph.check_support()
    graph.build_plans()
    return _Plan(graph, (query, key, value, out, gradient, logarithms, *found), graph.get_workspace_size())


@contextmanager
def _handle(device: torch.device) -> Iterator[int]:
    """A handle of cuDNN's that nobody else uses meanwhile, on the current stream."""
    import cudnn

    with torch.cuda.device(device):
        with _lock:
            free = _handles.setdefault(device, [])
            handle = free.pop() if free else None
        if handle is None:
            handle = cudnn.create_handle()
        try:
            cudnn.set_stream(handle=handle, stream=torch.cuda.current_stream(device).cuda_stream)
            yield handle
        finally:
            with _lock:
                free.append(handle)
