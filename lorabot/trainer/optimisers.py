"""The optimisers that a recipe can ask for, with what each remembers in a form that can be saved and gone on from."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch

from lorabot.presets import OptimiserName, Recipe

Moments = dict[str, dict[str, torch.Tensor]]
"""What an optimiser remembers, on the CPU: by parameter name, and as ``group.N`` what it knows of a group as a whole.

A tensor without dimensions of float64 or int64 stands for a number of Python's: no optimiser has such tensors itself.
"""

WEIGHT_DECAY = 0.01
"""Decoupled, relative to the rate: torch's own for AdamW, here for all, so that an optimiser alone can be compared."""

_LEARNT: Mapping[OptimiserName, tuple[str, ...]] = {
    "adamw": (),
    "adamw8bit": (),
    "prodigy": ("d", "d_max", "d_numerator", "k"),
    "schedule-free": ("k", "lr_max", "weight_sum"),
}
"""What an optimiser finds out about a group while it goes."""


_REMEMBERED: Mapping[OptimiserName, int] = {"adamw": 8, "adamw8bit": 2, "prodigy": 16, "schedule-free": 8}
"""Bytes that an optimiser remembers of each number that is learnt."""


def moments_bytes(name: OptimiserName, numbers: int) -> int:
    """What the optimiser remembers of so many ``numbers``, in bytes."""
    return _REMEMBERED[name] * numbers


def has_8bit(device: str) -> bool:
    """Whether AdamW can keep its moments in 8 bits on ``device``: with a card, and the package bitsandbytes."""
    return device.startswith("cuda") and find_spec("bitsandbytes") is not None


class Optimiser:
    """An optimiser over the adapter's parameters, which knows their rates.

    The UNet's parameters have the peak rate ``unet_lr``, a text encoder's ``text_encoder_lr``; up matrices learn
    ``lora_plus`` times as fast (LoRA+, arXiv 2402.12354). Equal rates share a group, the UNet's first.
    """

    def __init__(self, name: OptimiserName, recipe: Recipe, trained: Sequence[tuple[str, torch.nn.Parameter]]) -> None:
        self._name = name
        self._trained = trained
        groups: dict[float, list[torch.nn.Parameter]] = {}
        for parameter_name, parameter in trained:
            groups.setdefault(_peak(parameter_name, recipe), []).append(parameter)
        self._peaks = tuple(groups)
        self._inner = _make(
            name, [{"params": members, "lr": peak, "weight_decay": WEIGHT_DECAY} for peak, members in groups.items()]
        )

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for _, parameter in self._trained]

    def set_rate(self, share: float) -> float:
        """Let the next step have ``share`` of every peak rate. Returns the rate of the first group, the UNet's.

        Prodigy's is what it estimates at this moment; the peak is only a factor of it.
        """
        for group, peak in zip(self._inner.param_groups, self._peaks, strict=True):
            group["lr"] = peak * share
        first = self._inner.param_groups[0]
        rate: float = first["lr"] * first.get("d", 1.0)
        return rate

    @property
    def can_skip(self) -> bool:
        """Whether ``step`` takes ``skipped``: torch's own fused AdamW does."""
        return self._name == "adamw"

    def step(self, skipped: torch.Tensor | None = None) -> None:
        """Learn from the gradients; where memory runs out, nothing was learnt.

        ``skipped``: 1.0 where nothing is to be learnt after all, else 0.0, float32; what only the device knows yet need
        not be waited for.

        The first step allocates all that is remembered. What the later ones need for a moment is less than the backward
        pass before them has let go of.
        """
        inner: Any = self._inner
        inner.found_inf = skipped  # as torch's GradScaler tells a fused optimiser
        if self._inner.state:
            self._inner.step()
            return
        before = [parameter.detach().clone() for parameter in self.parameters]
        groups = [{**group} for group in self._inner.param_groups]
        try:
            self._inner.step()
        except Exception:
            with torch.no_grad():
                for parameter, value in zip(self.parameters, before, strict=True):
                    parameter.copy_(value)
            for group, was in zip(self._inner.param_groups, groups, strict=True):
                group.update(was)
            self._inner.state.clear()
            raise

    def zero_grad(self) -> None:
        self._inner.zero_grad(set_to_none=True)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The parameters as they are to be used and kept.

        Schedule-free trains at other points than those it has found: inside the block, the parameters are their mean
        (arXiv 2405.15682). Afterwards they are to the last bit what they were, so that looking on changes no training.
        """
        inner: Any = self._inner
        if self._name != "schedule-free":
            yield
            return
        before = [parameter.detach().clone() for parameter in self.parameters]
        try:
            inner.eval()
            yield
        finally:
            inner.train()
            with torch.no_grad():
                for parameter, value in zip(self.parameters, before, strict=True):
                    parameter.copy_(value)

    def moments(self) -> Moments:
        """A copy of all that is remembered; nothing of a parameter that no step was good for yet."""
        state = dict(self._inner.state)
        kept = {name: _packed(state[parameter]) for name, parameter in self._trained if state.get(parameter)}
        for number, group in enumerate(self._inner.param_groups):
            if learnt := {key: group[key] for key in _LEARNT[self._name]}:
                kept[f"group.{number}"] = _packed(learnt)
        return kept

    def restore(self, moments: Moments) -> None:
        """Go on from a copy of ``moments``; the parameters are what they were when these were taken.

        Where memory runs out, none of them was restored.
        """
        state: dict[torch.Tensor, dict[str, Any]] = {
            parameter: _unpacked(moments[name], parameter.device)
            for name, parameter in self._trained
            if name in moments
        }
        for number, group in enumerate(self._inner.param_groups):
            group.update(_unpacked(moments.get(f"group.{number}", {}), torch.device("cpu")))
        self._inner.state.update(state)


def _peak(name: str, recipe: Recipe) -> float:
    rate = recipe.unet_lr if name.startswith("unet.") else recipe.text_encoder_lr
    return rate * recipe.lora_plus if ".lora_B." in name else rate


def _make(name: OptimiserName, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    made: Any
    match name:
        case "adamw":
            return torch.optim.AdamW(groups, fused=True)
        case "adamw8bit":
            from bitsandbytes.optim import AdamW8bit

            made = AdamW8bit(groups)
        case "prodigy":
            from prodigyopt import Prodigy

            prodigy: Any = Prodigy  # has no types
            # As its authors advise for diffusion models, with the safeguard for schedules that begin with a rise. That
            # one makes the estimate's growth slower, and trainings here are short: begun ten times higher than usual,
            # still far below every rate for a LoRA, it is found after 70 steps instead of 100.
            made = prodigy(groups, d0=1e-5, use_bias_correction=True, safeguard_warmup=True)
        case "schedule-free":
            from schedulefree import AdamWScheduleFree

            made = AdamWScheduleFree(groups)
            made.train()
    return made  # type: ignore[no-any-return]


def _packed(values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    return {
        key: value.detach().to("cpu", copy=True)
        if isinstance(value, torch.Tensor)
        else torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64)
        for key, value in values.items()
    }


def _unpacked(values: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, Any]:
    return {
        key: value.item()
        if value.ndim == 0 and value.dtype in (torch.float64, torch.int64)
        else torch.empty_like(value, device=device).copy_(value)  # saved ones stay as they are, for another try
        for key, value in values.items()
    }
