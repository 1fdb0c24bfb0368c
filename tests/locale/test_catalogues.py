"""Both languages say the same things, and exactly those that the code asks for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fluent.syntax import FluentParser
from fluent.syntax import ast as fluent
from fluent.syntax.visitor import Visitor

import lorabot
from lorabot.locale import LANGUAGES, Message, Translator

PACKAGE = Path(lorabot.__file__).parent
CATALOGUES = PACKAGE / "locale"
FILES = sorted({path.name for language in LANGUAGES for path in (CATALOGUES / language).glob("*.ftl")})
ID = re.compile(r"[a-z]+(-[a-z0-9_]+)+")


class _Variables(Visitor):
    """The variables of one message."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: fluent.VariableReference) -> None:
        self.names.add(node.id.name)


def messages(language: str, file: str) -> dict[str, fluent.Message]:
    path = CATALOGUES / language / file
    found: dict[str, fluent.Message] = {}
    for entry in FluentParser().parse(path.read_text(encoding="utf-8")).body:
        assert not isinstance(entry, fluent.Junk), f"{path}: {entry.content}"
        if isinstance(entry, fluent.Message):
            assert entry.id.name not in found, f"{path}: {entry.id.name} stands twice"
            assert entry.value is not None
            found[entry.id.name] = entry
    return found


def variables(message: fluent.Message) -> set[str]:
    visitor = _Variables()
    visitor.visit(message)
    return visitor.names


def every_id(language: str = "en") -> set[str]:
    return {name for file in FILES for name in messages(language, file)}


@pytest.mark.parametrize("file", FILES)
def test_both_languages_have_the_same_messages(file: str) -> None:
    english, chinese = (messages(language, file) for language in LANGUAGES)
    assert list(english) == list(chinese)


@pytest.mark.parametrize("file", FILES)
def test_both_languages_use_the_same_variables(file: str) -> None:
    english, chinese = (messages(language, file) for language in LANGUAGES)
    for name in english:
        assert variables(english[name]) == variables(chinese[name]), name


def test_no_message_stands_in_two_files() -> None:
    assert sum(len(messages("en", file)) for file in FILES) == len(every_id())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_can_be_filled(language: str, caplog: pytest.LogCaptureFixture) -> None:
    translate = Translator(language)
    for file in FILES:
        for name, message in messages(language, file).items():
            for value in ("7", 1, 12345.678):
                text = translate.text(Message(name, dict.fromkeys(variables(message), value)))
                assert text
                assert text != name
    assert caplog.records == []


def test_one_row_more_holds_on_and_several_hold_on() -> None:
    said = [Translator("en").text(Message("plan-preserved", {"rows": rows, "pictures": 4})) for rows in (1, 2)]
    assert said[0].startswith("One more row a step holds on to what the base model draws")
    assert said[1].startswith("2 more rows a step hold on to what the base model draws")


def test_chinese_is_chinese() -> None:
    """A message without a Chinese sign is names and numbers only, or was forgotten."""
    sign = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
    for file in FILES:
        english, chinese = messages("en", file), messages("zh-CN", file)
        for name, message in chinese.items():
            words = re.sub(r"\{.*?\}|`.*?`|/train .*", "", _source(english[name]))
            assert sign.search(_source(message)) or not re.search(r"[A-Za-z]{3,} [a-z]{2,}", words), name


def test_one_thing_has_one_name_in_chinese() -> None:
    """What is 底模 in one message must not be 基础模型 in the next; so with 运维人员 and 挂起."""
    for path in [*sorted((CATALOGUES / "zh-CN").glob("*.ftl")), *sorted((PACKAGE / "presets").glob("*.yaml"))]:
        assert re.findall("基础模型|基模|运维者|操作者|暂缓", path.read_text(encoding="utf-8")) == [], path.name


def _source(message: fluent.Message) -> str:
    from fluent.syntax import FluentSerializer

    return FluentSerializer().serialize_entry(message)


# Whole ids and the beginnings of ids (``f"card-stage-{stage}"``) that stand in the code as strings.


def _strings(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Strings of a module that look like a message id, and whether only their beginning is known."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ID.fullmatch(node.value):
            yield node.value, False
        elif isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
            start = node.values[0].value
            if isinstance(start, str) and re.fullmatch(r"([a-z]+-)+[a-z0-9_]*", start):
                yield start, True


def _used() -> tuple[set[str], set[str]]:
    whole: set[str] = set()
    starts: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for text, is_start in _strings(ast.parse(path.read_text(encoding="utf-8"))):
            (starts if is_start else whole).add(text)
    for path in (*PACKAGE.rglob("*.js"), *PACKAGE.rglob("*.html")):
        whole |= set(re.findall(r"[a-z]+(?:-[a-z0-9]+)+", path.read_text(encoding="utf-8")))
        # The page asks for its texts without their common beginning.
        whole |= {f"page-{name}" for name in re.findall(r"[a-z]+(?:-[a-z0-9]+)*", path.read_text(encoding="utf-8"))}
    return whole, starts


def test_every_message_is_used_somewhere() -> None:
    whole, starts = _used()
    unused = {name for name in every_id() - whole if not any(name.startswith(start) for start in starts)}
    assert unused == set()


def test_every_message_that_the_code_asks_for_exists() -> None:
    """Found by where ids stand: the first argument of what takes one."""
    ids = every_id()
    prefixes = {name.partition("-")[0] for name in ids}
    missing = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        text = argument.value
                        if ID.fullmatch(text) and text.partition("-")[0] in prefixes and _takes_ids(node):
                            missing |= {(path.name, text)} - {(path.name, known) for known in ids}
    assert missing == set()


def _takes_ids(call: ast.Call) -> bool:
    """Messages, errors and translators; not HTML, options of a command, or the names of tasks and files."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    callables = {"text", "translate", "say", "print", "_finding", "__init__"}
    return name in callables or (name[:1].isupper() and name != "Path")


def test_every_beginning_that_the_code_completes_exists() -> None:
    _, starts = _used()
    prefixes = {name.partition("-")[0] for name in every_id()}
    for start in starts:
        if start.partition("-")[0] in prefixes and start.endswith("-"):
            assert any(name.startswith(start) for name in every_id()), start
