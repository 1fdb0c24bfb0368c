"""What a job gives up of its recipe when no plan of it fits, in the order in which it hurts least; and how it waits."""

import time
from collections.abc import Callable
from math import sqrt

from lorabot.locale import Message, Param
from lorabot.presets import Recipe
from lorabot.trainer.devices import MIB
from lorabot.trainer.errors import OutOfMemory
from lorabot.trainer.planning import Hardware, Plan

LEAST_RANK = 4
"""Below, a LoRA holds a logo but no style."""
_EIGHTHS = (7, 6)
"""Of the recipe's resolution: 448 and 384 of 512. Below, base models lose the structure of pictures."""
_GRAIN = 64
_FREED = 256 * MIB


def lower(recipe: Recipe, full: Recipe, begun: bool, eight_bit: bool) -> tuple[Recipe, Message] | None:
    """``recipe``, which began as ``full``, with the next thing given up; None where nothing is left.

    What has ``begun`` to be learnt keeps its optimiser's moments and its rank. ``eight_bit``: whether the moments can
    be kept in 8 bits here.
    """
    if not begun and recipe.optimiser == "adamw" and eight_bit:
        return recipe.model_copy(update={"optimiser": "adamw8bit"}), Message("training-notice-down-8-bit")
    if not begun and recipe.rank > LEAST_RANK:
        rank = max(recipe.rank // 2, LEAST_RANK)
        return with_rank(recipe, rank), Message("training-notice-down-rank", {"rank": rank, "before": recipe.rank})
    grain = min(_GRAIN, full.resolution // 8)
    for eighths in _EIGHTHS:
        resolution = full.resolution * eighths // 8 // grain * grain
        if resolution < recipe.resolution:
            params: dict[str, Param] = {"resolution": resolution, "before": recipe.resolution}
            made = recipe.model_copy(update={"resolution": resolution})
            return made, Message("training-notice-down-resolution", params)
    return None


def with_rank(recipe: Recipe, rank: int) -> Recipe:
    """``recipe`` with another rank and the same scale of the update."""
    ratio = rank / recipe.rank
    alpha = recipe.alpha * (sqrt(ratio) if recipe.rank_stabilised else ratio)
    return recipe.model_copy(update={"rank": rank, "alpha": alpha})


def as_planned(recipe: Recipe, plan: Plan) -> Recipe:
    """``recipe`` as an earlier attempt went on with it."""
    made = recipe.model_copy(update={"resolution": plan.resolution, "optimiser": plan.optimiser})
    return with_rank(made, plan.rank) if plan.rank != made.rank else made


def wait_for_room(
    hardware: Callable[[], Hardware],
    most_s: float,
    check: Callable[[], None],
    tell: Callable[[Message], None],
    look_s: float = 2.0,
) -> None:
    """Wait until other programs have let go of some of the card's memory, ``most_s`` seconds at most.

    It is looked every ``look_s`` seconds. ``check`` may raise to stop. Raises ``OutOfMemory`` where there is nothing to
    wait for, and in the end.
    """
    now = hardware()
    if now.card is None or not (now.holders or now.hidden):
        raise OutOfMemory(now.holders)
    wanted = now.card.free + max(_FREED, now.card.free // 8)
    until = time.monotonic() + most_s
    minutes, gigabytes = round(most_s / 60), f"{now.hidden / 1e9:.1f}"
    if now.holders:
        tell(Message("training-notice-waiting", {"holders": now.holders, "minutes": minutes}))
    else:
        tell(Message("training-notice-waiting-hidden", {"gigabytes": gigabytes, "minutes": minutes}))
    while time.monotonic() < until:
        check()
        time.sleep(look_s)
        now = hardware()
        if now.card is not None and now.card.free >= wanted:
            return
    raise OutOfMemory(now.holders)
