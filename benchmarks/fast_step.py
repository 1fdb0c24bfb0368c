"""A training step of a UNet at full size with random weights, the fast way and others, in one process.

``python -m benchmarks.fast_step PART [--family sd15] [--batches 1 4 16 32] [--out FILE]``, in the repository, on a
machine with a card; ``--small --device cpu`` does the same with a small UNet and the fast way's operations in plain
torch. Parts:

- ``speed``: images/s (median, by CUDA events), peak memory and seconds to the first step; ``plain`` is a straight loop
  over diffusers and peft, ``plain, graph`` the same as one CUDA graph, ``fast`` the trainer's way. ``kohya``, which has
  to be asked for (``--ways kohya --kohya PATH``, a checkout of kohya-ss/sd-scripts), is their step by their own code,
  without loading data, encoding text or saving: kinder to them than a whole run (``benchmarks/kohya.py``).
- ``gradients``: each adapter's gradient in bfloat16 against float32, plain and fast, at several shapes of latents.
- ``curves``: the loss over 200 steps from the same start, plain and fast; a plot beside FILE.
- ``samples``: pictures of the built-in base with an adapter of random weights on it, at the same seeds, plain and fast,
  and how far their pixels are apart; a grid beside FILE.
- ``profile``: where the time of a fast step goes.
- ``start``: seconds from the start of a process to its first fast step, with a cold and a warm cache of kernels.

Results are added to FILE, JSON with versions, device and date.
"""

import argparse
import gc
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from PIL import Image, ImageChops, ImageStat
from torch.nn import functional

from benchmarks import kohya
from lorabot.locale import translator
from lorabot.presets import Recipe, load_presets
from lorabot.trainer import adapter
from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import Denoiser, denoiser, plain
from lorabot.trainer.encoding import listening
from lorabot.trainer.fast import Warm
from lorabot.trainer.fast.entrance import lay_out, through
from lorabot.trainer.fast.reference import Reference
from lorabot.trainer.grid import draw_grid
from lorabot.trainer.models import Models, pick_device
from lorabot.trainer.report import versions
from lorabot.trainer.sampling import sample, settings
from lorabot.trainer.training import GRADIENT_NORM
from tests.trainer import small_bases
from tests.trainer.published import UNETS

POOLED, SHAPES = 1280, ((1.0, 1.0), (0.75, 1.25), (1.5, 0.625))
"""Width of SDXL's pooled text; sides of latents against the square's, height and width."""
SLIGHT = 0.01
"""Up matrices of that size move a picture and leave it one."""
KINDS = {
    "attention": ("sdpa", "fmha", "flash", "attention", "hear", "dot_do_o", "convert_dq"),
    "convolution": ("conv", "fprop", "dgrad", "implicit", "winograd"),
    "norm": ("norm", "whole", "add", "factors", "back_sums", "back_means", "back_rows", "normalise", "layer_norm"),
    "gate": ("geglu",),
    "adapter": ("fold", "adam", "foreach", "multi_tensor"),
    "product": ("gemm", "nvjet", "cutlass", "cublas", "matmul", "splitk"),
}
"""Parts of kernels' names, looked for in this order: a convolution's kernel may well be called a gemm's."""


class Bench:
    """A UNet on its device, with a fresh adapter of rank 8 on the attention, and what goes in."""

    def __init__(self, words: argparse.Namespace) -> None:
        self.family, self.small = words.family, words.small
        self.device = pick_device(words.device)
        self.cuda = self.device.type == "cuda"
        self.precision: Any = "bf16" if self.cuda else "fp32"
        torch.manual_seed(0)
        with self.device:
            unet = small_bases.make(self.family).unet if self.small else UNet2DConditionModel(**UNETS[self.family])
        self.unet: Any = torch.nn.Module.to(unet, self.device, torch.bfloat16 if self.cuda else torch.float32)
        self.unet.requires_grad_(False).eval()
        usual = load_presets().get("anime").recipes[self.family].model_dump()
        self.recipe = Recipe.model_validate({**usual, "rank": 8, "alpha": 8.0, "layers": "attention", "dropout": 0.0})
        self.side = 16 if self.small else 128 if self.family == "sdxl" else 64

    def given(self, seed: int, batch: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, Conditions]:
        """Latents, timesteps and conditions by chance."""
        chance = torch.Generator().manual_seed(seed)
        config = self.unet.config

        def some(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=chance).to(self.device)

        conditions = [some(batch, 77, config.cross_attention_dim)]
        if self.family == "sdxl":
            pooled = small_bases.POOLED_WIDTH if self.small else POOLED
            conditions += [some(batch, pooled), torch.full((batch, 6), 1024.0, device=self.device)]
        timesteps = torch.randint(1000, (batch,), generator=chance).to(self.device)
        return some(batch, 4, height, width), timesteps, Conditions(*conditions)

    @contextmanager
    def adapted(self, up: float = 0.0) -> Iterator[list[torch.nn.Parameter]]:
        """With the adapter on, its up matrices random of that size; always the same."""
        with adapter.attached({"unet": self.unet}, self.recipe, 1):
            chance = torch.Generator().manual_seed(2)
            for name, parameter in adapter.parameters({"unet": self.unet}):
                if up and ".lora_B." in name:
                    parameter.data.copy_(up * torch.randn(parameter.shape, generator=chance))
            yield [parameter for _, parameter in adapter.parameters({"unet": self.unet})]

    @contextmanager
    def way(self, name: str, warm: Warm) -> Iterator[Denoiser]:
        """The denoiser of that name. Raises ``RuntimeError`` where the fast way was refused."""
        if name != "fast":
            yield plain(self.unet, self.precision)
        elif self.cuda:
            said: list[str] = []
            with denoiser(self.unet, "bf16", card=True, warm=warm, say=lambda each: said.append(each.code)) as denoise:
                if said != ["plan-fast"]:
                    raise RuntimeError(f"the fast way was refused: {said}")
                yield denoise
        else:
            straight = plain(self.unet, "fp32")
            yield through(lay_out(self.unet, Reference()), self.unet, straight)

    def synchronise(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()


Work = Callable[[], object]


def stepping(bench: Bench, name: str, denoise: Denoiser, parameters: list[torch.nn.Parameter], batch: int) -> Work:
    """One whole step over the same random rows: forward, loss, backward, clipping, AdamW."""
    noisy, timesteps, conditions = bench.given(3, batch, bench.side, bench.side)
    target = torch.randn_like(noisy)
    graph = name.endswith("graph")
    optimiser = torch.optim.AdamW(parameters, lr=1e-4, fused=bench.cuda, capturable=graph)

    def step() -> torch.Tensor:
        loss = (denoise(noisy, timesteps, conditions) - target).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
        optimiser.step()
        optimiser.zero_grad(set_to_none=not graph)
        return loss.detach()

    if not graph:
        return step
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded, stream=stream):
        step()
    return recorded.replay


@contextmanager
def ready(bench: Bench, name: str, warm: Warm, checkout: Path | None) -> Iterator[Callable[[int], Work]]:
    """The way of that name, its adapter on: what makes its step for so many pictures."""
    if name == "kohya":
        assert checkout is not None
        with kohya.training(checkout, bench.unet) as theirs:

            def made(batch: int) -> Work:
                latents, _, conditions = bench.given(3, batch, bench.side, bench.side)
                return theirs(latents, conditions.states)

            yield made
        return
    with bench.adapted() as parameters, bench.way(name, warm) as denoise:
        yield lambda batch: stepping(bench, name, denoise, parameters, batch)


def milliseconds(bench: Bench, step: Work, times: int) -> list[float]:
    """Of each of so many steps, one after the other as in a training: on a card nothing waits between them."""
    if not bench.cuda:
        found = []
        for _ in range(times):
            began = time.perf_counter()
            step()
            found.append(1000 * (time.perf_counter() - began))
        return found
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(times + 1)]  # type: ignore[no-untyped-call]
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    torch.cuda.synchronize()
    return [before.elapsed_time(after) for before, after in itertools.pairwise(marks)]


def measured(bench: Bench, name: str, batch: int, warm: Warm, words: argparse.Namespace) -> dict[str, Any]:
    if name != "fast":
        warm.let_go()  # or what it keeps on the card would be in the others' peaks
    if bench.cuda:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with ready(bench, name, warm, words.kohya) as made:
        began = time.perf_counter()
        step = made(batch)
        step()
        bench.synchronise()
        row: dict[str, Any] = {"first_step_s": round(time.perf_counter() - began, 2)}
        milliseconds(bench, step, 3)
        found = milliseconds(bench, step, words.steps)
    median = statistics.median(found)
    row |= {"ms": round(median, 2), "images_per_second": round(1000 * batch / median, 1)}
    if bench.cuda:
        row["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        row["reserved_gib"] = round(torch.cuda.max_memory_reserved() / 2**30, 2)
    return row


def speed(bench: Bench, words: argparse.Namespace) -> Any:
    rows, warm = [], Warm()
    for name in words.ways:
        for batch in words.batches:
            if name.endswith("graph") and not bench.cuda:
                continue
            row: dict[str, Any] = {"way": name, "batch": batch}
            try:
                row |= measured(bench, name, batch, warm, words)
            except Exception as error:  # the other rows are worth having all the same
                row["error"] = f"{type(error).__name__}: {error}"[:300]
            print(json.dumps(row), flush=True)
            rows.append(row)
    return rows


def gradients(bench: Bench, words: argparse.Namespace) -> Any:
    rows, warm = [], Warm()
    torch.backends.cudnn.allow_tf32 = False  # float32 is what is measured by
    for down, right in SHAPES:
        height, width = (int(bench.side * each) // 8 * 8 for each in (down, right))
        inputs = bench.given(4, 2, height, width)
        target = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(5)).to(bench.device)

        def learnt(denoise: Denoiser, parameters: list[torch.nn.Parameter]) -> tuple[float, list[torch.Tensor]]:
            loss = (denoise(*inputs) - target).square().mean()  # noqa: B023
            return float(loss.detach()), [each.double() for each in torch.autograd.grad(loss, parameters)]

        found = {}
        with bench.adapted(up=0.02) as parameters:
            for name in ("plain", "fast"):
                with bench.way(name, warm) as denoise:
                    found[name] = learnt(denoise, parameters)
            dtype = bench.unet.conv_in.weight.dtype
            for parameter in bench.unet.parameters():
                parameter.data = parameter.data.float()
            exact = learnt(plain(bench.unet, "fp32"), parameters)
        warm.let_go()
        torch.nn.Module.to(bench.unet, dtype)
        for name, (loss, mine) in found.items():
            pairs = list(zip(mine, exact[1], strict=True))
            alike = [float(functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)) for a, b in pairs]
            apart = [float((a - b).norm() / b.norm()) for a, b in pairs]
            row = {
                "way": name,
                "latents": [height, width],
                "loss": loss,
                "loss_fp32": exact[0],
                "cosine_least": min(alike),
                "cosine_median": statistics.median(alike),
                "apart_median": statistics.median(apart),
                "apart_most": max(apart),
            }
            print(json.dumps(row), flush=True)
            rows.append(row)
    return rows


def curves(bench: Bench, words: argparse.Namespace) -> Any:
    found: dict[str, list[float]] = {}
    count = 10 if bench.small else 200
    for name in ("plain", "fast"):
        with bench.adapted() as parameters, bench.way(name, Warm()) as denoise:
            optimiser = torch.optim.AdamW(parameters, lr=3e-4)
            losses = []
            for number in range(count):
                noisy, timesteps, conditions = bench.given(number % 20, 4, bench.side, bench.side)
                target = bench.given(100 + number % 20, 4, bench.side, bench.side)[0]
                loss = (denoise(noisy, timesteps, conditions) - target).square().mean()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
                optimiser.step()
                optimiser.zero_grad()
                losses.append(loss.detach())
            found[name] = torch.stack(losses).tolist()
    apart = max(abs(a / b - 1) for a, b in zip(found["fast"], found["plain"], strict=True))
    print(f"losses {apart:.1e} apart at most; last {found['plain'][-1]:.5f} and {found['fast'][-1]:.5f}", flush=True)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5))
    axes = figure.subplots()
    axes.plot(found["plain"], label="plain", linewidth=2.5)
    axes.plot(found["fast"], label="fast", linewidth=1)
    axes.set(xlabel="step", ylabel="loss", title=f"{bench.family}, the same steps in two ways")
    axes.legend()
    figure.savefig(words.out.with_name(f"{words.out.stem}-curves-{bench.family}.png"), dpi=110)
    return {"losses": found, "apart_most": apart}


def samples(bench: Bench, words: argparse.Namespace) -> Any:
    models = Models(words.device)
    base = models.base()
    bench.unet, bench.family = base.unet, base.family
    recipe = load_presets().get("character").recipes[base.family]
    drawn: dict[str, tuple[Image.Image, ...]] = {}
    with bench.adapted(up=SLIGHT), closing(Autoencoder(base, models.gauge())) as autoencoder:
        wanted = settings(base, listening(base, recipe), recipe, base.scheduler, "someone", 7)
        for name in ("plain", "fast"):
            with bench.way(name, Warm()) as denoise:
                drawn[name] = sample(base, denoise, wanted, lambda: None, autoencoder)
    apart = [ImageChops.difference(*each) for each in zip(drawn["plain"], drawn["fast"], strict=True)]
    shown = {**drawn, "difference x 8": tuple(each.point(lambda value: min(255, 8 * value)) for each in apart)}

    def png(picture: Image.Image) -> bytes:
        content = BytesIO()
        picture.save(content, "PNG")
        return content.getvalue()

    draw_grid(
        [prompt.text for prompt in wanted.prompts],
        {name: [png(picture) for picture in pictures] for name, pictures in shown.items()},
        words.out.with_name(f"{words.out.stem}-samples.png"),
        translator("en"),
    )
    means = [statistics.fmean(ImageStat.Stat(each).mean) for each in apart]
    print(f"of 255 levels, a pixel of the pictures is {max(means):.2f} apart in the mean at most", flush=True)
    return {"steps": wanted.steps, "guidance": wanted.guidance, "mean_apart_of_255": [round(each, 3) for each in means]}


def profile(bench: Bench, words: argparse.Namespace) -> Any:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    activity = ProfilerActivity.CUDA if bench.cuda else ProfilerActivity.CPU
    rows = []
    for batch in words.batches:
        with bench.adapted() as parameters, bench.way("fast", Warm()) as denoise:
            step = stepping(bench, "fast", denoise, parameters, batch)
            milliseconds(bench, step, 3)
            with record(activities=[activity]) as recorded:
                milliseconds(bench, step, 5)
        grouped: dict[str, float] = {}
        kernels = []
        for event in recorded.key_averages():
            spent = (event.self_device_time_total if bench.cuda else event.self_cpu_time_total) / 5000
            kind = next((k for k, parts in KINDS.items() if any(p in event.key.lower() for p in parts)), "rest")
            grouped[kind] = grouped.get(kind, 0.0) + spent
            kernels.append((round(spent, 3), event.count // 5, event.key[:120]))
        row = {
            "batch": batch,
            "ms": {kind: round(spent, 2) for kind, spent in sorted(grouped.items(), key=lambda each: -each[1])},
            "kernels": sum(count for _, count, _ in kernels),
            "dearest": sorted(kernels, reverse=True)[:40],
        }
        print(json.dumps({**row, "dearest": row["dearest"][:12]}), flush=True)
        rows.append(row)
    return rows


def start(bench: Bench, words: argparse.Namespace) -> Any:
    found = {}
    with tempfile.TemporaryDirectory(prefix="lorabot-kernels-") as cache:
        for name in ("cold", "warm"):
            command = [sys.executable, "-m", "benchmarks.fast_step", "first", "--family", bench.family]
            command += ["--device", words.device, "--batches", "4", *(["--small"] if bench.small else [])]
            done = subprocess.run(
                command, env={**os.environ, "TRITON_CACHE_DIR": cache}, stdout=subprocess.PIPE, text=True, check=True
            )
            found[name] = json.loads(done.stdout.splitlines()[-1])
            print(name, found[name], flush=True)
    return found


def _age() -> float:
    """Seconds since this process began."""
    return time.time() - psutil.Process().create_time()


def first(bench: Bench, words: argparse.Namespace) -> Any:
    """In a process of its own: seconds since its start, stage by stage."""
    seconds = {"imports and network": round(_age(), 2)}
    with bench.adapted() as parameters, bench.way("fast", Warm()) as denoise:
        seconds["tried"] = round(_age(), 2)
        stepping(bench, "fast", denoise, parameters, words.batches[0])()
        bench.synchronise()
    seconds["first step"] = round(_age(), 2)
    print(json.dumps(seconds))
    return seconds


PARTS: dict[str, Callable[[Bench, argparse.Namespace], Any]] = {
    each.__name__: each for each in (speed, gradients, curves, samples, profile, start, first)
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--family", default="sd15", choices=small_bases.FAMILIES)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--ways", nargs="+", default=["plain", "plain, graph", "fast"])
    parser.add_argument("--kohya", type=Path, metavar="PATH", help="a checkout of kohya-ss/sd-scripts")
    parser.add_argument("--steps", type=int, default=20, help="that are timed")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/fast_step.json"))
    words = parser.parse_args(arguments)
    if "kohya" in words.ways and (words.kohya is None or words.small or words.family != "sd15"):
        parser.error("the way kohya needs --kohya PATH, and is of sd15 at full size")
    words.out.parent.mkdir(parents=True, exist_ok=True)
    found = PARTS[words.part](Bench(words), words)
    if words.part == "first":
        return
    results: dict[str, Any] = json.loads(words.out.read_text()) if words.out.exists() else {}
    results |= {
        "device": Models(words.device).hardware().name,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "versions": versions(),
        f"{words.part} {words.family}{' small' if words.small else ''}": found,
    }
    words.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
