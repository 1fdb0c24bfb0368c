"""How an attempt goes on when memory runs out: one rung down the ladder, and the same work again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeVar

from lorabot.locale import Message, Param
from lorabot.trainer.denoising import LOST
from lorabot.trainer.errors import OutOfMemory
from lorabot.trainer.memory import Crawl, Fitting, Gauge, ran_out_of_memory, smaller
from lorabot.trainer.planning import Hardware, Plan
from lorabot.trainer.route import Route, Tell

T = TypeVar("T")
_SLOWER = 3.0
"""How many times as long a step may take after a rung down: off-loading, the dearest, costs about this."""
_PLAIN = 20.0
"""How many times as long as the fast way the plain one takes for a single row on a large card; for more rows less."""


class Descent:
    """Where an attempt stands after ``step`` steps: its ``plan`` as it is now. What was said on the way down is among
    its reasons.

    Raises ``OutOfMemory`` where not even the last rung can be begun.
    """

    def __init__(
        self, plan: Plan, route: Route, gauge: Gauge, hardware: Callable[[], Hardware], tell: Tell, step: int = 0
    ) -> None:
        self.plan = plan
        self._route, self._gauge, self._hardware, self._tell = route, gauge, hardware, tell
        self._card = hardware().card is not None
        self._crawl = Crawl(plan.step_s)
        route.tell = self.say
        if not self._opened(plan.fitting):
            self.down(step)

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
        """Go down after ``step`` steps, to the next rung that can be begun. Raises ``OutOfMemory`` below the last, with
        who holds the memory.

        Where the route is not even open, its weights found no room: fewer rows at once are no help then.
        """
        before, opened = self.plan.batch, self._route.is_open
        while True:
            self._route.close()
            self._gauge.empty()
            tried = self.plan.fitting
            found = smaller(tried if opened else replace(tried, batch=1), self.plan.rows, self._card)
            if found is None:
                raise OutOfMemory(self._hardware().holders)
            rung, below = found
            self.plan = replace(
                self.plan,
                batch=below.batch if opened else tried.batch,
                checkpointing=below.checkpointing,
                offloading=below.offloading,
            )
            opened = self._opened(self.plan.fitting)
            if opened:
                break
        if why == "full":
            self._crawl.changed(_SLOWER)
        params: dict[str, Param] = {"step": step, "batch": self.plan.batch, "before": before, "why": why}
        self.say(Message(f"training-notice-down-{rung}", params))
        return self.plan

    def _opened(self, fitting: Fitting) -> bool:
        """Whether the route goes this way now; where it doesn't, there is no memory for it."""
        try:
            self._route.choose(fitting)
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
            return False
        # A size that nothing was recorded for takes as much a row as in training, its way back unused.
        self._route.at_once = fitting.batch if self._card and not fitting.offloading else None
        return True

    def say(self, message: Message) -> None:
        """Tell the person, and put it down for the report."""
        if message == LOST:
            self._crawl.changed(_PLAIN)
        self.plan = replace(self.plan, reasons=(*self.plan.reasons, message))
        self._tell(message)
