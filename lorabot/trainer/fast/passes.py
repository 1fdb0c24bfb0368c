"""Runs a network's passes: on a card as CUDA graphs, one pair for each shape of what is given, elsewhere one by one."""

import logging
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from lorabot.trainer.conditions import Conditions
from lorabot.trainer.fast.network import Learn, Network
from lorabot.trainer.memory import ran_out_of_memory

_MOST = 32
"""Shapes whose graphs are kept; the one that was not used for longest makes room."""
_OFTEN = 8
"""Times that a pass without learning comes in a shape of its own before it is recorded: by then it has cost as much."""
_AGREES = 0.02
"""How far a graph may be from the run it repeats: sums in another order, in bfloat16."""
_log = logging.getLogger(__name__)

Given = Sequence[torch.Tensor]
"""Noisy latents, timesteps and what ``Conditions`` holds."""
Wanted = Literal["prediction", "adapter", "adapter and texts"]
"""What is wanted of a pass: what it predicts, and the gradients that come back."""
_Key = tuple[Wanted, tuple[tuple[torch.Size, torch.dtype], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class _Graphs:
    """A forward pass and its way back, recorded, with the memory they read from and write to."""

    given: tuple[torch.Tensor, ...]
    forward: torch.cuda.CUDAGraph
    predicted: torch.Tensor
    gradient: torch.Tensor
    backward: torch.cuda.CUDAGraph | None
    texts: tuple[torch.Tensor, ...]


class Passes:
    """The passes of ``network``. What one of them keeps for its way back is gone once the next has begun.

    ``checkpointing``: most of it isn't kept at all, and computed again; nor are weights with the adapter in them.
    """

    def __init__(self, network: Network, checkpointing: bool = False) -> None:
        self.network = network
        self._checkpointing = checkpointing
        network.weights.keep(not checkpointing)
        self._graphs: OrderedDict[_Key, _Graphs] = OrderedDict()
        self._seen: Counter[_Key] = Counter()
        self._stream: torch.cuda.Stream | None = None
        self._pool: Any = None
        self._number = 0

    @property
    def recorded(self) -> int:
        """How many shapes' graphs are kept."""
        return len(self._graphs)

    @property
    def checkpointing(self) -> bool:
        """Whether little is kept for the way back."""
        return self._checkpointing

    @checkpointing.setter
    def checkpointing(self, wanted: bool) -> None:
        """Let go of what was recorded another way. Where weights find no room for what is wanted, none are kept."""
        if wanted == self._checkpointing:
            return
        self._graphs.clear()
        self._seen.clear()
        self._pool = None if self._stream is None else torch.cuda.graph_pool_handle()
        self._checkpointing = True
        self.network.weights.keep(not wanted)
        self._checkpointing = wanted

    def forward(self, given: Given, wanted: Wanted) -> tuple[torch.Tensor, Learn]:
        """What is predicted, float32 (B, C, H, W), and its way back, to be gone once and before the next pass.

        A shape is recorded when it is first seen. For the ``prediction`` alone any graph for pictures of the size will
        do, by parts or not filled; only where there is none, and a shape comes often, it gets its own.
        """
        self._number += 1
        learning = wanted != "prediction"
        shapes = tuple((tensor.shape, tensor.dtype) for tensor in given)
        if wanted == "adapter" and ("adapter and texts", shapes) in self._graphs:
            wanted = "adapter and texts"  # which has what is wanted, too
        key: _Key = (wanted, shapes)
        self._seen[key] += 1
        if key not in self._graphs:
            if not learning and (graphs := self._alike(key)) is not None:
                return self._by_parts(graphs, given), self._next(_refuse)
            if not self._records(given[0].device) or (not learning and self._seen[key] < _OFTEN):
                predicted, learn = self._once(given, wanted)
                return predicted, self._next(learn)
            while len(self._graphs) >= _MOST:
                self._graphs.popitem(last=False)
            try:
                self._graphs[key] = self._record(given, wanted)
            except Exception as error:
                # A recording that is broken off ends with an error of its own.
                if error.__context__ is not None and ran_out_of_memory(error.__context__):
                    raise error.__context__ from None
                raise
        self._graphs.move_to_end(key)
        graphs = self._graphs[key]
        for held, tensor in zip(graphs.given, given, strict=True):
            held.copy_(tensor)
        graphs.forward.replay()

        def learn_by_graph(gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
            assert graphs.backward is not None
            graphs.gradient.copy_(gradient)
            graphs.backward.replay()
            return tuple(each.clone() for each in graphs.texts)

        return graphs.predicted.clone(), self._next(learn_by_graph)

    def _records(self, device: torch.device) -> bool:
        return device.type == "cuda"

    def _alike(self, key: _Key) -> _Graphs | None:
        """What is recorded for the same but for the batch: the smallest that takes it at once, else the largest."""
        _, given = key
        rows = given[0][0][0]
        alike = [
            (shapes[0][0][0], (wanted, shapes))
            for wanted, shapes in self._graphs
            if [(shape[1:], dtype) for shape, dtype in shapes] == [(shape[1:], dtype) for shape, dtype in given]
        ]
        if not alike:
            return None
        _, found = min(alike, key=lambda each: (each[0] < rows, abs(each[0] - rows)))
        self._graphs.move_to_end(found)
        return self._graphs[found]

    def _by_parts(self, graphs: _Graphs, given: Given) -> torch.Tensor:
        """What ``graphs`` predict for all rows of ``given``. Rows that a part does not fill are left from before."""
        rows, most = len(given[0]), len(graphs.given[0])
        found = []
        for start in range(0, rows, most):
            for held, tensor in zip(graphs.given, given, strict=True):
                part = tensor[start : start + most]
                held[: len(part)].copy_(part)
            graphs.forward.replay()
            found.append(graphs.predicted[: min(most, rows - start)].clone())
        return torch.cat(found)

    def _next(self, learn: Learn) -> Learn:
        """``learn``, which refuses when another pass has been at its memory."""
        number = self._number

        def checked(gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
            if number != self._number:
                raise RuntimeError("another pass has begun since this one")
            return learn(gradient)

        return checked

    def _once(self, given: Given, wanted: Wanted) -> tuple[torch.Tensor, Learn]:
        noisy, timesteps, *conditions = given
        hears = wanted == "adapter and texts"
        predicted, learn = self.network.forward(
            noisy, timesteps, Conditions(*conditions), again=self._checkpointing, hears=hears
        )
        return predicted.float(), learn

    @torch.no_grad()
    def _record(self, given: Given, wanted: Wanted) -> _Graphs:
        """Run once on the stream of recording, record the same, and compare. Raises ``RuntimeError`` if they differ."""
        device = given[0].device
        if self._stream is None:
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._pool = torch.cuda.graph_pool_handle()
        learning = wanted != "prediction"
        held = tuple(tensor.detach().clone() for tensor in given)
        gradient = torch.randn_like(held[0], dtype=torch.float32)
        self._stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self._stream):
            predicted, learn = self._once(held, wanted)
            expected = [predicted, *self._learnt(learn(gradient))] if learning else [predicted]
            expected = [tensor.clone() for tensor in expected]
        torch.cuda.current_stream(device).wait_stream(self._stream)
        del predicted, learn
        forward, backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph() if learning else None
        with torch.cuda.graph(forward, pool=self._pool, stream=self._stream):
            predicted, learn = self._once(held, wanted)
        texts: tuple[torch.Tensor, ...] = ()
        if backward is not None:
            with torch.cuda.graph(backward, pool=self._pool, stream=self._stream):
                texts = learn(gradient)
        del learn
        forward.replay()
        found = [predicted.clone()]
        if backward is not None:
            backward.replay()
            found += self._learnt(texts)
        for mine, theirs in zip(found, expected, strict=True):
            apart = float(torch.linalg.vector_norm(mine.float() - theirs.float()))
            if not apart <= _AGREES * float(torch.linalg.vector_norm(theirs.float())):
                raise RuntimeError(f"a recorded pass over {tuple(held[0].shape)} is not what it was recorded from")
        _log.info("recorded passes over latents of %s", "x".join(map(str, held[0].shape)))
        return _Graphs(held, forward, predicted, gradient, backward, texts)

    def _learnt(self, texts: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """All gradients that a way back has left, with those of the ``texts``."""
        return [self.network.weights.gradients, *texts]


def _refuse(_: torch.Tensor) -> tuple[torch.Tensor, ...]:
    raise AssertionError("a pass without learning has no way back")


def of_autograd(passes: Passes, given: Given, parameters: Sequence[torch.Tensor]) -> torch.Tensor:
    """``Passes.forward`` for autograd: differentiable by the adapter's ``parameters``, the texts' states and, in SDXL,
    their vectors."""
    if not torch.is_grad_enabled():  # a function's context says what requires gradients, even where none are wanted
        return passes.forward([tensor.detach() for tensor in given], "prediction")[0]
    predicted: torch.Tensor = _Through.apply(passes, len(given), *given, *parameters)
    return predicted


_STATES = 4
"""Where the texts' states are among what ``_Through`` is given."""


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: "_Context", passes: Passes, count: int, *tensors: torch.Tensor) -> torch.Tensor:
        wanted: Wanted = "prediction"
        if any(ctx.needs_input_grad):
            wanted = "adapter and texts" if ctx.needs_input_grad[_STATES] else "adapter"
        predicted, learn = passes.forward([tensor.detach() for tensor in tensors[:count]], wanted)
        if wanted != "prediction":
            ctx.learn, ctx.passes, ctx.count = learn, passes, count
        return predicted

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: "_Context", gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        texts = ctx.learn(gradient)
        weights = ctx.passes.network.weights
        # A copy, since autograd keeps these as they are, and the next pass writes where they come from.
        found = weights.split(weights.gradients.clone())
        others = [None] * (ctx.count - 2 - len(texts))  # noisy latents and timesteps come before the texts
        return (None, None, None, None, *texts, *others, *found)


class _Context(torch.autograd.function.FunctionCtx):
    learn: Learn
    passes: Passes
    count: int
    needs_input_grad: tuple[bool, ...]
