"""cuDNN's attention by NVIDIA's own front end, which can do what torch's call to the same kernels can't.

It writes gradients where it is told to: torch makes three tensors of those that are wanted side by side, and to put
these together takes 1 % of a step at batch 16. And its plans can be kept from one process to the next: made anew in
each, those for the sizes of a job's pictures held up its first step.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import torch

from lorabot.trainer.fast import kept_plans
from lorabot.trainer.memory import ran_out_of_memory

_log = logging.getLogger(__name__)

Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Queries, keys and values, or their gradients: (B, heads, tokens, head size) each."""


class _Layout(NamedTuple):
    """Of a tensor: (B, heads, tokens, head size), and how far the elements of each are apart."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]


class _Kind(NamedTuple):
    """What a plan is made for: the ``way`` and the layouts of all that it reads and writes, in their order."""

    way: Literal["there", "back"]
    layouts: tuple[_Layout, ...]
    device: torch.device


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A graph of cuDNN's that knows its tensors by their places in ``_Kind.layouts``, from 1 on, and the bytes that it
    works in. ``kept``: whether it was read from a file."""

    graph: Any
    workspace: int
    kept: bool


_plans: dict[_Kind, _Plan | None] = {}
"""No plan is ever dropped: what is recorded on a card needs its kernels for as long as it is kept. None: there is none
that cuDNN knows."""
_handles: dict[torch.device, list[int]] = {}
_lock = threading.Lock()
_LITTLE = 2**28
"""Bytes free on a card below which what can't be planned may be for lack of memory: cuDNN doesn't say."""
_DESCRIBED = 1
"""To be raised when ``_describe`` says something else of the same layouts: plans that are kept for it are another's."""


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Softmax of the scaled products of ``query`` and ``key``, times ``value``, as rows; and for each query and head
    the logarithm of the softmax's sum, float32 (B, heads, tokens, 1).

    None where this can't be done so, as with other numbers than bfloat16; the log has why.
    """
    if not _takes(query, key, value):
        return None
    out = rows_like(query)
    sums = query.new_empty(*query.shape[:3], 1, dtype=torch.float32)
    return (out, sums) if _did("there", (query, key, value, out, sums)) else None


def learn(gradient: torch.Tensor, given: Heads, out: torch.Tensor, sums: torch.Tensor, into: Heads) -> bool:
    """Put ``into`` place the gradients of what was ``given``, from the ``gradient`` of what came ``out``.

    ``sums`` are those of ``attend``. False where this can't be done so, and nothing was done; the log has why.
    """
    if not _takes(*given, out, gradient, *into):
        return False
    return _did("back", (*given, out, gradient, sums.contiguous(), *into))


@cache
def front_end() -> str | None:
    """The version of cuDNN's front end, and of cuDNN; None where it can't be used, which is logged once."""
    try:
        import cudnn

        return f"{cudnn.__version__}, {cudnn.backend_version()}"
    except Exception as error:  # it may be missing, or not find its libraries
        _log.info("torch asks cuDNN for attentions: %s", error)
        return None


def rows_like(heads: torch.Tensor) -> torch.Tensor:
    """Room for as many numbers as in ``heads`` (B, heads, tokens, head size), lying as rows: each token's together."""
    batch, count, tokens, size = heads.shape
    return heads.new_empty(batch, tokens, count, size).transpose(1, 2)


def _takes(*tensors: torch.Tensor) -> bool:
    usual = all(each.dtype == torch.bfloat16 and each.stride(-1) == 1 for each in tensors)
    return usual and front_end() is not None


def _did(way: Literal["there", "back"], tensors: Sequence[torch.Tensor]) -> bool:
    device = tensors[0].device
    kind = _Kind(way, tuple(_Layout(tuple(each.shape), each.stride()) for each in tensors), device)
    if kind not in _plans and not torch.cuda.is_current_stream_capturing():  # where nothing may be built
        _planned(kind)
    plan = _plans.get(kind)
    if plan is None:
        return False
    workspace = torch.empty(max(1, plan.workspace), dtype=torch.uint8, device=device)
    with _handle(device) as handle:
        try:
            plan.graph.execute(dict(enumerate(tensors, 1)), workspace, handle=handle)
        except Exception as error:
            if plan.kept and not ran_out_of_memory(error):
                kept_plans.drop(_about(kind))  # or it would fail in the next process, too
            raise
    return True


def _planned(kind: _Kind) -> None:
    """Put what is found by ``kind``; nothing where memory may have been short, so that it is asked again."""
    made: _Plan | None = None
    try:
        with _handle(kind.device) as handle:
            made = _read(kind, handle) or _made(kind, handle)
    except Exception as error:  # another cuDNN, say, that knows no such graph
        if ran_out_of_memory(error):
            raise
        sizes = kind.layouts[0].sizes
        # Not the error itself: it holds on to the tensors for as long as someone keeps what was logged.
        _log.warning("torch asks cuDNN for attentions over %s, the way %s: %s", sizes, kind.way, str(error))
        if torch.cuda.mem_get_info(kind.device)[0] < _LITTLE:
            return
    _plans.setdefault(kind, made)


def _read(kind: _Kind, handle: int) -> _Plan | None:
    """The plan that was kept for this, if there is one that can be read."""
    kept = kept_plans.read(_about(kind))
    # The front end tries what it reads: it records on the current stream and takes 1 MiB from the driver meanwhile.
    # Where that fails, it leaves the stream recording.
    if kept is None or torch.cuda.mem_get_info(kind.device)[0] < _LITTLE:
        return None
    graph = _graph(handle)
    try:
        graph.deserialize(handle, list(kept))
    except Exception as error:  # whatever cuDNN may say of it
        if ran_out_of_memory(error):
            raise
        _log.info("a plan of cuDNN's is made again: %s", error)
        return None
    return _Plan(graph, graph.get_workspace_size(), kept=True)


def _made(kind: _Kind, handle: int) -> _Plan:
    import cudnn

    graph = _graph(handle)
    _describe(graph, kind)
    graph.validate()
    graph.build_operation_graph()
    graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
    graph.check_support()
    graph.build_plans()
    if kept_plans.wanted():
        _keep(kind, graph)
    return _Plan(graph, graph.get_workspace_size(), kept=False)


def _keep(kind: _Kind, graph: Any) -> None:
    try:
        plan = bytes(graph.serialize())
    except Exception as error:  # it can be used all the same
        _log.info("a plan of cuDNN's can't be kept: %s", error)
    else:
        kept_plans.keep(_about(kind), plan)


def _about(kind: _Kind) -> tuple[object, ...]:
    """All that a plan depends on: in another process, on another card, with another cuDNN."""
    card = torch.cuda.get_device_properties(kind.device)
    of_card = card.name, card.major, card.minor, card.multi_processor_count
    return _DESCRIBED, front_end(), of_card, kind.way, kind.layouts


def _graph(handle: int) -> Any:
    import cudnn

    narrow, wide = cudnn.data_type.BFLOAT16, cudnn.data_type.FLOAT
    return cudnn.pygraph(io_data_type=narrow, intermediate_data_type=wide, compute_data_type=wide, handle=handle)


def _describe(graph: Any, kind: _Kind) -> None:
    import cudnn

    size = kind.layouts[0].sizes[-1]
    usual = {"attn_scale": size**-0.5, "name": "attention"}

    def tensor(number: int, dtype: Any = cudnn.data_type.BFLOAT16) -> Any:
        sizes, strides = kind.layouts[number - 1]
        made = graph.tensor(name=str(number), dim=list(sizes), stride=list(strides), data_type=dtype)
        return made.set_uid(number)

    query, key, value = (tensor(number) for number in (1, 2, 3))
    found: Sequence[Any]
    if kind.way == "there":
        found = graph.sdpa(q=query, k=key, v=value, generate_stats=True, **usual)
        found[1].set_data_type(cudnn.data_type.FLOAT)
    else:
        out, gradient, sums = tensor(4), tensor(5), tensor(6, cudnn.data_type.FLOAT)
        found = graph.sdpa_backward(q=query, k=key, v=value, o=out, dO=gradient, stats=sums, **usual)
    first = len(kind.layouts) - len(found) + 1
    for number, each in enumerate(found, first):
        sizes, strides = kind.layouts[number - 1]
        each.set_output(True).set_dim(list(sizes)).set_stride(list(strides)).set_uid(number)


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
