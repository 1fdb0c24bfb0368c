"""Telegram's flood control: one message a second to a chat, twenty a minute to a group, thirty a second in all."""

import math
from collections import defaultdict, deque
from dataclasses import dataclass

from tests.telegram.server.refusal import flooded


@dataclass(frozen=True, slots=True)
class Rates:
    """https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this"""

    chat_s: float = 1.0
    group_per_minute: int = 20
    overall_per_s: int = 30


NO_RATES = Rates(chat_s=0.0, group_per_minute=10**6, overall_per_s=10**6)


class Flood:
    """Counts what is sent and edited. Raises ``Refusal`` with 429 for what is too much."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self._minutes: defaultdict[int, deque[float]] = defaultdict(deque)
        self._requests: defaultdict[int, deque[float]] = defaultdict(lambda: deque(maxlen=2))
        self._all: deque[float] = deque()

    def count(self, chat: int, messages: int, now: float) -> None:
        """``messages`` are sent to ``chat`` at once: an album is one request and several messages."""
        minute, requests = self._minutes[chat], self._requests[chat]
        while minute and minute[0] <= now - 60:
            minute.popleft()
        while self._all and self._all[0] <= now - 1:
            self._all.popleft()
        if chat < 0 and len(minute) + messages > self.rates.group_per_minute:
            raise flooded(math.ceil(minute[0] + 60 - now) if minute else 60)
        if len(self._all) + messages > self.rates.overall_per_s:
            raise flooded(1)
        # Brief bursts pass at Telegram too; the allowance here is only what a network's jitter takes.
        if len(requests) == 2 and now - requests[0] < 1.6 * self.rates.chat_s and now - requests[1] < 0.8:
            raise flooded(math.ceil(self.rates.chat_s))
        requests.append(now)
        minute.extend([now] * messages)
        self._all.extend([now] * messages)
