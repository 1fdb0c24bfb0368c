"""The learning rate over a training: it rises, then stays, falls in a line or in a cosine, once or again and again."""

import math

from lorabot.trainer.planning import Plan


def share(plan: Plan, step: int) -> float:
    """The part of its peak that the rate has in step number ``step`` (from 0): in ]0, 1].

    A linear rise over the warm-up, then the plan's schedule: ``constant``; ``linear`` towards 0; ``cosine``, half a
    period towards 0; ``restarts``, as many of those as the plan says, each from the peak (arXiv 1608.03983, eq. 5).
    """
    if step < plan.warmup_steps:
        return (step + 1) / plan.warmup_steps
    gone = (step - plan.warmup_steps) / (plan.steps - plan.warmup_steps)
    match plan.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - gone
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * gone))
        case "restarts":
            return 0.5 * (1 + math.cos(math.pi * math.modf(gone * plan.restarts)[0]))
