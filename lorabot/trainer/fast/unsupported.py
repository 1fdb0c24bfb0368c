"""What the fast way can't do, as the reason that a plan gives for the plain one."""

from typing import Literal

Why = Literal["layers", "dora", "network", "triton", "card", "dropout", "offloading", "memory", "failed", "differs"]


class Unsupported(Exception):
    """The plain way must be taken; ``why`` is the end of a message's name."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why
