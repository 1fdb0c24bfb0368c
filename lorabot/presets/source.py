"""Reads one YAML file into a typed model and names the line of what is wrong with it."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

# What pydantic says in Python's words, in those of somebody who writes YAML.
_IN_YAML = dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "input should be fields with values")
_IN_YAML["tuple_type"] = "input should be a list"

Place = tuple[str | int, ...]
"""Where a value stands in the document: keys and list indexes from the root."""

_Model = TypeVar("_Model", bound=BaseModel)
_MOST_VALUES = 10_000
"""Eighty times those of the longest of ours. A few lines that refer to each other can stand for billions."""


@dataclass(frozen=True, slots=True)
class BrokenPreset:
    """Why a file does not count. ``line`` starts at 1 (0: the file as a whole); ``field`` is dotted, may be empty."""

    path: Path
    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return ": ".join(part for part in (where, self.field, self.reason) if part)


class Broken(Exception):
    """A file that does not count, and why: ``faults`` holds at least one."""

    def __init__(self, faults: tuple[BrokenPreset, ...]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Source(Generic[_Model]):
    """A model and the file it came from."""

    path: Path
    model: _Model
    lines: Mapping[Place, int]

    def fault(self, place: Place, reason: str) -> BrokenPreset:
        """What is wrong with the value at ``place``."""
        return _fault(self.path, self.lines, place, reason)


class _Loader(yaml.SafeLoader):
    """Safe loader that reads numbers and booleans as YAML 1.2 does: ``1e-4`` is a number, ``no`` is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] == "tag:yaml.org,2002:null"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9]\d*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+)$"),
    list("-+.0123456789"),
)


def read(path: Path, model: type[_Model]) -> Source[_Model]:
    """Read ``path`` as a ``model``; raises ``Broken`` with every fault found, each with its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Broken((BrokenPreset(path, 0, "", f"is not UTF-8 text (byte {error.start})"),)) from error
    except OSError as error:
        raise Broken((BrokenPreset(path, 0, "", f"cannot be read: {error.strerror}"),)) from error
    lines: dict[Place, int] = {}
    try:
        data = _parse(path, text, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = f"is not YAML: {error.problem or error.context}"
        raise Broken((BrokenPreset(path, mark.line + 1 if mark else 0, "", reason),)) from error
    except yaml.YAMLError as error:  # a control character: the only YAML error without a mark
        raise Broken((BrokenPreset(path, 0, "", f"is not YAML: {error}".splitlines()[0]),)) from error
    except RecursionError:
        raise Broken((BrokenPreset(path, 0, "", "is nested too deeply"),)) from None
    try:
        return Source(path, model.model_validate(data), lines)
    except ValidationError as error:
        raise Broken(tuple(_explain(path, lines, model, error))) from error


def _parse(path: Path, text: str, lines: dict[Place, int]) -> Any:
    """The plain values of a document; notes the line of each in ``lines``."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise Broken((BrokenPreset(path, 0, "", "is empty"),))
        return _Reader(path, loader, lines).value(node, (), ())
    finally:
        loader.dispose()


class _Reader:
    """Turns YAML nodes into plain values and notes the line of each."""

    def __init__(self, path: Path, loader: _Loader, lines: dict[Place, int]) -> None:
        self._path, self._loader, self._lines = path, loader, lines

    def value(self, node: yaml.Node, place: Place, above: tuple[yaml.Node, ...]) -> Any:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if len(self._lines) > _MOST_VALUES:
            reason = f"holds more than {_MOST_VALUES:,} values, each reference counted as what it stands for"
            raise Broken((BrokenPreset(self._path, 0, "", reason),))
        if node in above:
            raise Broken((_fault(self._path, self._lines, place, "refers to itself"),))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place, (*above, node))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index), (*above, node)) for index, item in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:str":
            return node.value
        try:
            return self._loader.construct_object(node)
        except ValueError as error:  # tagged as a number or a date, and none
            raise Broken((_fault(self._path, self._lines, place, str(error)),)) from error

    def _mapping(self, node: yaml.MappingNode, place: Place, above: tuple[yaml.Node, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            here = (*place, key)
            if key in result:
                reason = f"is given twice (first on line {self._lines[here]})"
                raise Broken((BrokenPreset(self._path, key_node.start_mark.line + 1, _dotted(here), reason),))
            self._lines[here] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, here, above)
        return result


def _explain(
    path: Path, lines: Mapping[Place, int], model: type[BaseModel], error: ValidationError
) -> list[BrokenPreset]:
    details = error.errors(include_url=False)
    places: list[Place] = [tuple(part for part in detail["loc"] if part != "[key]") for detail in details]
    meant = {
        (*place[:-1], near)
        for detail, place in zip(details, places, strict=True)
        if detail["type"] == "extra_forbidden" and (near := _nearest(model, place)) is not None
    }
    faults = []
    for detail, place in zip(details, places, strict=True):
        if detail["type"] == "missing" and place in meant:
            continue  # misspelt, which is said already
        if any(other[: len(place)] == place and other != place for other in places):
            continue  # a list that misses an item only because the item is faulty
        faults.append(_fault(path, lines, place, _reason(detail, model, place)))
    return sorted(faults, key=lambda fault: fault.line)


def _reason(detail: ErrorDetails, model: type[BaseModel], place: Place) -> str:
    kind, message, given = detail["type"], detail["msg"], detail["input"]
    if kind == "extra_forbidden":
        near = _nearest(model, place)
        return f"is not a field; did you mean {near}?" if near else "is not a field"
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    reason = _IN_YAML.get(kind) or message[0].lower() + message[1:]
    reason = reason.replace("tuple", "list").replace(" after validation", "")
    if isinstance(given, str | int | float | bool | None):
        reason += f", not {'null' if given is None else repr(given)[:80]}"
    return reason


def _nearest(model: type[BaseModel], place: Place) -> str | None:
    """The field that the unknown one at ``place`` may have meant."""
    near = difflib.get_close_matches(str(place[-1]), _fields_at(model, place[:-1]), n=1)
    return near[0] if near else None


def _fields_at(model: type[BaseModel], place: Place) -> list[str]:
    """The fields that a mapping at ``place`` may have."""
    schema: dict[str, Any] = model.model_json_schema()
    here: Any = schema
    for part in place:
        here = _deref(schema, here)
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(part) or here.get("additionalProperties") or {}
    return list(_deref(schema, here).get("properties", {}))


def _deref(schema: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in here:
        found: dict[str, Any] = schema["$defs"][here["$ref"].rsplit("/", 1)[1]]
        return found
    return here


def _fault(path: Path, lines: Mapping[Place, int], place: Place, reason: str) -> BrokenPreset:
    known = place
    while known not in lines:  # a missing field has no line of its own: that of what should hold it
        known = known[:-1]
    return BrokenPreset(path, lines[known], _dotted(place), reason)


def _dotted(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
