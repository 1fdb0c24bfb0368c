"""Attention asked of cuDNN's front end, gradients put where they are wanted, plans kept; or torch's where it can't."""

import os
import pickle
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from lorabot.trainer.fast import attention, cudnn_attention, kept_plans
from lorabot.trainer.fast.attention import Attended, AttendedItself

BATCH, TOKENS, HEADS, SIZE = 2, 6, 3, 8
STREAM = 7
CARD = SimpleNamespace(name="card", major=9, minor=0, multi_processor_count=132)


def some(*sizes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed))


def some_given(batch: int = BATCH) -> torch.Tensor:
    return some(batch, TOKENS, 3, HEADS, SIZE).bfloat16()


def agrees(attended: AttendedItself, given: torch.Tensor, rows: bool = True) -> bool:
    """With what torch's autograd finds, for a gradient that lies as rows or as heads."""
    leaf = given.float().requires_grad_()
    out = torch.nn.functional.scaled_dot_product_attention(*attention.parts(leaf))
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
    data_type: str = "narrow"
    output: bool = False
    uid: int = 0

    def set_output(self, output: bool) -> "Tensor":
        self.output = output
        return self

    def set_dim(self, dim: list[int]) -> "Tensor":
        self.dim = dim
        return self

    def set_stride(self, stride: list[int]) -> "Tensor":
        self.stride = stride
        return self

    def set_data_type(self, data_type: str) -> "Tensor":
        self.data_type = data_type
        return self

    def set_uid(self, uid: int) -> "Tensor":
        self.uid = uid
        return self


class Graph:
    """Speaks the part of cuDNN's front end that is needed, and computes where it is told to write."""

    made = 0
    read = 0
    streams: ClassVar[dict[int, int]] = {}
    executed: ClassVar[list[tuple[str, int]]] = []

    def __init__(self, handle: int, **_: object) -> None:
        self.steps: list[str] = []
        self.tensors: list[Tensor] = []

    def tensor(self, name: str, dim: list[int], stride: list[int], data_type: str) -> Tensor:
        self.tensors.append(Tensor(dim, stride, data_type))
        return self.tensors[-1]

    def sdpa(self, attn_scale: float, name: str, generate_stats: bool, **given: Tensor) -> list[Tensor]:
        assert generate_stats
        return self._described("there", attn_scale, list(given.values()), 2)

    def sdpa_backward(self, attn_scale: float, name: str, **given: Tensor) -> list[Tensor]:
        assert list(given) == ["q", "k", "v", "o", "dO", "stats"]
        return self._described("back", attn_scale, list(given.values()), 3)

    def _described(self, way: str, scale: float, given: list[Tensor], count: int) -> list[Tensor]:
        found = [Tensor() for _ in range(count)]
        self.way, self.scale, self.tensors = way, scale, [*given, *found]
        return found

    def create_execution_plans(self, modes: list[str]) -> None:
        assert modes == ["a", "fallback"]
        self.steps.append("create_execution_plans")

    def build_plans(self) -> None:
        Graph.made += 1
        self.steps.append("build_plans")

    def serialize(self) -> list[int]:
        return list(pickle.dumps((self.way, self.scale, self.tensors, self.steps)))

    def deserialize(self, handle: int, said: list[int]) -> None:
        assert handle in Graph.streams
        self.way, self.scale, self.tensors, self.steps = pickle.loads(bytes(said))
        Graph.read += 1

    def get_workspace_size(self) -> int:
        return 0

    def __getattr__(self, name: str) -> Any:
        return lambda: self.steps.append(name)

    def execute(self, places: dict[int, torch.Tensor], workspace: torch.Tensor, handle: int) -> None:
        planned = ["validate", "build_operation_graph", "create_execution_plans", "check_support", "build_plans"]
        assert self.steps == planned
        assert workspace.numel()
        assert Graph.streams[handle] == STREAM
        Graph.executed.append((self.way, handle))
        assert [each.uid for each in self.tensors] == list(places)
        for said in self.tensors:
            place = places[said.uid]
            assert (tuple(said.dim), tuple(said.stride)) == (tuple(place.shape), place.stride())
            assert place.dtype == (torch.float32 if said.data_type == "wide" else torch.bfloat16)
        tensors = list(places.values())
        count = 2 if self.way == "there" else 3
        assert all(each.output for each in self.tensors[-count:])
        for place, values in zip(tensors[-count:], self._computed(*tensors[:-count]), strict=True):
            place.copy_(values)

    def _computed(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        query, key, value, *more = (each.float() for each in given)
        products = (query @ key.mT) * self.scale
        if self.way == "there":
            return torch.softmax(products, -1) @ value, products.logsumexp(-1, keepdim=True)
        out, gradient, sums = more
        share = (products - sums).exp()
        of_products = share * (gradient @ value.mT - (gradient * out).sum(-1, keepdim=True)) * self.scale
        return of_products @ key, of_products.mT @ query, share.mT @ gradient


def summed(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[Attended, torch.Tensor]:
    """What torch asks of cuDNN as a processor does it: rows come out, and the logarithms of the sums."""
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
    monkeypatch.setattr(cudnn_attention, "front_end", cache(cudnn_attention.front_end.__wrapped__))
    monkeypatch.setattr(cudnn_attention, "_plans", {})
    monkeypatch.setattr(cudnn_attention, "_handles", {})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: CARD)
    monkeypatch.setattr(attention, "_by_torch_and_sums", summed)
    monkeypatch.delenv("CUDNN_PLANS_DIR", raising=False)
    monkeypatch.setattr(Graph, "made", 0)
    monkeypatch.setattr(Graph, "read", 0)
    monkeypatch.setattr(Graph, "streams", {})
    monkeypatch.setattr(Graph, "executed", [])
    return handles


def attend(given: torch.Tensor) -> AttendedItself:
    """Where a card has cuDNN."""
    return attention._itself(attention._cudnn, given)


def begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process, which has no plans but those that were kept."""
    monkeypatch.setattr(cudnn_attention, "_plans", {})


def refuse(*_: object, **__: object) -> None:
    raise NotSupported("No valid execution plans built.")


def test_what_attends_to_itself_learns_as_autograd_does() -> None:
    given = some_given()
    assert agrees(attention.attend_itself(given), given)


def test_cudnn_is_told_where_gradients_go_by_one_plan_for_each_size_and_layout(handles: list[int]) -> None:
    for _ in range(2):
        assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.executed) == (2, [("there", 0), ("back", 0)] * 2)
    assert agrees(attend(some_given()), some_given(), rows=False)
    assert Graph.made == 3, "the way there is the same"
    assert agrees(attend(some_given(BATCH + 1)), some_given(BATCH + 1))
    assert (Graph.made, len(Graph.executed), handles) == (5, 8, [0])


def test_texts_that_are_heard_learn_as_autograd_has_it_and_gradients_come_as_rows(handles: list[int]) -> None:
    query = some(BATCH, HEADS, TOKENS, SIZE).bfloat16()
    both = some(BATCH, 4, 2, HEADS, SIZE, seed=2).bfloat16()
    key, value = (each.transpose(1, 2) for each in both.unbind(2))
    attended = attention._cudnn(query, key, value)
    leaves = q, k, v = [each.float().requires_grad_() for each in (query, key, value)]
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    gradient = some(*expected.shape, seed=1).bfloat16()
    found = attended.back(gradient)
    torch.testing.assert_close(attended.out.float(), expected.detach(), atol=0.02, rtol=0.02)
    for mine, theirs in zip(found, torch.autograd.grad(expected, leaves, gradient.float()), strict=True):
        torch.testing.assert_close(mine.float(), theirs, atol=0.04, rtol=0.04)
    assert all(each.transpose(1, 2).is_contiguous() for each in (attended.out, *found))
    assert Graph.executed == [("there", 0), ("back", 0)]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handles: list[int]) -> Path:
    """The folder of plans, in which there is one for each way of an attention."""
    monkeypatch.setenv("CUDNN_PLANS_DIR", str(tmp_path / "plans"))
    assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.read) == (2, 0)
    begin_anew(monkeypatch)
    return tmp_path / "plans"


def test_plans_are_kept_for_the_next_process(kept: Path) -> None:
    for _ in range(2):
        assert agrees(attend(some_given()), some_given())
        assert (Graph.made, Graph.read) == (2, 2)
    assert [path.suffix for path in kept.iterdir()] == [".plan"] * 2


@pytest.mark.parametrize("other", [{"name": "another"}, {"major": 8}, {"minor": 6}, {"multi_processor_count": 66}])
def test_plans_of_another_card_are_not_taken(
    kept: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, object]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(**{**vars(CARD), **other}))
    assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.read) == (4, 0)


@pytest.mark.parametrize("part", ["backend_version", "__version__", "_DESCRIBED"])
def test_plans_of_another_cudnn_or_of_another_description_are_not_taken(
    kept: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    where = cudnn_attention if part == "_DESCRIBED" else sys.modules["cudnn"]
    monkeypatch.setattr(where, part, (lambda: 90001) if part == "backend_version" else 2)
    cudnn_attention.front_end.cache_clear()
    assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.read) == (4, 0)


def test_plans_for_other_layouts_are_not_taken(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert agrees(attend(some_given(BATCH + 1)), some_given(BATCH + 1))
    assert (Graph.made, Graph.read) == (4, 0)
    begin_anew(monkeypatch)
    assert agrees(attend(some_given()), some_given(), rows=False)
    assert (Graph.made, Graph.read) == (5, 1), "the way there is the same"


def test_where_memory_is_short_no_plan_is_read(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN's front end takes memory to try what it reads, and where there is none leaves a stream recording."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**27, 2**34))
    assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.read) == (4, 0)


def test_memory_that_runs_out_as_a_plan_is_read_is_for_who_asked(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deserialize(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Graph, "deserialize", deserialize)
    with pytest.raises(torch.OutOfMemoryError):
        attend(some_given())
    assert cudnn_attention._plans == {}


def test_a_plan_that_was_read_and_does_not_work_is_made_anew_by_the_next_process(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    for ill, made, read in ((execute, 2, 3), (refuse, 3, 5)):
        with monkeypatch.context() as other:
            other.setattr(Graph, "execute", ill)
            with pytest.raises((NotSupported, torch.OutOfMemoryError)):
                attend(some_given())
        begin_anew(monkeypatch)
        assert agrees(attend(some_given()), some_given())
        assert (Graph.made, Graph.read) == (made, read), "the way back is as good as before"
        begin_anew(monkeypatch)


def test_a_plan_that_was_made_and_does_not_work_stays_for_others(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as ill:
        ill.setattr(Graph, "execute", refuse)
        with pytest.raises(NotSupported):
            attend(some_given(BATCH + 1))
    begin_anew(monkeypatch)
    assert agrees(attend(some_given(BATCH + 1)), some_given(BATCH + 1))
    assert (Graph.made, Graph.read) == (4, 1)


def test_a_plan_that_can_not_be_said_is_used_all_the_same(
    handles: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(Graph, "serialize", refuse)
    assert agrees(attend(some_given()), some_given())
    assert caplog.messages == [], "where none are kept, it is not asked"
    monkeypatch.setenv("CUDNN_PLANS_DIR", str(tmp_path))
    assert agrees(attend(some_given(BATCH + 1)), some_given(BATCH + 1))
    assert [way for way, _ in Graph.executed] == ["there", "back"] * 2
    assert caplog.messages == ["a plan of cuDNN's can't be kept: No valid execution plans built."] * 2


def test_plans_that_were_not_kept_whole_or_that_cudnn_refuses_are_made_and_kept_again(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in kept.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.read) == (4, 0)
    with monkeypatch.context() as other:
        other.setattr(Graph, "deserialize", refuse)
        begin_anew(other)
        assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.read) == (6, 0)
    begin_anew(monkeypatch)
    assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.read) == (6, 2)


def test_where_plans_can_not_be_kept_all_goes_on(
    handles: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "file").touch()
    monkeypatch.setenv("CUDNN_PLANS_DIR", str(tmp_path / "file" / "plans"))
    assert agrees(attend(some_given()), some_given())
    assert [message.split(":")[0] for message in caplog.messages] == ["a plan of cuDNN's is not kept"] * 2


def test_of_too_many_plans_those_go_that_were_not_used_for_longest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDNN_PLANS_DIR", str(tmp_path))
    monkeypatch.setattr(kept_plans, "_MOST", 5)
    (tmp_path / "of a process that was killed").touch()
    os.utime(tmp_path / "of a process that was killed", (0, 0))
    for number in range(4):
        kept_plans.keep(number, bytes([number]))
        (path,) = (each for each in tmp_path.iterdir() if each.stat().st_mtime > 10)
        os.utime(path, (number, number))
    assert kept_plans.read(0) == b"\x00"
    kept_plans.keep(4, b"new")
    assert [kept_plans.read(number) for number in range(5)] == [b"\x00", None, b"\x02", b"\x03", b"new"]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_plan_is_there_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def write_half(path: Path, content: bytes) -> None:
        path.open("wb").write(content[: len(content) // 2])
        raise OSError("no space left on device")

    monkeypatch.setenv("CUDNN_PLANS_DIR", str(tmp_path))
    kept_plans.keep("one", b"plan")
    monkeypatch.setattr(Path, "write_bytes", write_half)
    kept_plans.keep("one", b"another plan")
    kept_plans.keep("two", b"plan")
    assert (kept_plans.read("one"), kept_plans.read("two")) == (b"plan", None)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_plan_that_may_be_read_and_not_written_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDNN_PLANS_DIR", str(tmp_path))
    kept_plans.keep("one", b"plan")

    def utime(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", utime)
    assert kept_plans.read("one") == b"plan"


def test_sums_that_lie_otherwise_are_laid_as_they_were_declared(
    handles: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def across(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[Attended, torch.Tensor]:
        attended, sums = summed(query, key, value)
        return attended, sums.transpose(0, 2).contiguous().transpose(0, 2)

    monkeypatch.setattr(attention, "_by_torch_and_sums", across)
    monkeypatch.setattr(Graph, "sdpa", refuse)
    assert agrees(attend(some_given()), some_given())
    assert Graph.executed == [("back", 0)]


def test_two_at_once_have_a_handle_each(handles: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    meet = threading.Barrier(2, timeout=10)

    def check_support(graph: Graph) -> None:
        graph.steps.append("check_support")
        meet.wait()

    def both_ways(batch: int) -> bool:
        return agrees(attend(some_given(batch)), some_given(batch))

    assert both_ways(3)
    assert handles == [0]
    monkeypatch.setattr(Graph, "check_support", check_support, raising=False)
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(both_ways, (1, 2)))
    assert sorted(handles) == [0, 1]


def test_a_cudnn_that_knows_no_such_graph_is_asked_once_for_each(
    handles: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Graph, "check_support", refuse, raising=False)
    for _ in range(2):
        assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.executed) == (0, [])
    assert caplog.messages == [
        f"torch asks cuDNN for attentions over (2, 3, 6, 8), the way {way}: No valid execution plans built."
        for way in ("there", "back")
    ]


def test_a_way_back_that_cudnn_does_not_know_is_torchs_and_holds_no_room_beside_it(
    handles: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    room: list[weakref.ref[torch.Tensor]] = []

    def empty_like(tensor: torch.Tensor) -> torch.Tensor:
        made = tensor.new_empty(tensor.shape)
        room.append(weakref.ref(made))
        return made

    def by_torch(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
        attended, _ = summed(query, key, value)

        def back(gradient: torch.Tensor) -> cudnn_attention.Heads:
            assert [each() for each in room] == [None]
            return attended.back(gradient)

        return attended._replace(back=back)

    monkeypatch.setattr(Graph, "sdpa_backward", refuse)
    monkeypatch.setattr(attention, "_by_torch", by_torch)
    monkeypatch.setattr(torch, "empty_like", empty_like)
    assert agrees(attend(some_given()), some_given())
    assert (Graph.executed, len(room)) == ([("there", 0)], 1)


def test_where_memory_is_short_it_is_asked_again(handles: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as short:
        short.setattr(torch.cuda, "mem_get_info", lambda _: (2**20, 2**34))
        short.setattr(Graph, "build_plans", refuse)
        assert agrees(attend(some_given()), some_given())
    assert agrees(attend(some_given()), some_given())
    assert (Graph.made, Graph.executed) == (2, [("there", 0), ("back", 0)])


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
    assert cudnn_attention.front_end() is None
    (said,) = caplog.messages
    assert said.startswith("torch asks cuDNN for attentions: ")


def test_other_numbers_and_layouts_than_are_declared_are_torchs(handles: list[int]) -> None:
    given = some(BATCH, TOKENS, 3, HEADS, SIZE)
    assert agrees(attend(given), given)
    assert Graph.made == 0
    across = some_given().transpose(-1, -2).contiguous().transpose(-1, -2)
    assert agrees(attend(across), across)
    assert Graph.made == 0
    apart = some_given().transpose(0, 1).contiguous().transpose(0, 1)
    assert agrees(attend(apart), apart)
    assert Graph.made == 2


def test_memory_that_runs_out_in_a_plan_is_for_who_asked(handles: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def build_plans(_: Graph) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    attended = attend(some_given())
    before = dict(cudnn_attention._plans)
    monkeypatch.setattr(Graph, "build_plans", build_plans)
    with pytest.raises(torch.OutOfMemoryError):
        attended.back(torch.zeros_like(attended.out))
    with pytest.raises(torch.OutOfMemoryError):
        attend(some_given(BATCH + 1))
    assert cudnn_attention._plans == before


def test_the_front_end_that_is_installed_says_its_version() -> None:
    """The real one: what was measured by another is measured anew."""
    said = cudnn_attention.front_end()
    assert said is not None
    assert said.startswith(version("nvidia-cudnn-frontend"))
