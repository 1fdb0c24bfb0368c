"""Gradients of queries, keys and values side by side: asked of cuDNN's front end, or put together where it can't."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from lorabot.trainer.fast import attention, packed
from lorabot.trainer.fast.attention import Attended, AttendedItself

BATCH, TOKENS, HEADS, SIZE = 2, 6, 3, 8
STREAM = 7


def some(*sizes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed))


def some_given(batch: int = BATCH) -> torch.Tensor:
    return some(batch, TOKENS, 3, HEADS, SIZE).bfloat16()


def agrees(attended: AttendedItself, given: torch.Tensor, rows: bool = True) -> bool:
    """With what torch's autograd finds, for a gradient that lies as rows or as heads."""
    leaf = given.float().requires_grad_()
    out = torch.nn.functional.scaled_dot_product_attention(*packed.parts(leaf))
    gradient = some(*out.shape, seed=1).to(given.dtype)
    if rows:
        gradient = gradient.transpose(1, 2).contiguous().transpose(1, 2)
    (expected,) = torch.autograd.grad(out, leaf, gradient.float())
    torch.testing.assert_close(attended.out.float(), out.detach(), atol=0.02, rtol=0.02)
    torch.testing.assert_close(attended.back(gradient).float(), expected, atol=0.04, rtol=0.04)
    return True


@dataclass(eq=False)
class Tensor:
    """As cuDNN's front end describes one."""

    dim: list[int] = field(default_factory=list)
    stride: list[int] = field(default_factory=list)
    output: bool = False

    def set_output(self, output: bool) -> "Tensor":
        self.output = output
        return self

    def set_dim(self, dim: list[int]) -> "Tensor":
        self.dim = dim
        return self

    def set_stride(self, stride: list[int]) -> "Tensor":
        self.stride = stride
        return self


class Graph:
    """Speaks the part of cuDNN's front end that is needed, and computes where it is told to write."""

    made = 0
    streams: ClassVar[dict[int, int]] = {}
    executed: ClassVar[list[int]] = []

    def __init__(self, handle: int, **_: object) -> None:
        Graph.made += 1
        self.steps: list[str] = []

    def tensor(self, name: str, dim: list[int], stride: list[int], data_type: str) -> Tensor:
        return Tensor(dim, stride)

    def sdpa_backward(self, attn_scale: float, name: str, **given: Tensor) -> list[Tensor]:
        self.scale, self.given, self.found = attn_scale, given, [Tensor() for _ in "qkv"]
        return self.found

    def create_execution_plans(self, modes: list[str]) -> None:
        assert modes == ["a", "fallback"]
        self.steps.append("create_execution_plans")

    def get_workspace_size(self) -> int:
        return 0

    def __getattr__(self, name: str) -> Any:
        return lambda: self.steps.append(name)

    def execute(self, places: dict[Tensor, torch.Tensor], workspace: torch.Tensor, handle: int) -> None:
        planned = ["validate", "build_operation_graph", "create_execution_plans", "check_support", "build_plans"]
        assert self.steps == planned
        assert workspace.numel()
        assert Graph.streams[handle] == STREAM
        Graph.executed.append(handle)
        for said, place in places.items():
            assert (tuple(said.dim), tuple(said.stride)) == (tuple(place.shape), place.stride())
        assert all(each.output for each in self.found)
        query, key, value, out, gradient, sums = (
            places[self.given[each]] for each in ("q", "k", "v", "o", "dO", "stats")
        )
        assert sums.is_contiguous()
        query, key, value, out, gradient = (each.float() for each in (query, key, value, out, gradient))
        share = ((query @ key.mT) * self.scale - sums).exp()
        of_products = share * (gradient @ value.mT - (gradient * out).sum(-1, keepdim=True)) * self.scale
        made = (of_products @ key, of_products.mT @ query, share.mT @ gradient)
        for each, values in zip(self.found, made, strict=True):
            places[each].copy_(values)


def summed(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[Attended, torch.Tensor]:
    """cuDNN's attention forward as a processor does it: rows come out, and the logarithms of the sums."""
    attended = attention._products(query, key, value)
    sums = ((query.float() @ key.float().mT) * query.shape[-1] ** -0.5).logsumexp(-1, keepdim=True)
    return attended._replace(out=attended.out.transpose(1, 2).contiguous().transpose(1, 2)), sums


class NotSupported(Exception):
    """As cuDNN's front end says it."""


@pytest.fixture
def handles(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The handles that were made of a front end that computes on the processor, in the place of cuDNN's."""
    handles = list[int]()

    def create_handle() -> int:
        handles.append(len(handles))
        return handles[-1]

    made = SimpleNamespace(
        __version__="1",
        backend_version=lambda: 90000,
        pygraph=Graph,
        data_type=SimpleNamespace(BFLOAT16="narrow", FLOAT="wide"),
        heur_mode=SimpleNamespace(A="a", FALLBACK="fallback"),
        create_handle=create_handle,
        set_stream=lambda handle, stream: Graph.streams.update({handle: stream}),
    )
    monkeypatch.setitem(sys.modules, "cudnn", made)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: SimpleNamespace(cuda_stream=STREAM))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**33, 2**34))
    monkeypatch.setattr(packed, "front_end", cache(packed.front_end.__wrapped__))
    monkeypatch.setattr(packed, "_plans", {})
    monkeypatch.setattr(packed, "_handles", {})
    monkeypatch.setattr(attention, "_cudnn_and_sums", summed)
    monkeypatch.setattr(Graph, "made", 0)
    monkeypatch.setattr(Graph, "streams", {})
    monkeypatch.setattr(Graph, "executed", [])
    return handles


def attend(given: torch.Tensor) -> AttendedItself:
    """Where a card has cuDNN."""
    return attention._itself(attention._cudnn, given)


def refuse(graph: Graph) -> None:
    raise NotSupported("No valid execution plans built.")


def test_what_attends_to_itself_learns_as_autograd_does() -> None:
    given = some_given()
    assert agrees(attention.attend_itself(given), given)


def test_cudnn_is_told_where_gradients_go_by_one_plan_for_each_size_and_layout(handles: list[int]) -> None:
    for _ in range(2):
        assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.executed) == (1, [0, 0])
    assert agrees(attend(some_given()), some_given(), rows=False)
    assert agrees(attend(some_given(BATCH + 1)), some_given(BATCH + 1))
    assert (Graph.made, Graph.executed, handles) == (3, [0] * 4, [0])


def test_sums_that_lie_otherwise_are_laid_as_they_were_declared(
    handles: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def across(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[Attended, torch.Tensor]:
        attended, sums = summed(query, key, value)
        return attended, sums.transpose(0, 2).contiguous().transpose(0, 2)

    monkeypatch.setattr(attention, "_cudnn_and_sums", across)
    assert agrees(attend(some_given()), some_given())
    assert Graph.executed == [0]


def test_two_at_once_have_a_handle_each(handles: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    meet = threading.Barrier(2, timeout=10)

    def build_plans(graph: Graph) -> None:
        graph.steps.append("build_plans")
        meet.wait()

    def both_ways(batch: int) -> bool:
        return agrees(attend(some_given(batch)), some_given(batch))

    assert both_ways(3)
    assert handles == [0]
    monkeypatch.setattr(Graph, "build_plans", build_plans, raising=False)
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(both_ways, (1, 2)))
    assert sorted(handles) == [0, 1]


def test_a_cudnn_that_knows_no_such_graph_is_asked_once_for_each(
    handles: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Graph, "check_support", refuse, raising=False)
    for _ in range(2):
        assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.executed) == (1, [])
    said = "the gradients of attentions over (2, 3, 6, 8) are put together by torch: No valid execution plans built."
    assert caplog.messages == [said]


def test_where_memory_is_short_it_is_asked_again(handles: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as short:
        short.setattr(torch.cuda, "mem_get_info", lambda _: (2**20, 2**34))
        short.setattr(Graph, "build_plans", refuse, raising=False)
        assert agrees(attend(some_given()), some_given())
    assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.executed) == (2, [0])


def test_nothing_is_planned_while_a_pass_is_recorded(handles: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert agrees(attend(some_given()), some_given())
    assert Graph.made == 0


def test_without_the_front_end_gradients_are_put_together_and_the_log_says_so_once(
    handles: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setitem(sys.modules, "cudnn", None)
    for batch in (1, 2):
        assert agrees(attend(some_given(batch)), some_given(batch))
    assert packed.front_end() is None
    (said,) = caplog.messages
    assert said.startswith("attentions' gradients are put together by torch: ")


def test_other_numbers_and_layouts_than_are_declared_are_torchs(handles: list[int]) -> None:
    given = some(BATCH, TOKENS, 3, HEADS, SIZE)
    assert agrees(attend(given), given)
    across = some_given().transpose(0, 1).contiguous().transpose(0, 1)
    assert agrees(attend(across), across)
    assert Graph.made == 0


def test_memory_that_runs_out_in_a_plan_is_for_who_asked(handles: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def build_plans(_: Graph) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Graph, "build_plans", build_plans, raising=False)
    attended = attend(some_given())
    with pytest.raises(torch.OutOfMemoryError):
        attended.back(torch.zeros_like(attended.out))
    assert packed._plans == {}


def test_the_front_end_that_is_installed_says_its_version() -> None:
    """The real one: what was measured by another is measured anew."""
    said = packed.front_end()
    assert said is not None
    assert said.startswith(version("nvidia-cudnn-frontend"))
