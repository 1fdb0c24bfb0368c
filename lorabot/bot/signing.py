"""Signed, expiring tokens: what a link or a cookie says cannot be changed by who holds it."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

from lorabot.locale import Param

_DIGEST_BYTES = 16  # 128 bits of HMAC-SHA256: NIST SP 800-107 calls 32 enough against online guesses; this is ample


class BadToken(Exception):
    """The token was not made by this installation, or for something else."""


class ExpiredToken(BadToken):
    """The token is genuine but its time is over."""


class Signer:
    """Signs small mappings with one secret. ``purpose`` keeps a token of one kind from passing as another."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("the signing secret needs at least 16 bytes")
        self._secret = secret

    def sign(self, purpose: str, payload: Mapping[str, Param], expires: float) -> str:
        """A url-safe token for ``payload`` that is good until ``expires`` (seconds since the epoch)."""
        body = json.dumps([int(expires), dict(payload)], separators=(",", ":"), ensure_ascii=False).encode()
        return _encode(self._digest(purpose, body) + body)

    def read(self, purpose: str, token: str) -> dict[str, Param]:
        """What ``sign`` was given. Raises ``ExpiredToken`` or ``BadToken``."""
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (UnicodeEncodeError, binascii.Error) as error:
            raise BadToken("not a token") from error
        digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if not hmac.compare_digest(digest, self._digest(purpose, body)):
            raise BadToken("signature does not match")
        expires, payload = json.loads(body)
        if time.time() >= expires:
            raise ExpiredToken("token expired")
        return dict(payload)

    def fingerprint(self, text: str) -> str:
        """A short keyed digest that tells two texts apart and gives neither away."""
        return _encode(self._digest("fingerprint", text.encode()))

    def _digest(self, purpose: str, body: bytes) -> bytes:
        return hmac.new(self._secret, purpose.encode() + b"\0" + body, hashlib.sha256).digest()[:_DIGEST_BYTES]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
