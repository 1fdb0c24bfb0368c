"""How an attempt goes on when memory runs out: one rung down the ladder, and the same work again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeVar

from lorabot.locale import Message, Param
from lorabot.trainer.errors import OutOfMemory
from lorabot.trainer.memory import Crawl, Gauge, ran_out_of_memory, smaller
from lorabot.trainer.planning import Hardware, Plan
from lorabot.trainer.route import Route, Tell

T = TypeVar("T")
_SLOWER = 3.0
"""How many times as long a step may take after a rung down: off-loading, the dearest, costs about this."""


class Descent:
    """Where an attempt stands: its ``plan`` as it is now. What was said on the way down is among its reasons."""

    def __init__(self, plan: Plan, route: Route, gauge: Gauge, hardware: Callable[[], Hardware], tell: Tell) -> None:
        self.plan = plan
        self._route, self._gauge, self._hardware, self._tell = route, gauge, hardware, tell
        self._card = hardware().card is not None
        self._crawl = Crawl(plan.step_s)
        route.tell = self.say
        route.choose(plan.fitting)

    def through(self, do: Callable[[], T], step: int) -> T:
        """What ``do`` returns, after as many rungs down as it takes; it must be fit to be done again.

        ``step``: how many steps were done. Raises ``OutOfMemory`` below the last rung.
        """
        while True:
            try:
                return do()
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
            self.down(step)

    def stepped(self, step: int, seconds: float) -> Plan:
        """A step was done in so many ``seconds``: the plan to go on with, a smaller one where steps crawl on a card."""
        if self._card and self._crawl.noticed(seconds) and smaller(self.plan.fitting, self.plan.rows, True):
            return self.down(step, "slow")
        return self.plan

    def down(self, step: int, why: Literal["full", "slow"] = "full") -> Plan:
        """Go one rung down after ``step`` steps. Raises ``OutOfMemory`` below the last, with who holds the memory."""
        self._gauge.empty()
        found = smaller(self.plan.fitting, self.plan.rows, self._card)
        if found is None:
            raise OutOfMemory(self._hardware().holders)
        if why == "full":
            self._crawl.changed(_SLOWER)
        rung, fitting = found
        self._route.choose(fitting)
        params: dict[str, Param] = {"step": step, "batch": fitting.batch, "before": self.plan.batch, "why": why}
        self.plan = replace(
            self.plan, batch=fitting.batch, checkpointing=fitting.checkpointing, offloading=fitting.offloading
        )
        self.say(Message(f"training-notice-down-{rung}", params))
        return self.plan

    def say(self, message: Message) -> None:
        """Tell the person, and put it down for the report."""
        self.plan = replace(self.plan, reasons=(*self.plan.reasons, message))
        self._tell(message)
