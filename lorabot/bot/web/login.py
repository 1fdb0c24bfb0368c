"""The password: who may come in, and how long someone who guesses has to wait."""

import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass

from lorabot.bot.config import WebConfig

_REMEMBERED = 10_000
_LONGEST_WAIT_S = 3600.0


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    waits_until: float = 0.0


class Door:
    """Checks the password. Wrong ones are counted by address: after a few it must wait, twice as long each time."""

    def __init__(self, config: WebConfig) -> None:
        assert config.password is not None, "a door needs a password"
        self._password = config.password.get_secret_value().encode()
        self._free = config.login_attempts
        self._wait_s = config.login_wait_s
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def waits(self, address: str) -> float:
        """Seconds that ``address`` has to wait before it may try again; 0 where it need not."""
        tries = self._tries.get(address)
        return max(0.0, tries.waits_until - time.monotonic()) if tries else 0.0

    def admits(self, address: str, password: str) -> bool:
        """Is it the password? A wrong one counts against ``address``."""
        if hmac.compare_digest(password.encode("utf-8", "surrogatepass"), self._password):
            self._tries.pop(address, None)
            return True
        tries = self._tries.setdefault(address, _Tries())
        self._tries.move_to_end(address)
        tries.wrong += 1
        if tries.wrong >= self._free:
            doublings = min(tries.wrong - self._free, 32)
            tries.waits_until = time.monotonic() + min(_LONGEST_WAIT_S, self._wait_s * 2**doublings)
        if len(self._tries) > _REMEMBERED:
            self._tries.popitem(last=False)
        return False
