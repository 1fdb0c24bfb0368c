"""Who a browser is: a signed cookie names its conversation, and says whether it knew the password."""

import secrets
import time
from dataclasses import dataclass

from aiohttp import web

from lorabot.bot.config import WebConfig
from lorabot.bot.signing import BadToken, Signer
from lorabot.queue.model import Address

COOKIE = "lorabot_session"
PLATFORM = "web"
_PURPOSE = "web session"


@dataclass(frozen=True, slots=True)
class Session:
    """One browser. ``conversation`` is a random id; nobody else can guess it, and the signature guards it."""

    conversation: str
    admitted: bool

    @property
    def owner(self) -> str:
        return f"{PLATFORM}:{self.conversation}"

    @property
    def address(self) -> Address:
        return Address(PLATFORM, self.conversation)


class Sessions:
    """Reads and writes the session cookie."""

    def __init__(self, signer: Signer, config: WebConfig) -> None:
        self._signer = signer
        self._lifetime = config.session_days * 86400
        self._secure = (config.public_url or "").startswith("https:")
        # A changed password ends all sessions that were let in by the old one.
        password = config.password
        self._password_mark = signer.fingerprint(password.get_secret_value()) if password else ""

    def read(self, request: web.Request) -> Session | None:
        """The session of a request that carries a genuine cookie; it may not be let in (any more)."""
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            return None
        try:
            payload = self._signer.read(_PURPOSE, cookie)
        except BadToken:
            return None
        return Session(str(payload["c"]), payload["p"] == self._password_mark)

    def require(self, request: web.Request) -> Session:
        """The session of a request that may act. Raises 401 otherwise."""
        session = self.read(request)
        if session is None or not session.admitted:
            raise NoSession
        return session

    def new(self) -> Session:
        return Session(secrets.token_urlsafe(16), admitted=True)

    def write(self, response: web.StreamResponse, session: Session) -> None:
        """Send the browser the cookie of ``session``, good for the full time from now."""
        payload = {"c": session.conversation, "p": self._password_mark if session.admitted else ""}
        token = self._signer.sign(_PURPOSE, payload, time.time() + self._lifetime)
        response.set_cookie(
            COOKIE, token, max_age=self._lifetime, path="/", httponly=True, samesite="Lax", secure=self._secure
        )


class NoSession(Exception):
    """The request needs a session and has none."""
