"""Stage: decides how an attempt trains: batch, steps, precision, what is held out, when to look. Each with a reason."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from lorabot.locale import Message, Param
from lorabot.presets import OptimiserName, Recipe, ScheduleName
from lorabot.trainer.adapter import effective_alpha
from lorabot.trainer.buckets import MOST_UPSCALED, Filled, Sorted, filled
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.devices import MIB, Card
from lorabot.trainer.errors import OutOfMemory
from lorabot.trainer.memory import DoesNotFit, Fitted, Fitting
from lorabot.trainer.optimisers import has_8bit

Precision = Literal["fp32", "bf16"]

HOLD_OUT_FROM = 10
"""With fewer images than this, holding some out hurts more than it tells (shared experience of practitioners)."""
_HELD_SHARE, _HELD_LEAST, _HELD_MOST = 0.1, 2, 8


Fit = Callable[[int], Fitted]
"""How a step of so many rows is best done here. Raises ``DoesNotFit`` where none can be."""


@dataclass(frozen=True, slots=True)
class Split:
    """Indices of the images that are trained on and of those only used to measure, each sorted."""

    training: tuple[int, ...]
    held_out: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where the attempt runs. ``device`` is torch's name for it, ``name`` the people's; ``card`` only with CUDA.

    ``holders`` says who else holds memory of the card; ``hidden`` is what programs hold that can't be named, in bytes.
    """

    device: str
    name: str
    precision: Precision
    card: Card | None = None
    holders: str = ""
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided. A step learns from ``rows`` rows, of which ``batch`` go through the model at once.

    ``preserved`` of a step's rows hold on to what the base draws by itself; the others are images.
    ``buckets``: the sizes they are trained at. ``checkpointing``, ``offloading``: see ``Fitting``. ``peak_bytes``: the
    most that is expected to be held of the card at any time; None without one.
    ``estimate_s`` is the time of the training steps alone, ``step_s`` what the probe measured for one of them.
    ``sample_at`` and ``validate_at`` are steps done; ``restarts`` counts only with that schedule. ``alpha`` is the
    effective one: divided by the rank, it is the scale of the update. ``reasons`` says why, in the order to be read.
    """

    device: str
    device_name: str
    precision: Precision
    resolution: int
    batch: int
    rows: int
    steps: int
    warmup_steps: int
    learning_rate: float
    optimiser: OptimiserName
    schedule: ScheduleName
    restarts: int
    rank: int
    alpha: float
    split: Split
    sample_at: tuple[int, ...]
    validate_at: tuple[int, ...]
    step_s: float
    estimate_s: float
    reasons: tuple[Message, ...]
    preserved: int = 0
    buckets: tuple[Filled, ...] = ()
    checkpointing: bool = False
    offloading: bool = False
    peak_bytes: int | None = None

    @property
    def accumulation(self) -> int:
        """How many times something goes through the model in a step."""
        return math.ceil(self.rows / self.batch)

    @property
    def fitting(self) -> Fitting:
        return Fitting(self.batch, self.checkpointing, self.offloading)

    @property
    def effective_batch(self) -> int:
        """Images a step."""
        return self.rows - self.preserved


def plan(
    recipe: Recipe,
    sorted_in: Sorted,
    seed: int,
    hardware: Hardware,
    config: TrainerConfig,
    fit: Fit,
    file_bytes: int,
) -> Plan:
    """The plan for images ``sorted_in`` buckets on ``hardware``, for a file of ``file_bytes``.

    Raises ``OutOfMemory`` when not even one image fits.
    """
    preserved = recipe.preserve.rows if recipe.preserve else 0
    rows = recipe.batch + preserved
    fitted = _fitted(rows, hardware, fit)
    steps = math.ceil(recipe.views / recipe.batch)
    made = Plan(
        device=hardware.device,
        device_name=hardware.name,
        precision=hardware.precision,
        resolution=recipe.resolution,
        batch=fitted.fitting.batch,
        rows=rows,
        steps=steps,
        warmup_steps=min(math.ceil(recipe.warmup * steps), steps - 1),
        learning_rate=recipe.unet_lr,
        optimiser=chosen_optimiser(recipe.optimiser, hardware.device),
        schedule=recipe.schedule,
        restarts=recipe.restarts,
        rank=recipe.rank,
        alpha=effective_alpha(recipe),
        split=hold_out(len(sorted_in.buckets), seed),
        sample_at=_spread(steps, config.sample_rounds + 1)[:-1],
        validate_at=_spread(steps, config.validations),
        step_s=fitted.step_s,
        estimate_s=steps * fitted.step_s,
        reasons=(),
        preserved=preserved,
        buckets=filled(sorted_in.buckets),
        checkpointing=fitted.fitting.checkpointing,
        offloading=fitted.fitting.offloading,
        peak_bytes=fitted.peak,
    )
    reasons = [
        *_on_card(hardware),
        Message("plan-resolution", {"resolution": made.resolution}),
        *_on_buckets(sorted_in, made.resolution),
        _on_steps(made, recipe),
        *_on_fitting(fitted, rows, recipe.checkpointing),
        _precision(hardware),
        _on_rate(made, recipe),
        Message("plan-file", {"megabytes": megabytes(file_bytes), "precision": recipe.save_precision}),
        *_on_learning(recipe, made.optimiser, hardware.device),
        _on_holding_out(made.split),
        Message("plan-estimate", {"seconds": round(made.estimate_s), "step_ms": round(1000 * made.step_s)}),
    ]
    if recipe.preserve:
        reasons.append(Message("plan-preserved", {"rows": preserved, "pictures": recipe.preserve.pictures}))
    if recipe.text_encoder_lr > 0:
        reasons.append(Message("plan-text-encoder", {"rate": f"{recipe.text_encoder_lr:.1e}"}))
    return replace(made, reasons=tuple(reasons))


def _on_card(hardware: Hardware) -> Iterator[Message]:
    """Which card it is, how much of it is free, and who has the rest."""
    if hardware.card is None:
        return
    free, total = hardware.card.free // MIB, hardware.card.total // MIB
    yield Message("plan-card", {"free": free, "total": total, "card": hardware.card.name})
    if hardware.holders:
        yield Message("plan-card-shared", {"holders": hardware.holders})


def _on_steps(made: Plan, recipe: Recipe) -> Message:
    each = round(made.steps * recipe.batch / len(made.split.training))
    return Message("plan-steps", {"views": recipe.views, "batch": recipe.batch, "steps": made.steps, "each": each})


def _on_rate(made: Plan, recipe: Recipe) -> Message:
    params: dict[str, Param] = {
        "rate": f"{made.learning_rate:.1e}",
        "warmup": made.warmup_steps,
        "schedule": made.schedule,
        "restarts": made.restarts,
        "rank": made.rank,
        "alpha": f"{recipe.alpha:g}",
        "scale": f"{made.alpha / made.rank:g}",
    }
    return Message("plan-rate", params)


def _on_holding_out(split: Split) -> Message:
    if split.held_out:
        return Message("plan-held-out", {"count": len(split.held_out)})
    return Message("plan-none-held-out", {"images": len(split.training), "least": HOLD_OUT_FROM})


def _on_buckets(sorted_in: Sorted, resolution: int) -> list[Message]:
    """What is to be said where not every image is trained as a square of the whole resolution."""
    said = []
    buckets = filled(sorted_in.buckets)
    if any((each.width, each.height) != (resolution, resolution) for each in buckets):
        largest = f"{buckets[0].width} x {buckets[0].height}"
        said.append(Message("plan-buckets", {"count": len(buckets), "largest": largest, "images": buckets[0].count}))
    if enlarged := len(sorted_in.enlarged):
        said.append(Message("plan-enlarged", {"count": enlarged, "most": f"{MOST_UPSCALED:g}"}))
    return said


def moved(made: Plan, hardware: Hardware, fit: Fit) -> Plan:
    """``made`` for going on with on ``hardware``: what is learnt stays the same, what fits may have changed.

    On a card it may have changed on the same one too. Raises ``OutOfMemory`` when not even one image fits.
    """
    optimiser = chosen_optimiser(made.optimiser, hardware.device)
    stays = (made.device_name, made.precision, made.optimiser) == (hardware.name, hardware.precision, optimiser)
    if stays and hardware.card is None:
        return replace(made, device=hardware.device)
    fitted = _fitted(made.rows, hardware, fit)
    now = fitted.fitting
    said = [
        each for each in made.reasons if not each.code.startswith(("plan-fast", "plan-plain-"))
    ]  # it may be another
    if not stays or now != made.fitting:
        said.append(Message("plan-moved", {"device": hardware.name, "batch": now.batch}))
    if now.checkpointing and not made.checkpointing:
        said.append(Message("plan-checkpointing-fits"))
    if now.offloading and not made.offloading:
        said.append(Message("plan-offloading"))
    if optimiser != made.optimiser:
        said.append(Message("plan-optimiser-no-8bit"))
    return replace(
        made,
        device=hardware.device,
        device_name=hardware.name,
        precision=hardware.precision,
        optimiser=optimiser,
        batch=now.batch,
        checkpointing=now.checkpointing,
        offloading=now.offloading,
        peak_bytes=fitted.peak,
        step_s=fitted.step_s,
        reasons=tuple(said),
    )


def megabytes(size: int) -> str:
    """``size`` bytes for people to read: ``9.4``."""
    return f"{size / 1e6:.1f}"


def _precision(hardware: Hardware) -> Message:
    if hardware.card is not None and hardware.precision == "fp32":
        return Message("plan-precision-no-bf16", {"device": hardware.name})
    return Message(f"plan-precision-{hardware.precision}", {"device": hardware.name})


def chosen_optimiser(wanted: OptimiserName, device: str) -> OptimiserName:
    """What can take the place of the optimiser ``wanted`` where it can't be had: 8 bits only save memory."""
    return "adamw" if wanted == "adamw8bit" and not has_8bit(device) else wanted


def _on_learning(recipe: Recipe, optimiser: OptimiserName, device: str) -> list[Message]:
    """What is to be said about options that differ from the usual ones."""
    said = []
    if optimiser != recipe.optimiser:
        said.append(Message("plan-optimiser-no-8bit"))
    elif optimiser != "adamw":
        said.append(Message(f"plan-optimiser-{optimiser}"))
    if recipe.lora_plus != 1:
        said.append(Message("plan-lora-plus", {"ratio": f"{recipe.lora_plus:g}"}))
    if recipe.rank_stabilised:
        said.append(Message("plan-rank-stabilised"))
    if recipe.dora:
        said.append(Message("plan-dora"))
    if recipe.dropout > 0:
        said.append(Message("plan-dropout", {"percent": round(100 * recipe.dropout)}))
        if device == "cpu":
            said.append(Message("plan-dropout-plain"))
    if recipe.loss == "huber":
        said.append(Message("plan-loss-huber", {"delta": f"{recipe.huber_delta:g}"}))
    if recipe.timestep_bias != "none":
        said.append(Message(f"plan-timesteps-{recipe.timestep_bias}"))
    if recipe.zero_terminal_snr:
        said.append(Message("plan-zero-terminal-snr"))
    return said


def hold_out(images: int, seed: int) -> Split:
    """A tenth of the images, at least 2 and at most 8, chosen by ``seed``; none of fewer than ten."""
    count = 0
    if images >= HOLD_OUT_FROM:
        count = min(max(round(images * _HELD_SHARE), _HELD_LEAST), _HELD_MOST)
    held = sorted(random.Random(seed).sample(range(images), count))  # noqa: S311
    return Split(tuple(index for index in range(images) if index not in held), tuple(held))


def _fitted(rows: int, hardware: Hardware, fit: Fit) -> Fitted:
    try:
        return fit(rows)
    except DoesNotFit:
        raise OutOfMemory(hardware.holders) from None


def _on_fitting(fitted: Fitted, rows: int, checkpointing: bool) -> Iterator[Message]:
    """How much goes through the model at once and why no more; what is done to save memory."""
    batch, parts = fitted.fitting.batch, math.ceil(rows / fitted.fitting.batch)
    if parts == 1:
        yield Message("plan-batch-whole", {"batch": batch})
    else:
        code = "plan-batch-enough" if fitted.limit == "gain" else "plan-batch-split"
        yield Message(code, {"batch": batch, "accumulation": parts, "effective": rows})
    if fitted.fitting.checkpointing:
        yield Message("plan-checkpointing" if checkpointing else "plan-checkpointing-fits")
    if fitted.fitting.offloading:
        yield Message("plan-offloading")
    if fitted.peak is not None:
        yield Message("plan-peak", {"megabytes": fitted.peak // MIB})


def _spread(steps: int, count: int) -> tuple[int, ...]:
    """``count`` steps at equal distances, the last one among them; fewer where there are fewer steps."""
    return tuple(sorted({max(1, round(steps * (i + 1) / count)) for i in range(count)}))
