"""A text before it has a language: a code of the catalogues and its parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Param = str | int | float


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said, in no language yet.

    ``code`` is a message id of the Fluent catalogues, ``params`` fill its variables. Messages cross processes as JSON,
    so that a trainer that knows no language can explain itself to a person who does.
    """

    code: str
    params: Mapping[str, Param] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {"code": self.code, "params": dict(self.params)}


class UserError(Exception):
    """Something a person did or met that has its own sentence in the catalogues. Rooms subclass it."""

    def __init__(self, code: str, /, **params: Param) -> None:
        super().__init__(code, params)
        self.message = Message(code, params)

    def __str__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.message.params.items())
        return f"{self.message.code}({params})"
