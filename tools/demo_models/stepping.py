"""What every training stage shares: rows on the device, a rate by the clock, and steps replayed as CUDA graphs.

The models are small: launching their kernels one by one takes several times as long as running them. A step that is
captured once and replayed costs one launch.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger("demo_models")


class Rows:
    """Rendered rows on the device; `ready()` tells how many there are so far."""

    def __init__(self, arrays: dict[str, Any], ready: Callable[[], int], device: torch.device) -> None:
        self._source, self._ready, self.device = arrays, ready, device
        self.count = len(arrays["pixels"])
        self.here = torch.zeros((), dtype=torch.long, device=device)
        self._here = 0
        self.columns = {
            name: torch.zeros(array.shape, dtype=torch.uint8 if array.dtype == "uint8" else torch.int32, device=device)
            for name, array in arrays.items()
        }

    def more(self, least: int = 0) -> int:
        """Move over what has been rendered since, waiting for `least` rows. Returns how many are here now."""
        least = min(least, self.count)
        while (ready := self._ready()) < least:
            time.sleep(0.2)
        if ready > self._here:
            for name, array in self._source.items():
                part = array[self._here : ready]
                part = part.astype("int32") if array.dtype == "uint16" else part.copy()
                self.columns[name][self._here : ready] = torch.from_numpy(part).to(self.device)
            self._here = ready
            self.here.fill_(ready)
        return self._here

    def choose(self, count: int) -> Tensor:
        """Numbers of `count` rows that are here, (count,) int64."""
        return (torch.rand(count, device=self.device) * self.here).long()

    def pixels(self, index: Tensor) -> Tensor:
        """(N, 3, 128, 128) in -1..1."""
        return self.columns["pixels"][index].permute(0, 3, 1, 2).float() / 127.5 - 1


@dataclass(frozen=True, slots=True)
class Span:
    """A stage's time, in seconds of `time.monotonic`; and a cap on steps, for the smallest builds."""

    start: float
    end: float
    most: int = 10**9

    def over(self, step: int) -> bool:
        return step >= self.most or time.monotonic() >= self.end

    def rate(self, peak: float, step: int, warm_up: int = 200) -> float:
        """Linear warm-up over steps, then a cosine over the time that is left, down to 2 % of `peak`."""
        part = (time.monotonic() - self.start) / max(self.end - self.start, 1e-6)
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, part))))
        return peak * cosine * min(1.0, (step + 1) / warm_up)


class Optimiser:
    """AdamW whose rate can be changed between replays of a graph.

    `groups` are (parameters, share of the rate, weight decay).
    """

    def __init__(self, groups: Iterable[tuple[list[nn.Parameter], float, float]], beta: float = 0.99) -> None:
        self.parameters: list[nn.Parameter] = []
        described = []
        for parameters, share, decay in groups:
            rate: Any = torch.zeros((), device=parameters[0].device)
            described.append({"params": parameters, "lr": rate, "share": share, "weight_decay": decay})
            self.parameters += parameters
        on_gpu = self.parameters[0].is_cuda
        self._adam = torch.optim.AdamW(described, betas=(0.9, beta), fused=on_gpu, capturable=on_gpu)

    def set_rate(self, rate: float) -> None:
        for group in self._adam.param_groups:
            group["lr"].fill_(rate * group["share"])

    def step(self) -> None:
        """Must be called with gradients in place; leaves them, so that a captured step finds its own again."""
        self._adam.step()

    def clear(self) -> None:
        self._adam.zero_grad(set_to_none=True)

    def forget(self) -> None:
        """Undo what warming up left in the moments."""
        for state in self._adam.state.values():
            for value in state.values():
                value.zero_()


class Average:
    """An exponential moving average of parameters."""

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self._live, self._decay = parameters, decay
        self._mean = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self) -> None:
        torch._foreach_lerp_(self._mean, [p.detach() for p in self._live], 1 - self._decay)

    @torch.no_grad()
    def restart(self) -> None:
        """Begin again at the parameters of now."""
        for mean, live in zip(self._mean, self._live, strict=True):
            mean.copy_(live.detach())

    @torch.no_grad()
    def swap(self) -> None:
        """Put the average in the parameters, and what was in them here."""
        for mean, live in zip(self._mean, self._live, strict=True):
            held = live.detach().clone()
            live.copy_(mean)
            mean.copy_(held)


Step = Callable[[], Tensor]
"""One whole training step, gradients to weights; returns the loss. It reads and writes the same tensors every time."""


def captured(steps: list[Step], optimiser: Optimiser, warm_ups: int = 3) -> list[Step]:
    """The same steps as replays of CUDA graphs; on a CPU as they are. The optimiser's rate must be 0 so far."""
    if not torch.cuda.is_available() or not optimiser.parameters[0].is_cuda:

        def plain(step: Step) -> Step:
            def run() -> Tensor:
                optimiser.clear()
                return step()

            return run

        return [plain(step) for step in steps]
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch gives it no hints
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for step in steps:  # allocates what the optimiser and the convolutions need
            for _ in range(warm_ups):
                step()
                optimiser.clear()
    torch.cuda.current_stream().wait_stream(side)
    optimiser.forget()
    replays = []
    for step in steps:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = step()
        replays.append(_replay(graph, loss))
        optimiser.clear()
    optimiser.forget()
    return replays


def _replay(graph: torch.cuda.CUDAGraph, loss: Tensor) -> Step:
    def run() -> Tensor:
        graph.replay()
        return loss

    return run


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on a GPU. Weights are cast anew each time: a cached cast would be frozen into a graph."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda", cache_enabled=False)


def device_of(name: str) -> torch.device:
    """The device, set up for speed."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    return torch.device(name)
