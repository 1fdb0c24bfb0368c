"""Which language a browser asks for."""

from aiohttp import web

from lorabot.locale import negotiate


def wanted_language(request: web.Request, default: str) -> str:
    """The catalogue for the request: ``?lang=``, then ``Accept-Language`` by weight, then ``default``."""
    return negotiate(request.query.get("lang"), *_accepted(request.headers.get("Accept-Language", "")), default)


def _accepted(header: str) -> list[str]:
    """Language tags of an ``Accept-Language`` header (RFC 9110, 12.5.4), the most wanted first."""
    weighted = []
    for part in header.split(","):
        tag, _, parameters = part.strip().partition(";")
        name, _, value = parameters.strip().partition("=")
        try:
            weight = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            weight = 0.0
        if tag and weight > 0:
            weighted.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]
