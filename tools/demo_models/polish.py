"""The build's last stage: the denoiser, the image tower and the judge go on learning for some minutes, side by side.

Each alone leaves most of the GPU idle (small kernels, launched one by one), so three processes share it, and the
denoiser's step is one CUDA graph. The text encoder stays as it is.
"""

import json
import logging
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lorabot.trainer.bases import open_clip_text_state
from tools.demo_models import architecture, training
from tools.demo_models.captions import FIELDS
from tools.demo_models.data import Plan, Renderer, column
from tools.demo_models.judge import load_judge
from tools.demo_models.training import Budget, Pace, Rows, schedule

log = logging.getLogger("demo_models")
SEED = 40
SCENES, JUDGED = 49_152, 12_288


def _rows(plan: Plan, names: tuple[str, ...], device: torch.device) -> Rows:
    done = plan.folder / "done.bin"

    def wait(rows: int) -> None:
        import numpy as np

        while True:
            missing = np.flatnonzero(np.fromfile(done, dtype=np.uint8) == 0)
            if (len(missing) == 0) or int(missing[0]) * 128 >= rows:
                return
            time.sleep(0.3)

    return Rows({name: column(plan, name) for name in names}, wait, device)


def _load(module: torch.nn.Module, path: Path, device: torch.device) -> Any:
    module.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    open_module: Any = module  # torch's hints know no `to` with both
    return open_module.to(device, memory_format=torch.channels_last)


def _vae(folder: Path, device: torch.device) -> Any:
    vae = _load(architecture.vae(), folder / "vae" / "diffusion_pytorch_model.safetensors", device).eval()
    config = json.loads((folder / "vae" / "config.json").read_text())
    vae.register_to_config(scaling_factor=config["scaling_factor"])
    return vae


def _start(name: str) -> torch.device:
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name} %(message)s", datefmt="%H:%M:%S")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(SEED)
    return torch.device("cuda")


def _captions(rows: Rows, index: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    ids = torch.full((len(index), 77), training.END_TOKEN, dtype=torch.long, device=rows.device)
    short = rows.columns["tokens"][index, which].long()
    ids[:, : short.shape[1]] = short
    return ids


def polish_judge(plan: Plan, folder: Path, judge: Path, until: float) -> None:
    device = _start("judge")
    vae = _vae(folder, device)
    better = training.train_judge(
        _rows(plan, ("pixels", "labels"), device), vae, Budget(700, 384, 1.5e-3), SEED, load_judge(judge), until
    )
    state = {
        k: v.half().cpu().contiguous() if v.is_floating_point() else v.cpu() for k, v in better.state_dict().items()
    }
    save_file(state, judge)
    log.info("written")


def polish_clip(plan: Plan, folder: Path, until: float, budget: Budget) -> None:
    """The image tower against the locked text tower (LiT, 2111.07991)."""
    device = _start("clip")
    clip: Any = architecture.clip()
    text_state = load_file(folder / "text_encoder" / "model.safetensors")
    state = {**load_file(folder / "clip" / "visual.safetensors"), **open_clip_text_state(text_state)}
    clip.load_state_dict({key: value.float() for key, value in state.items()})
    clip.to(device, memory_format=torch.channels_last).train()
    text = _load(architecture.text_encoder(), folder / "text_encoder" / "model.safetensors", device).eval()
    rows = _rows(plan, ("pixels", "labels", "tokens", "tells"), device)
    trained = [*clip.visual.parameters(), clip.text_projection, clip.logit_scale]
    optimiser = torch.optim.AdamW(trained, lr=budget.rate, weight_decay=0.02, fused=True)
    mean, spread = training._clip_normalisation(device)
    pace, step = Pace(budget, until, (250, 500)), -1
    while (step := step + 1) < budget.steps:
        known = rows.wait(min(SCENES, 6144 + 2048 * (step // 150)))
        index = torch.randint(known, (budget.batch,), device=device)
        which = torch.randint(5, (budget.batch,), device=device)
        pixels = torch.roll(rows.pixels(index), torch.randint(-6, 7, (2,)).tolist(), (2, 3))
        pixels = torch.where(torch.rand(budget.batch, 1, 1, 1, device=device) < 0.5, pixels.flip(3), pixels)
        fits = training.agree(rows.columns["labels"][index][:, : len(FIELDS)], rows.columns["tells"][index, which])
        for group in optimiser.param_groups:
            group["lr"] = schedule(step, budget, 100)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            with torch.no_grad():
                pooled = text(_captions(rows, index, which)).pooler_output
            picture = clip.visual((((pixels + 1) / 2 - mean) / spread).contiguous(memory_format=torch.channels_last))
            loss = training._clip_loss(picture, pooled @ clip.text_projection, fits, clip.logit_scale)
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        budget = pace.after(step, loss)
        if step % 250 == 0:
            log.info("%d matching %.4f", step, loss.item())
    state = {
        key: value.half().cpu().contiguous() if value.is_floating_point() else value.cpu()
        for key, value in clip.state_dict().items()
        if not key.startswith(architecture.TEXT_TOWER)
    }
    save_file(state, folder / "clip" / "visual.safetensors")
    log.info("written")


def polish_unet(plan: Plan, folder: Path, until: float, budget: Budget) -> None:
    """More steps of noise prediction, the whole step replayed as one CUDA graph."""
    device = _start("unet")
    vae = _vae(folder, device)
    unet = _load(architecture.unet(), folder / "unet" / "diffusion_pytorch_model.safetensors", device).train()
    text = _load(architecture.text_encoder(), folder / "text_encoder" / "model.safetensors", device).eval()
    rows = _rows(plan, ("pixels", "labels", "tokens", "tells"), device)
    kept = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, device=device).square()
    kept = torch.cumprod(1 - kept, 0)
    weights = torch.clamp(5 * (1 - kept) / kept, max=1.0)
    rate = torch.tensor(0.0, device=device)
    optimiser = torch.optim.AdamW(
        unet.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True, capturable=True
    )
    live = list(unet.parameters())
    mean = [p.detach().clone() for p in live]
    n = budget.batch
    x, noise = torch.zeros(n, 4, 16, 16, device=device), torch.zeros(n, 4, 16, 16, device=device)
    t, hidden = (
        torch.zeros(n, dtype=torch.long, device=device),
        torch.zeros(n, 77, architecture.TEXT_WIDTH, device=device),
    )

    def step_once() -> torch.Tensor:
        with torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=False):
            a = kept[t][:, None, None, None]
            noisy = (a.sqrt() * x + (1 - a).sqrt() * noise).contiguous(memory_format=torch.channels_last)
            out = unet(noisy, t, hidden).sample.float()
            loss = ((out - noise).square().mean((1, 2, 3)) * weights[t]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(live, 1.0, foreach=True)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(mean, [p.detach() for p in live], 1 - 0.998)
        held: torch.Tensor = loss.detach()
        return held

    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch gives it no hints
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):  # at rate 0: allocates what the optimiser and the convolutions need
            step_once()
            optimiser.zero_grad(set_to_none=True)
    torch.cuda.current_stream().wait_stream(side)
    for state in optimiser.state.values():
        state["exp_avg"].zero_(), state["exp_avg_sq"].zero_(), state["step"].zero_()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step_once()
    for state in optimiser.state.values():
        state["exp_avg"].zero_(), state["exp_avg_sq"].zero_(), state["step"].zero_()
    log.info("captured")
    latents, known = torch.empty(rows.count, 4, 16, 16, device=device), 0
    silence = torch.full((77,), training.END_TOKEN, dtype=torch.long, device=device)
    silence[0] = training.START_TOKEN
    choice = torch.tensor([0.28, 0.28, 0.28, 0.08, 0.08], device=device)
    pace, step = Pace(budget, until, (250, 500)), -1
    while (step := step + 1) < budget.steps:
        if known < rows.count and step % 150 == 0:
            more = rows.wait(max(6144, known + 2048))
            latents[known:more] = _scaled(vae, rows, known, more)
            known = more
        index = torch.randint(known, (n,), device=device)
        ids = _captions(rows, index, torch.multinomial(choice, n, replacement=True))
        ids = torch.where((torch.rand(n, device=device) < 0.1)[:, None], silence[None], ids)
        with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16):
            hidden.copy_(text(ids).last_hidden_state)
        x.copy_(latents[index])
        noise.normal_().add_(0.06 * torch.randn(n, 4, 1, 1, device=device))
        t.random_(1000)
        rate.fill_(schedule(step, budget, 100))
        graph.replay()
        budget = pace.after(step, loss)
        if step % 200 == 0:
            log.info("%d denoising %.4f", step, loss.item())
    with torch.no_grad():
        for average, parameter in zip(mean, live, strict=True):
            parameter.copy_(average)
    if not all(bool(torch.isfinite(p).all()) for p in live):
        raise RuntimeError("the denoiser diverged")
    state = {key: value.half().cpu().contiguous() for key, value in unet.state_dict().items()}
    save_file(state, folder / "unet" / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    log.info("written after %d steps", step)


@torch.no_grad()
def _scaled(vae: Any, rows: Rows, start: int, end: int) -> torch.Tensor:
    parts = []
    order: Any = torch.arange(start, end, device=rows.device)  # torch gives `split` no hints
    for index in order.split(256):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            moments = vae.quant_conv(vae.encoder(rows.pixels(index).contiguous(memory_format=torch.channels_last)))
        parts.append(moments.float().chunk(2, dim=1)[0] * vae.config.scaling_factor)
    return torch.cat(parts)


def polish(folder: Path, judge: Path, work: Path, seconds: float) -> None:
    """Go on with the models in `folder` and the judge in the file `judge` for `seconds`, in place; needs a GPU.

    Raises RuntimeError when one of the three fails; the others' results are written all the same.
    """
    until = time.monotonic() + seconds
    workers = max(2, (os.cpu_count() or 4) - 3)
    world = Plan(work / "world", SCENES, SEED)
    judged = Plan(work / "judged", JUDGED, SEED + 1, held_out=0.5)
    Renderer(world, max(1, workers - 5))
    Renderer(judged, 5)
    context = multiprocessing.get_context("spawn")
    jobs = {
        "unet": context.Process(target=polish_unet, args=(world, folder, until, Budget(20000, 512, 5e-4))),
        "clip": context.Process(target=polish_clip, args=(world, folder, until, Budget(3400, 512, 6e-4))),
        "judge": context.Process(target=polish_judge, args=(judged, folder, judge, until)),
    }
    for job in jobs.values():
        job.start()
    for job in jobs.values():
        job.join()
    failed = [name for name, job in jobs.items() if job.exitcode]
    if failed:
        raise RuntimeError(f"could not polish {', '.join(failed)}")
