"""The chat page, the login page, their files and texts."""

import math
from pathlib import Path

from aiohttp import web

from lorabot.bot.config import WebConfig
from lorabot.bot.web.language import wanted_language
from lorabot.bot.web.login import Door
from lorabot.bot.web.session import Session, Sessions
from lorabot.bot.web.visitors import Visitors
from lorabot.locale import translator

_STATIC = Path(__file__).parent / "static"
_LANGUAGES = {"en": "English", "zh-CN": "简体中文"}
_NO_CACHE = {"Cache-Control": "no-cache"}  # kept, but asked about each time: the page and its parts stay of one version
_MOST_FORM_BYTES = 16 * 1024


class Pages:
    """Handlers of everything that a browser shows."""

    def __init__(self, sessions: Sessions, config: WebConfig, language: str) -> None:
        self._sessions = sessions
        self._door = Door(config) if config.password is not None else None
        self._visitors = Visitors(config.trusted_proxies)
        self._language = language

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/", self.chat),
            web.get("/login", self.login),
            web.post("/login", self.enter),
            web.get("/api/texts", self.texts),
            web.get("/healthz", self.health),
            web.static("/static", _STATIC, append_version=False),
        ]

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """The chat page. Who comes for the first time gets a conversation, where no password is asked for."""
        session = self._sessions.read(request)
        if self._door is not None and (session is None or not session.admitted):
            raise web.HTTPSeeOther("/login")
        response = web.FileResponse(_STATIC / "index.html", headers=_NO_CACHE)
        self._sessions.write(response, session if session and session.admitted else self._sessions.new())
        return response

    async def login(self, request: web.Request) -> web.StreamResponse:
        session = self._sessions.read(request)
        if self._door is None or (session is not None and session.admitted):
            raise web.HTTPSeeOther("/")
        return web.FileResponse(_STATIC / "login.html", headers=_NO_CACHE)

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """Take the password of the login form. An old conversation of this browser goes on."""
        if self._door is None:
            raise web.HTTPSeeOther("/")
        address = self._visitors.address_of(request)
        if self._door.waits(address) > 0:
            raise _refused(self._door.waits(address))
        if (request.content_length or 0) > _MOST_FORM_BYTES:
            raise web.HTTPSeeOther("/login?error=wrong")
        password = (await request.post()).get("password")
        if not isinstance(password, str) or not self._door.admits(address, password):
            raise _refused(self._door.waits(address))
        before = self._sessions.read(request)
        session = Session(before.conversation, admitted=True) if before else self._sessions.new()
        response = web.HTTPSeeOther("/")
        self._sessions.write(response, session)
        raise response

    async def texts(self, request: web.Request) -> web.StreamResponse:
        language = wanted_language(request, self._language)
        texts = translator(language).templates("page-")
        return web.json_response({"language": language, "languages": _LANGUAGES, "texts": texts}, headers=_NO_CACHE)

    async def health(self, _: web.Request) -> web.StreamResponse:
        """What a container's engine or a proxy asks for: an answer says that the bot lives, to whoever asks."""
        return web.Response(text="ok")


def _refused(wait_s: float) -> web.HTTPSeeOther:
    """Back to the login page, which says so, and how long to wait where that is."""
    reason = f"wait&minutes={math.ceil(wait_s / 60)}" if wait_s > 0 else "wrong"
    return web.HTTPSeeOther(f"/login?error={reason}")


async def revalidate_static(request: web.Request, response: web.StreamResponse) -> None:
    """Signal: static files are asked about each time."""
    if request.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-cache")
