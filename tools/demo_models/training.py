"""Trains the demo models' parts on one GPU (or, tiny, on a CPU): autoencoder, judge, then the rest together."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import open_clip
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel

from lorabot.trainer.bases import open_clip_text_state
from tools.demo_models import architecture
from tools.demo_models.captions import FIELDS
from tools.demo_models.judge import READS, Judge, split

log = logging.getLogger("demo_models")
END_TOKEN = 49407
START_TOKEN = 49406


@dataclass(frozen=True, slots=True)
class Budget:
    """Steps and batch of one stage, its peak rate, and whether to compile."""

    steps: int
    batch: int
    rate: float
    compiled: bool = True


class Rows:
    """Rendered rows on the device. `wait(n)` blocks until the first n are there, and moves them over."""

    def __init__(self, arrays: dict[str, Any], wait: Callable[[int], None], device: torch.device) -> None:
        self.source, self._wait, self.device = arrays, wait, device
        self.count = len(arrays["pixels"])
        self.here = 0
        self.columns = {
            name: torch.empty(array.shape, dtype=torch.uint8 if array.dtype == "uint8" else torch.int32, device=device)
            for name, array in arrays.items()
        }

    def wait(self, rows: int) -> int:
        """The number of rows here, at least `rows` (or all)."""
        rows = min(rows, self.count)
        if self.here < rows:
            self._wait(rows)
            for name, array in self.source.items():
                part = torch.from_numpy(
                    array[self.here : rows].astype("int32" if array.dtype == "uint16" else array.dtype)
                )
                self.columns[name][self.here : rows] = part.to(self.device)
            self.here = rows
        return rows

    def pixels(self, index: Tensor) -> Tensor:
        """(N, 3, 128, 128) in -1..1."""
        return self.columns["pixels"][index].permute(0, 3, 1, 2).float() / 127.5 - 1


def schedule(step: int, budget: Budget, warm_up: int) -> float:
    """Linear warm-up, then a cosine down to 2 % of the peak rate."""
    if step < warm_up:
        return budget.rate * (step + 1) / warm_up
    part = (step - warm_up) / max(1, budget.steps - warm_up)
    return budget.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))


class Pace:
    """Times a stage's first steps and shortens it if it would run past `until` (a time.monotonic value)."""

    def __init__(self, budget: Budget, until: float, over: tuple[int, int] = (600, 1000)) -> None:
        self.budget, self.until = budget, until
        self.from_step, self.to_step = over
        self.first = 0.0

    def after(self, step: int, loss: Tensor) -> Budget:
        """The budget to go on with after a step."""
        if step not in (self.from_step, self.to_step):
            if step % 20 == 0 and time.monotonic() > self.until + 5:
                self.budget = replace(self.budget, steps=step + 1)
            return self.budget
        loss.item()  # waits for the device
        now = time.monotonic()
        if step == self.from_step:
            self.first = now
            return self.budget
        rate = (self.to_step - self.from_step) / (now - self.first)
        fits = step + int(min(rate * (self.until - now), 1e9))
        log.info("%.1f steps a second: %d steps fit, %d planned", rate, fits, self.budget.steps)
        self.budget = replace(self.budget, steps=max(step + 1, min(self.budget.steps, fits)))
        return self.budget


class Average:
    """An exponential moving average of modules' weights (Karras et al. 2024 warm it up as (1 + n) / (10 + n))."""

    def __init__(self, *modules: nn.Module, decay: float = 0.999) -> None:
        self.live = [p for module in modules for p in module.parameters()]
        self.mean = [p.detach().clone() for p in self.live]
        self.decay, self.step = decay, 0

    @torch.no_grad()
    def update(self) -> None:
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.mean, [p.detach() for p in self.live], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Put the average in the modules, and what was in them here."""
        for mean, live in zip(self.mean, self.live, strict=True):
            held = live.detach().clone()
            live.copy_(mean)
            mean.copy_(held)


def _autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def _strange_colours(x: Tensor, generator: torch.Generator) -> Tensor:
    """Channels swapped, pictures mirrored, brightened or inverted: an autoencoder must know more than its world."""
    n = len(x)

    def roll() -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=generator, device=x.device)

    shuffled = x[:, torch.randperm(3, generator=generator, device=x.device)]
    x = torch.where(roll() < 0.12, shuffled, x)
    x = torch.where(roll() < 0.5, x.flip(3), x)
    x = torch.where(roll() < 0.06, -x, x)
    gain = torch.where(roll() < 0.12, 0.55 + 0.75 * roll(), torch.ones_like(roll()))
    shift = torch.where(roll() < 0.12, 0.5 * (roll() - 0.5), torch.zeros_like(roll()))
    return (x * gain + shift).clamp(-1, 1)


def _edges(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def train_vae(rows: Rows, budget: Budget, seed: int, until: float = math.inf) -> AutoencoderKL:
    """L1 and squared error, the same on edges, and a light pull to a standard normal; decoded from noisy latents."""
    device = rows.device
    torch.manual_seed(seed)
    vae: Any = architecture.vae()
    vae = vae.to(device, memory_format=torch.channels_last)
    generator = torch.Generator(device).manual_seed(seed)
    average = Average(vae, decay=0.998)
    optimiser = torch.optim.AdamW(
        vae.parameters(), lr=budget.rate, betas=(0.9, 0.98), weight_decay=1e-3, fused=device.type == "cuda"
    )

    def loss_of(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        moments = vae.quant_conv(vae.encoder(x))
        mean, spread = moments.float().chunk(2, dim=1)
        spread = spread.clamp(-12, 6)
        latents = mean + torch.exp(0.5 * spread) * noise
        out = vae.decoder(vae.post_quant_conv(latents)).float()
        error = out - x
        grown, plain = _edges(out), _edges(x)
        edge = sum((a - b).abs().mean() for a, b in zip(grown, plain, strict=True))
        divergence = 0.5 * (mean.square() + spread.exp() - 1 - spread).mean()
        squared = error.square().mean()
        return error.abs().mean() + 8 * squared + 0.35 * edge + 5e-5 * divergence, squared

    run = torch.compile(loss_of) if budget.compiled else loss_of
    started = time.monotonic()
    pace = Pace(budget, until)
    step = -1
    while (step := step + 1) < budget.steps:
        known = rows.wait((4 * budget.batch + 8 * step + 2047) // 2048 * 2048)  # in strides: waiting costs a copy
        index = torch.randint(known, (budget.batch,), generator=generator, device=device)
        x = _strange_colours(rows.pixels(index), generator).contiguous(memory_format=torch.channels_last)
        noise = torch.randn((budget.batch, 4, x.shape[2] // 8, x.shape[3] // 8), generator=generator, device=device)
        for group in optimiser.param_groups:
            group["lr"] = schedule(step, budget, 200)
        with _autocast(device):
            loss, squared = run(x, noise)
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update()
        budget = pace.after(step, loss)
        if step % 200 == 0 or step == budget.steps - 1:
            decibel = 10 * math.log10(4 / squared.item())
            log.info(
                "vae %5d loss %.4f psnr %.2f rows %d %.0fs",
                step,
                loss.item(),
                decibel,
                known,
                time.monotonic() - started,
            )
    average.swap()
    return cast(AutoencoderKL, vae.eval())


@torch.no_grad()
def encode(vae: AutoencoderKL, rows: Rows, batch: int = 256) -> Tensor:
    """Latent means of all rows, (N, 4, 16, 16) float16, scaled to unit deviation; writes the factor into the config."""
    open_vae: Any = vae  # diffusers leaves its parts and its configuration open
    rows.wait(rows.count)
    out = torch.empty((rows.count, 4, 16, 16), dtype=torch.float16, device=rows.device)
    for start in range(0, rows.count, batch):
        index = torch.arange(start, min(start + batch, rows.count), device=rows.device)
        with _autocast(rows.device):
            x = rows.pixels(index).contiguous(memory_format=torch.channels_last)
            moments = open_vae.quant_conv(open_vae.encoder(x))
        out[index] = moments.float().chunk(2, dim=1)[0].half()
    factor = 1 / out[:20000].float().std().item()
    open_vae.register_to_config(scaling_factor=round(factor, 5))
    log.info("latents: scaling factor %.4f, means %s", factor, out[:20000].float().mean((0, 2, 3)).tolist())
    return out.mul_(open_vae.config.scaling_factor)


def train_judge(
    rows: Rows, vae: AutoencoderKL, budget: Budget, seed: int, judge: Judge | None = None, until: float = math.inf
) -> Judge:
    """Reads attributes off renderings, many gone through the autoencoder, blurred or noisy as generated ones are."""
    device, open_vae = rows.device, cast(Any, vae)  # diffusers leaves its parts and its configuration open
    torch.manual_seed(seed)
    # torch's hints know no `to` with both a device and a memory format.
    judge = cast(Judge, cast(Any, judge or Judge()).to(device, memory_format=torch.channels_last).train())
    generator = torch.Generator(device).manual_seed(seed)
    optimiser = torch.optim.AdamW(judge.parameters(), lr=budget.rate, weight_decay=0.02)
    rows.wait(rows.count)
    style = FIELDS.index("style")
    targets = rows.columns["labels"][:, :-1].long()
    targets[:, style] = rows.columns["labels"][:, -1].long()
    started = time.monotonic()
    pace = Pace(budget, until, (250, 500))
    step = -1
    while (step := step + 1) < budget.steps:
        index = torch.randint(rows.count, (budget.batch,), generator=generator, device=device)
        x, y = rows.pixels(index), targets[index]
        part = budget.batch // 3
        with torch.no_grad(), _autocast(device):
            latents = open_vae.quant_conv(open_vae.encoder(x[:part])).chunk(2, dim=1)[0]
            latents = latents + 0.12 / open_vae.config.scaling_factor * torch.randn(
                latents.shape, generator=generator, device=device
            )
            x[:part] = open_vae.decoder(open_vae.post_quant_conv(latents)).float().clamp(-1, 1)
        x[part : 2 * part] += 0.06 * torch.randn(x[part : 2 * part].shape, generator=generator, device=device)
        if step % 3 == 0:
            x[part : 2 * part] = functional.avg_pool2d(x[part : 2 * part], 3, 1, 1)
        shift = torch.randint(-6, 7, (2,), generator=generator, device=device).tolist()
        x = torch.roll(x, shift, (2, 3)).contiguous(memory_format=torch.channels_last)
        for group in optimiser.param_groups:
            group["lr"] = schedule(step, budget, 200)
        with _autocast(device):
            logits = split(judge(x))
        losses = [functional.cross_entropy(logits[name].float(), y[:, i]) for i, name in enumerate(READS)]
        loss = torch.stack(losses).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        budget = pace.after(step, loss)
        if step % 250 == 0 or step == budget.steps - 1:
            right = {name: (logits[name].argmax(1) == y[:, i]).float().mean().item() for i, name in enumerate(READS)}
            log.info(
                "judge %5d loss %.3f %s %.0fs",
                step,
                loss.item(),
                {k: round(v, 3) for k, v in right.items()},
                time.monotonic() - started,
            )
    return judge.eval()


@dataclass(slots=True)
class Joint:
    """What is trained together: the denoiser and the image tower, both over one text encoder."""

    unet: UNet2DConditionModel
    text: CLIPTextModel
    clip: open_clip.CLIP

    def modules(self) -> tuple[nn.Module, ...]:
        return self.unet, self.text, self.clip.visual, _Projection(self.clip)


class _Projection(nn.Module):
    """The CLIP's own two loose parameters."""

    def __init__(self, clip: open_clip.CLIP) -> None:
        super().__init__()
        self.text_projection, self.logit_scale = clip.text_projection, clip.logit_scale


def new_joint(seed: int, device: torch.device) -> Joint:
    torch.manual_seed(seed)
    joint = Joint(architecture.unet(), architecture.text_encoder(), architecture.clip())
    parts: Any = joint  # torch's hints know no `to` with both a device and a memory format
    parts.unet.to(device, memory_format=torch.channels_last).train()
    parts.text.to(device).train()
    parts.clip.to(device, memory_format=torch.channels_last).train()
    return joint


def agree(labels: Tensor, tells: Tensor) -> Tensor:
    """(N captions, M pictures) bool: nothing that the caption tells is wrong of the picture."""
    wrong = tells[:, None, :].bool() & (labels[:, None, :] != labels[None, :, :])
    return ~wrong.any(2)


def _clip_loss(picture: Tensor, text: Tensor, fits: Tensor, scale: Tensor) -> Tensor:
    """Contrastive in both directions; every pair that fits shares the target (brief captions fit many pictures)."""
    logits = (
        scale.exp().clamp(max=100)
        * functional.normalize(text.float(), dim=1)
        @ functional.normalize(picture.float(), dim=1).T
    )
    target = fits.float()
    rows = -(target / target.sum(1, keepdim=True) * functional.log_softmax(logits, 1)).sum(1).mean()
    columns = -(target / target.sum(0, keepdim=True) * functional.log_softmax(logits, 0)).sum(0).mean()
    return (rows + columns) / 2


Denoise = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Clean latents (N, 4, 16, 16), noise, time steps (N,), token ids (N, 77) -> loss."""


def denoising(joint: Joint, budget: Budget) -> Denoise:
    """The error of the predicted noise, with min-SNR weights (gamma 5, 2303.09556)."""
    device = next(joint.unet.parameters()).device
    kept = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, device=device).square()
    kept = torch.cumprod(1 - kept, 0)
    weights = torch.clamp(5 * (1 - kept) / kept, max=1.0)

    def loss(x: Tensor, noise: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        a = kept[t][:, None, None, None]
        noisy = a.sqrt() * x + (1 - a).sqrt() * noise
        hidden = joint.text(ids).last_hidden_state
        out = joint.unet(noisy.contiguous(memory_format=torch.channels_last), t, hidden).sample.float()
        error: Tensor = ((out - noise).square().mean((1, 2, 3)) * weights[t]).mean()
        return error

    return torch.compile(loss) if budget.compiled else loss


def precompile(budget: Budget, seed: int) -> None:
    """Compile the joint stage's step once, ahead of time in another process: the compiler's cache keeps the result."""
    device = torch.device("cuda")
    run = denoising(new_joint(seed, device), budget)
    x = torch.randn((budget.batch, 4, 16, 16), device=device)
    t = torch.zeros(budget.batch, dtype=torch.long, device=device)
    with _autocast(device):
        loss = run(x, torch.randn_like(x), t, torch.zeros((budget.batch, 77), dtype=torch.long, device=device))
    loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints


def train_joint(
    joint: Joint,
    rows: Rows,
    latents: Tensor,
    budget: Budget,
    seed: int,
    on_checkpoint: Callable[[int], None],
    every: int,
    clip_share: float = 0.03,
    clip_batch: int = 384,
    until: float = math.inf,
) -> None:
    """Noise prediction with caption dropout 0.1, and every second step the CLIP loss beside it.

    `on_checkpoint(step)` is called with the averaged weights in place, every `every` steps and at the end.
    """
    device = rows.device
    generator = torch.Generator(device).manual_seed(seed)
    average = Average(*joint.modules(), decay=0.9992)
    slow = list(joint.text.parameters())
    fast = [p for module in (joint.unet, joint.clip.visual, _Projection(joint.clip)) for p in module.parameters()]
    optimiser = torch.optim.AdamW(
        [{"params": fast, "part": 1.0, "weight_decay": 0.01}, {"params": slow, "part": 0.6, "weight_decay": 0.0}],
        lr=budget.rate,
        betas=(0.9, 0.99),
        fused=device.type == "cuda",
    )
    labels = rows.columns["labels"][:, : len(FIELDS)]
    silence = torch.full((77,), END_TOKEN, dtype=torch.long, device=device)
    silence[0] = START_TOKEN
    choice = torch.tensor([0.27, 0.27, 0.26, 0.1, 0.1], device=device)
    mean, spread = _clip_normalisation(device)

    def captions(index: Tensor, which: Tensor) -> Tensor:
        ids = torch.full((len(index), 77), END_TOKEN, dtype=torch.long, device=device)
        short = rows.columns["tokens"][index, which].long()
        ids[:, : short.shape[1]] = short
        return ids

    def match_loss(x: Tensor, ids: Tensor, fits: Tensor) -> Tensor:
        picture = joint.clip.visual((((x + 1) / 2 - mean) / spread).contiguous(memory_format=torch.channels_last))
        pooled = joint.text(ids).pooler_output @ joint.clip.text_projection
        return _clip_loss(picture, pooled, fits, joint.clip.logit_scale)

    run = denoising(joint, budget)
    started = time.monotonic()
    pace = Pace(budget, until)
    step = -1
    while (step := step + 1) < budget.steps:
        index = torch.randint(rows.count, (budget.batch,), generator=generator, device=device)
        which = torch.multinomial(choice, budget.batch, replacement=True, generator=generator)
        ids = captions(index, which)
        ids[torch.rand(budget.batch, generator=generator, device=device) < 0.1] = silence
        x = latents[index].float()
        noise = torch.randn(x.shape, generator=generator, device=device)
        # A little noise in the mean keeps dark and bright pictures in reach (the schedule never ends in pure noise).
        noise = noise + 0.06 * torch.randn((budget.batch, 4, 1, 1), generator=generator, device=device)
        t = torch.randint(1000, (budget.batch,), generator=generator, device=device)
        for group in optimiser.param_groups:
            group["lr"] = group["part"] * schedule(step, budget, 500)
        with _autocast(device):
            loss = run(x, noise, t, ids)
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
        if step % 2 == 0:
            index = torch.randint(rows.count, (clip_batch,), generator=generator, device=device)
            which = torch.randint(5, (clip_batch,), generator=generator, device=device)
            pixels = rows.pixels(index)
            shift = torch.randint(-5, 6, (2,), generator=generator, device=device).tolist()
            pixels = torch.roll(pixels, shift, (2, 3))
            fits = agree(labels[index], rows.columns["tells"][index, which])
            with _autocast(device):
                match = match_loss(pixels, captions(index, which), fits)
            if step % 1000 == 0:
                before = _norm(joint.text)
            (clip_share * match).backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
            if step % 1000 == 0:
                log.info("text gradient: denoising %.4f, with matching %.4f", before, _norm(joint.text))
        torch.nn.utils.clip_grad_norm_(list(joint.unet.parameters()), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update()
        budget = pace.after(step, loss)
        if step % 200 == 0 or step == budget.steps - 1:
            log.info(
                "joint %5d denoising %.4f matching %.4f %.0fs",
                step,
                loss.item(),
                match.item(),
                time.monotonic() - started,
            )
        if (step + 1) % every == 0 or step == budget.steps - 1:
            average.swap()
            on_checkpoint(step + 1)
            average.swap()
    average.swap()
    with torch.no_grad():
        state = open_clip_text_state(joint.text.state_dict())
        joint.clip.load_state_dict(state, strict=False)


def _norm(module: nn.Module) -> float:
    return float(sum(p.grad.float().square().sum() for p in module.parameters() if p.grad is not None) ** 0.5)


def _clip_normalisation(device: torch.device) -> tuple[Tensor, Tensor]:
    shape = (1, 3, 1, 1)
    mean, spread = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    return torch.tensor(mean, device=device).view(shape), torch.tensor(spread, device=device).view(shape)


@torch.no_grad()
def sample(
    unet: UNet2DConditionModel,
    text: CLIPTextModel,
    vae: AutoencoderKL,
    prompts: list[str],
    steps: int,
    guidance: float,
    seed: int,
) -> Tensor:
    """Pictures for the prompts by DDIM with guidance, (N, 128, 128, 3) uint8. Noise is the CPU's, prompt by prompt."""
    device = next(unet.parameters()).device
    scheduler = DDIMScheduler.from_config(architecture.SCHEDULER)
    scheduler.set_timesteps(steps)
    ids = architecture.tokenise([*prompts, *[""] * len(prompts)]).to(device)
    noise = [torch.randn((4, 16, 16), generator=torch.Generator().manual_seed(seed + i)) for i in range(len(prompts))]
    x = torch.stack(noise).to(device)
    with _autocast(device):
        hidden = text(ids).last_hidden_state
        for t in scheduler.timesteps:
            with_text, without = unet(torch.cat([x, x]), t.to(device), hidden).sample.float().chunk(2)
            x = scheduler.step(without + guidance * (with_text - without), t, x).prev_sample
        config: Any = vae.config
        out = vae.decode(x / config.scaling_factor).sample.float()
    pictures: Tensor = ((out.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()
    return pictures
