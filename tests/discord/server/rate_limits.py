"""Discord's rate limits: a bucket for each kind of request and its channel, and one for all."""

import re
import time
from dataclasses import dataclass, field

_GLOBAL_A_SECOND = 50


@dataclass(slots=True)
class Bucket:
    """``limit`` requests in ``window_s`` seconds."""

    name: str
    limit: int
    window_s: float
    begun: float = 0.0
    used: int = 0

    def take(self) -> float | None:
        """Use one up. Returns None, or the seconds to wait."""
        now = time.monotonic()
        if now - self.begun >= self.window_s:
            self.begun, self.used = now, 0
        if self.used >= self.limit:
            return self.begun + self.window_s - now
        self.used += 1
        return None

    def headers(self) -> dict[str, str]:
        left = max(0.0, self.begun + self.window_s - time.monotonic())
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": self.name,
        }


_KINDS: tuple[tuple[str, str, int, float], ...] = (
    ("POST", r"/channels/(\d+)/messages", 5, 5.0),
    ("PATCH", r"/channels/(\d+)/messages/\d+", 5, 5.0),
    ("DELETE", r"/channels/(\d+)/messages/\d+", 5, 1.0),
    ("PATCH", r"/webhooks/\d+/([^/]+)/messages/.*", 5, 2.0),
    ("POST", r"/webhooks/\d+/([^/]+)", 5, 2.0),
    ("POST", r"/users/@me/channels", 10, 10.0),
    ("PUT", r"/applications/\d+/commands", 2, 10.0),
)


@dataclass(slots=True)
class RateLimits:
    """All buckets of one bot."""

    buckets: dict[str, Bucket] = field(default_factory=dict)
    everything: Bucket = field(default_factory=lambda: Bucket("global", _GLOBAL_A_SECOND, 1.0))

    def of(self, method: str, path: str) -> Bucket | None:
        """The bucket of a request; None for one that has no limit of its own."""
        for place, (kind, pattern, limit, window) in enumerate(_KINDS):
            match = re.fullmatch(pattern, path)
            if kind == method and match:
                major = match[1] if match.groups() else ""
                return self.buckets.setdefault(f"{place}:{major}", Bucket(f"bucket{place}", limit, window))
        return None
