"""What every request must pass, and what every answer carries."""

import html
import ipaddress
import logging
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from lorabot.bot.config import WebConfig
from lorabot.bot.front_end import CannotStart
from lorabot.bot.web.language import wanted_language
from lorabot.bot.web.session import NoSession
from lorabot.locale import Message, UserError, translator

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE = (
    '<!doctype html><html lang="{language}"><meta charset="utf-8"><title>lorabot</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<link rel="icon" href="/static/mark.svg" type="image/svg+xml">'
    '<link rel="stylesheet" href="/static/base.css"><link rel="stylesheet" href="/static/send.css">'
    '<body class="send"><main class="over"><img src="/static/mark.svg" alt="" width="52" height="52">'
    "<h1>lorabot</h1><p>{sentence}</p></main></body></html>"
)
_HEADERS = {
    "Content-Security-Policy": _PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Exposed(CannotStart):
    """The web chat would be open to others and has no password."""


class HttpError(UserError):
    """Something a request did wrong; ``status`` is the HTTP status of the answer."""

    def __init__(self, status: int, code: str, /, **params: str | int | float) -> None:
        super().__init__(code, **params)
        self.status = status


def is_loopback(host: str) -> bool:
    """Does ``host`` mean this machine alone?"""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_exposure(config: WebConfig) -> None:
    """Raise ``Exposed`` where people from elsewhere could come in without a password."""
    if config.password is not None:
        return
    public = urlsplit(config.public_url).hostname if config.public_url else None
    for host in (config.host, public):
        if host is not None and not is_loopback(host):
            raise Exposed("web-needs-password", host=host)


def guards(config: WebConfig, language: str) -> list[Middleware]:
    """The middlewares, outermost first."""
    public = urlsplit(config.public_url).netloc.lower() if config.public_url else None

    @web.middleware
    async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except NoSession:
            return _refusal(request, 401, Message("web-no-session"), language)
        except HttpError as error:
            return _refusal(request, error.status, error.message, language)
        except UserError as error:
            return _refusal(request, 503, error.message, language)
        except web.HTTPNotFound:
            return _refusal(request, 404, Message("web-nothing-here"), language)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            mark = secrets.token_hex(4)
            _log.exception("request %s %s failed (%s)", request.method, request.rel_url.path, mark)
            return _refusal(request, 500, Message("bot-unexpected", {"id": mark}), language)

    @web.middleware
    async def host(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A page of another name that resolves to this machine (DNS rebinding) must not reach a chat without password.
        if config.password is None:
            named = _hostname(request.host)
            if named is None or not (is_loopback(named) or request.host.lower() == public):
                raise HttpError(421, "web-wrong-host")
        return await handler(request)

    @web.middleware
    async def origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        acts = request.method not in ("GET", "HEAD") or request.headers.get("Upgrade", "").lower() == "websocket"
        if acts and not _same_origin(request, public):
            raise HttpError(403, "web-wrong-origin")
        return await handler(request)

    return [errors, host, origin]


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal: the headers every answer carries; those already set stay."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")


def _same_origin(request: web.Request, public: str | None) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() in (request.host.lower(), public)
    # Browsers send one of both with whatever acts; what sends neither is no browser and holds nobody's cookie.
    return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _refusal(request: web.Request, status: int, message: Message, default: str) -> web.Response:
    language = wanted_language(request, default)
    sentence = translator(language).text(message)
    if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):  # a link that somebody followed
        page = _PAGE.format(language=language, sentence=html.escape(sentence))
        return web.Response(text=page, content_type="text/html", status=status)
    return web.json_response({"error": sentence}, status=status)
