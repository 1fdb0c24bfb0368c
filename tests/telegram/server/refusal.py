"""How the Bot API says no."""


class Refusal(Exception):
    """An answer with ``ok: false``. ``fault``: a bot that keeps the rules would never have been told this."""

    def __init__(
        self, code: int, description: str, *, fault: bool = True, parameters: dict[str, int] | None = None
    ) -> None:
        super().__init__(f"{code} {description}")
        self.code = code
        self.description = description
        self.fault = fault
        self.parameters = parameters


def bad_request(why: str, *, fault: bool = True) -> Refusal:
    """400 with Telegram's own beginning."""
    return Refusal(400, f"Bad Request: {why}", fault=fault)


def forbidden(why: str) -> Refusal:
    """403: something that people did, so never the bot's fault the first time."""
    return Refusal(403, f"Forbidden: {why}", fault=False)


def flooded(seconds: int, *, fault: bool = True) -> Refusal:
    """429 with the wait that is asked for."""
    return Refusal(429, f"Too Many Requests: retry after {seconds}", fault=fault, parameters={"retry_after": seconds})
