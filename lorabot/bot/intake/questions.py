"""What intake asks the decoder's process, one JSON line each. Light to import: the process is started very often."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """What is in the zip at ``path``? ``seconds`` of CPU time may go into the answer."""

    path: str
    most_entries: int
    most_bytes: int
    most_ratio: float
    seconds: int


@dataclass(frozen=True, slots=True)
class Decode:
    """Make a clean picture of the file at ``path``, or of entry ``index`` of the zip; ``scratch`` is a file to use."""

    path: str
    index: int | None
    scratch: str
    target: str
    thumb: str
    most_bytes: int
    most_pixels: int
    least_side: int
    most_side: int
    seconds: int


Question = Look | Decode
_KINDS: dict[str, type[Question]] = {"look": Look, "decode": Decode}


def write(question: Question) -> bytes:
    """``question`` as a line."""
    kind = next(name for name, type_ in _KINDS.items() if isinstance(question, type_))
    return json.dumps([kind, asdict(question)]).encode() + b"\n"


def read(line: str) -> Question:
    """What ``write`` wrote; it comes from our own parent and needs no checks."""
    kind, fields = json.loads(line)
    return _KINDS[kind](**fields)
