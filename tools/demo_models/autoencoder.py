"""Trains the autoencoder, and turns pictures into latents with it."""

import json
import logging
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tools.demo_models import architecture
from tools.demo_models.stepping import Average, Optimiser, Rows, Span, autocast, captured

log = logging.getLogger("demo_models")
PEAK, BATCH, WARM_UP = 1.2e-3, 64, 300


def _strange_colours(x: Tensor) -> Tensor:
    """Channels swapped, pictures mirrored, brightened or inverted: an autoencoder must know more than its world."""

    def roll() -> Tensor:
        return torch.rand(len(x), 1, 1, 1, device=x.device)

    shuffled = x[:, torch.rand(3, device=x.device).argsort()]
    x = torch.where(roll() < 0.12, shuffled, x)
    x = torch.where(roll() < 0.5, x.flip(3), x)
    x = torch.where(roll() < 0.06, -x, x)
    gain = torch.where(roll() < 0.12, 0.55 + 0.75 * roll(), torch.ones_like(roll()))
    shift = torch.where(roll() < 0.12, 0.5 * (roll() - 0.5), torch.zeros_like(roll()))
    return (x * gain + shift).clamp(-1, 1)


def _edges(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


class _Pass(nn.Module):
    """Pictures through the autoencoder, by way of a random draw."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        moments = self.vae.quant_conv(self.vae.encoder(x))
        mean, spread = moments.float().chunk(2, dim=1)
        spread = spread.clamp(-12, 6)
        latents = mean + torch.exp(0.5 * spread) * noise
        return self.vae.decoder(self.vae.post_quant_conv(latents)).float(), mean, spread


def train_autoencoder(rows: Rows, span: Span, seed: int, batch: int = BATCH, compiled: bool = False) -> AutoencoderKL:
    """L1 and squared error, the same on edges, and a light pull to a standard normal; decoded from noisy latents."""
    device = rows.device
    torch.manual_seed(seed)
    vae: Any = architecture.vae()
    vae = vae.to(device, memory_format=torch.channels_last).train()
    parameters = list(vae.parameters())
    average = Average(parameters, decay=0.998)
    optimiser = Optimiser([(parameters, 1.0, 1e-3)], beta=0.98)
    squared_error = torch.zeros((), device=device)
    run_through: Any = torch.compile(_Pass(vae)) if compiled else _Pass(vae)
    side = architecture.LATENT_SIDE

    def step_once() -> Tensor:
        x = _strange_colours(rows.pixels(rows.choose(batch))).contiguous(memory_format=torch.channels_last)
        noise = torch.randn(batch, architecture.LATENT_CHANNELS, side, side, device=device)
        with autocast(device):
            out, mean, spread = run_through(x, noise)
        error = out - x
        grown, plain = _edges(out), _edges(x)
        edge = (grown[0] - plain[0]).abs().mean() + (grown[1] - plain[1]).abs().mean()
        divergence = 0.5 * (mean.square() + spread.exp() - 1 - spread).mean()
        squared = error.square().mean()
        loss: Tensor = error.abs().mean() + 8 * squared + 0.35 * edge + 5e-5 * divergence
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=device.type == "cuda")
        optimiser.step()
        average.update()
        squared_error.copy_(squared.detach())
        return loss.detach()

    rows.more(4 * batch)
    (run,) = captured([step_once], optimiser)
    average.restart()
    step = -1
    while not span.over(step := step + 1):
        optimiser.set_rate(span.rate(PEAK, step, WARM_UP))
        run()
        if step % 100 == 0:
            known = rows.more()
        if step % 1000 == 0:
            decibel = 10 * torch.log10(4 / squared_error).item()
            log.info("autoencoder %5d psnr %.2f rows %d", step, decibel, known)
    average.swap()
    log.info("autoencoder: %d steps of %d, psnr %.2f", step, batch, 10 * torch.log10(4 / squared_error).item())
    trained: AutoencoderKL = vae.eval()
    return trained


@torch.no_grad()
def latents_of(vae: AutoencoderKL, pixels: Tensor) -> Tensor:
    """Latent means of pictures (N, 3, 128, 128) in -1..1, not scaled, (N, 4, 16, 16) float32."""
    open_vae: Any = vae  # diffusers leaves its parts open
    with autocast(pixels.device):
        moments = open_vae.quant_conv(open_vae.encoder(pixels.contiguous(memory_format=torch.channels_last)))
    means: Tensor = moments.float().chunk(2, dim=1)[0]
    return means


def settle_scale(vae: AutoencoderKL, rows: Rows, count: int = 8192) -> None:
    """Write the factor that brings latents to unit deviation into the configuration."""
    open_vae: Any = vae
    known = min(count, rows.more())
    index: Any = torch.arange(known, device=rows.device)  # torch gives `split` no hints
    latents = torch.cat([latents_of(vae, rows.pixels(part)) for part in index.split(256)])
    open_vae.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
    log.info("latents: factor %.4f, means %s", open_vae.config.scaling_factor, latents.mean((0, 2, 3)).tolist())


def save(vae: AutoencoderKL, path: Path) -> None:
    """Write the weights and the factor for the other processes; the file is there when it is whole."""
    config: Any = vae.config
    state = {key: value.detach().cpu().contiguous() for key, value in vae.state_dict().items()}
    part = path.with_suffix(".part")
    save_file(state, part, metadata={"scaling_factor": json.dumps(config.scaling_factor)})
    part.replace(path)


def load(path: Path, device: torch.device) -> AutoencoderKL:
    """What `save` wrote."""
    from safetensors import safe_open

    vae: Any = architecture.vae()
    vae.load_state_dict(load_file(path))
    with safe_open(path, "pt") as file:
        vae.register_to_config(scaling_factor=json.loads(file.metadata()["scaling_factor"]))
    loaded: AutoencoderKL = vae.to(device, memory_format=torch.channels_last).eval()
    return loaded
