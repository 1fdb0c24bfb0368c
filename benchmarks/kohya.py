"""The training step of kohya-ss/sd-scripts, out of a checkout of it: ``fast_step``'s way ``kohya``.

It is what their ``train_network.py`` does from one batch to the next, by their own U-Net, LoRA network, noise, loss and
accelerator, as ``--network_train_unet_only --sdpa --cache_latents --mixed_precision bf16`` has it, and on the attention
alone as the other ways. Left out are loading data, the text encoder (theirs runs in every step), the progress bar and
saving, and AdamW is fused as ours: a figure kinder to them than a whole run.

Of what they require, these are not here anyway: ``einops``, ``imagesize``, ``opencv-python-headless``, ``toml`` and
``voluptuous``.
"""

import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

ARGUMENTS = [
    *("--network_module=networks.lora", "--network_dim=8", "--network_alpha=8", "--network_train_unet_only"),
    *("--sdpa", "--cache_latents", "--optimizer_type=AdamW", "--learning_rate=1e-4", "--lr_scheduler=constant"),
]
"""As on their command line; what isn't named is as they have it, gradients shortened to 1.0 among it."""
ATTENTION = ["CrossAttention"]
"""Their class of both kinds of attention: its linear layers are to_q, to_k, to_v and to_out.0."""
LAYERS = 128
"""Of SD1.5, which the other ways adapt."""

Stepping = Callable[[torch.Tensor, torch.Tensor], Callable[[], float]]
"""Latents (B, 4, H, W) and text (B, 77, C) on the device to a step over them, which returns its loss."""


@contextmanager
def training(checkout: Path, unet: UNet2DConditionModel) -> Iterator[Stepping]:
    """A fresh LoRA network of theirs on a U-Net of theirs that shares the weights of ``unet``, SD1.5 at full size."""
    script, networks = _scripts(checkout)
    util, trainer = script.train_util, script.NetworkTrainer()
    card = unet.device.type == "cuda"
    wanted = ["--mixed_precision=bf16", "--optimizer_args", "fused=True"] if card else ["--mixed_precision=no"]
    args = script.setup_parser().parse_args([*ARGUMENTS, *wanted])

    # From here on in the order of NetworkTrainer.train.
    accelerator = util.prepare_accelerator(args)
    if accelerator.device.type != unet.device.type:
        raise RuntimeError(f"theirs would run on {accelerator.device}, the weights are on {unet.device}")
    weight_dtype, _ = util.prepare_dtype(args)
    theirs = _sharing(util.UNet2DConditionModel, unet)
    util.replace_unet_modules(theirs, args.mem_eff_attn, args.xformers, args.sdpa)
    networks.LoRANetwork.UNET_TARGET_REPLACE_MODULE = ATTENTION
    network = networks.create_network(
        1.0, args.network_dim, args.network_alpha, None, [], theirs, neuron_dropout=args.network_dropout
    )
    if len(network.unet_loras) != LAYERS:
        raise RuntimeError(f"theirs adapts {len(network.unet_loras)} layers")
    network.apply_to([], theirs, trainer.is_train_text_encoder(args), True)
    trained, _ = network.prepare_optimizer_params(args.text_encoder_lr, args.unet_lr, args.learning_rate)
    _, _, optimizer = util.get_optimizer(args, trained)
    lr_scheduler = util.get_scheduler_fix(args, optimizer, accelerator.num_processes)
    theirs.requires_grad_(False)
    theirs.to(dtype=weight_dtype)
    theirs = trainer.prepare_unet_with_accelerator(args, accelerator, theirs)
    network, optimizer, lr_scheduler = accelerator.prepare(network, optimizer, lr_scheduler)
    theirs.eval()
    accelerator.unwrap_model(network).prepare_grad_etc([], theirs)
    noise_scheduler = trainer.get_noise_scheduler(args, accelerator.device)
    accelerator.unwrap_model(network).on_epoch_start([], theirs)
    recorder = util.LossRecorder()

    def stepping(latents: torch.Tensor, states: torch.Tensor) -> Callable[[], float]:
        batch = {
            "latents": latents,
            "text_encoder_outputs_list": [states],
            "loss_weights": torch.ones(len(latents), device=latents.device),
        }
        models: tuple[Any, ...] = ([], theirs, network, None, noise_scheduler, None, weight_dtype, accelerator, args)

        def step() -> float:
            with accelerator.accumulate(network):
                loss = trainer.process_batch(batch, *models, None, None, train_text_encoder=False)
                accelerator.backward(loss)
                trainer.all_reduce_network(accelerator, network)
                clipped = accelerator.unwrap_model(network).get_trainable_params()
                accelerator.clip_grad_norm_(clipped, args.max_grad_norm)
                optimizer.step()
                lr_scheduler.step()
                optimizer.zero_grad(set_to_none=True)
            said: float = loss.detach().item()  # theirs waits for it in every step too
            recorder.add(epoch=0, step=0, loss=said)
            return said

        return step

    try:
        yield stepping
    finally:
        accelerator.free_memory()


def _scripts(checkout: Path) -> tuple[Any, Any]:
    """Their ``train_network`` and ``networks.lora``."""
    from transformers import CLIPImageProcessor

    if not (checkout / "train_network.py").is_file():
        raise FileNotFoundError(f"no checkout of kohya-ss/sd-scripts: {checkout}")
    # Last, since theirs has folders called tests and tools too.
    if str(checkout) not in sys.path:
        sys.path.append(str(checkout))
    logging.basicConfig(level=logging.WARNING)  # else theirs sets it up, and tells everything
    # Their sampling, which no step needs, still asks for the name that transformers 5 has dropped.
    package: Any = sys.modules["transformers"]
    package.CLIPFeatureExtractor = CLIPImageProcessor
    return importlib.import_module("train_network"), importlib.import_module("networks.lora")


def _sharing(kind: Any, unet: UNet2DConditionModel) -> Any:
    """Their U-Net of that class with the very weights of ``unet``: a second copy would be in the peak of memory."""
    config: Any = unet.config
    with torch.device("meta"):
        theirs = kind(
            config.sample_size,
            config.attention_head_dim,
            config.cross_attention_dim,
            config.use_linear_projection,
            config.upcast_attention,
        )
    theirs.load_state_dict(unet.state_dict(), assign=True)
    return theirs
