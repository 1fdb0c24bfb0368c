"""Gradients of queries, keys and values side by side: asked of cuDNN's front end, or put together where it can't."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lorabot.trainer.fast import attention, packed
from lorabot.trainer.fast.attention import Attended, AttendedItself

BATCH, TOKENS, HEADS, SIZE = 2, 6, 3, 8


def some(*sizes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed))


def agrees(attended: AttendedItself, given: torch.Tensor) -> bool:
    """With what torch's autograd finds."""
    leaf = given.clone().requires_grad_()
    out = torch.nn.functional.scaled_dot_product_attention(*packed.parts(leaf))
    gradient = some(BATCH, TOKENS, HEADS, SIZE, seed=1).transpose(1, 2)
    (expected,) = torch.autograd.grad(out, leaf, gradient)
    torch.testing.assert_close(attended.out, out.detach())
    torch.testing.assert_close(attended.back(gradient), expected)
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

    def __init__(self, handle: int, **_: object) -> None:
        Graph.made += 1
        self.steps: list[str] = []

    def tensor(self, name: str, dim: list[int], stride: list[int], data_type: str) -> Tensor:
        return Tensor(dim, stride)

    def sdpa_backward(self, attn_scale: float, name: str, **given: Tensor) -> list[Tensor]:
        self.scale, self.given, self.found = attn_scale, given, [Tensor() for _ in "qkv"]
        return self.found

    def create_execution_plans(self, modes: list[str]) -> None:
        self.steps.append("create_execution_plans")

    def get_workspace_size(self) -> int:
        return 0

    def __getattr__(self, name: str) -> Any:
        return lambda: self.steps.append(name)

    def execute(self, places: dict[Tensor, torch.Tensor], workspace: torch.Tensor, handle: int) -> None:
        planned = ["validate", "build_operation_graph", "create_execution_plans", "check_support", "build_plans"]
        assert self.steps == planned
        assert workspace.numel()
        for said, place in places.items():
            assert (tuple(said.dim), tuple(said.stride)) == (tuple(place.shape), place.stride())
        assert all(each.output for each in self.found)
        query, key, value, out, gradient, sums = (
            places[self.given[each]] for each in ("q", "k", "v", "o", "dO", "stats")
        )
        share = ((query @ key.mT) * self.scale - sums).exp()
        of_products = share * (gradient @ value.mT - (gradient * out).sum(-1, keepdim=True)) * self.scale
        made = (of_products @ key, of_products.mT @ query, share.mT @ gradient)
        for each, values in zip(self.found, made, strict=True):
            places[each].copy_(values)


def summed(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[Attended, torch.Tensor]:
    """cuDNN's attention forward as a processor does it: rows come out, and the logarithms of the sums."""
    attended = attention._products(query, key, value)
    sums = ((query @ key.mT) * query.shape[-1] ** -0.5).logsumexp(-1, keepdim=True)
    return attended._replace(out=attended.out.transpose(1, 2).contiguous().transpose(1, 2)), sums


@pytest.fixture
def front_end(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A front end that computes on the processor, in the place of cuDNN's."""
    handles = list[int]()

    def create_handle() -> int:
        handles.append(len(handles))
        return handles[-1]

    made = SimpleNamespace(
        pygraph=Graph,
        data_type=SimpleNamespace(BFLOAT16="narrow", FLOAT="wide"),
        heur_mode=SimpleNamespace(A="a", FALLBACK="fallback"),
        create_handle=create_handle,
        set_stream=lambda handle, stream: None,
        handles=handles,
        __spec__=object(),
    )
    monkeypatch.setitem(sys.modules, "cudnn", made)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: SimpleNamespace(cuda_stream=0))
    monkeypatch.setattr(packed, "_plans", {})
    monkeypatch.setattr(packed, "_handles", {})
    monkeypatch.setattr(attention, "_cudnn_and_sums", summed)
    monkeypatch.setattr(Graph, "made", 0)
    return made


def test_what_attends_to_itself_learns_as_autograd_does() -> None:
    given = some(BATCH, TOKENS, 3, HEADS, SIZE)
    assert agrees(attention.attend_itself(given), given)


def test_cudnn_is_told_where_gradients_go_by_one_plan_for_each_size(front_end: SimpleNamespace) -> None:
    for _ in range(2):
        given = some(BATCH, TOKENS, 3, HEADS, SIZE)
        assert agrees(attention._itself(attention._cudnn, given), given)
    assert Graph.made == 1
    assert len(front_end.handles) == 1
    larger = some(BATCH + 1, TOKENS, 3, HEADS, SIZE)
    attended = attention._itself(attention._cudnn, larger)
    attended.back(torch.zeros_like(attended.out))
    assert Graph.made == 2
    assert len(front_end.handles) == 1


def test_a_cudnn_that_knows_no_such_graph_is_asked_once_and_its_gradients_are_put_together(
    front_end: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def check_support(_: Graph) -> None:
        raise RuntimeError("no engine for this graph")

    monkeypatch.setattr(Graph, "check_support", check_support, raising=False)
    for _ in range(2):
        given = some(BATCH, TOKENS, 3, HEADS, SIZE)
        assert agrees(attention._itself(attention._cudnn, given), given)
    assert Graph.made == 1
    assert caplog.messages == ["attentions' gradients are put together afterwards: no engine for this graph"]


def test_without_the_front_end_gradients_are_put_together(
    front_end: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "find_spec", lambda _: None)
    given = some(BATCH, TOKENS, 3, HEADS, SIZE)
    assert agrees(attention._itself(attention._cudnn, given), given)
    assert Graph.made == 0


def test_memory_that_runs_out_in_a_plan_is_for_who_asked(
    front_end: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_plans(_: Graph) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Graph, "build_plans", build_plans, raising=False)
    given = some(BATCH, TOKENS, 3, HEADS, SIZE)
    attended = attention._itself(attention._cudnn, given)
    with pytest.raises(torch.OutOfMemoryError):
        attended.back(torch.zeros_like(attended.out))
    assert packed._plans == {}
