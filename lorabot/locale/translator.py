"""Turns a message into a sentence of one language."""

import logging
from functools import cache
from pathlib import Path

from fluent.runtime import FluentBundle, FluentResource
from fluent.syntax import FluentParser, ast
from fluent.syntax.visitor import Visitor

from lorabot.locale.message import Message, Param

LANGUAGES = ("en", "zh-CN")
_log = logging.getLogger(__name__)


class Translator:
    """All sentences of one language. ``language`` is one of ``LANGUAGES``; raises ``ValueError`` otherwise."""

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise ValueError(f"no catalogue for {language!r}; there are {', '.join(LANGUAGES)}")
        self.language = language
        # Isolation marks are for mixed writing directions, which our two languages do not have; they break copying.
        self._bundle = FluentBundle([language], use_isolating=False)
        self._variables: dict[str, set[str]] = {}
        for path in sorted((Path(__file__).parent / language).glob("*.ftl")):
            source = path.read_text(encoding="utf-8")
            self._bundle.add_resource(FluentResource(source))
            for entry in FluentParser(with_spans=False).parse(source).body:
                if isinstance(entry, ast.Message):
                    variables = _Variables()
                    variables.visit(entry)
                    self._variables[entry.id.name] = variables.names

    def __call__(self, code: str, /, **params: Param) -> str:
        return self.text(Message(code, params))

    def text(self, message: Message) -> str:
        """The sentence of ``message``. An unknown code yields the code itself: a person is never left without text."""
        if not self._bundle.has_message(message.code):
            _log.error("no text for %r in %s", message.code, self.language)
            return message.code
        value = self._bundle.get_message(message.code).value
        if value is None:
            _log.error("%r in %s has attributes only", message.code, self.language)
            return message.code
        text, errors = self._bundle.format_pattern(value, dict(message.params))
        for error in errors:
            _log.error("text %r in %s: %s", message.code, self.language, error)
        return str(text)

    def templates(self, prefix: str) -> dict[str, str]:
        """The sentences whose code starts with ``prefix``, each variable left as ``{name}`` for a page to fill in."""
        return {
            code: self.text(Message(code, {name: f"{{{name}}}" for name in names}))
            for code, names in self._variables.items()
            if code.startswith(prefix)
        }


class _Variables(Visitor):
    """Collects the variables a message refers to."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: ast.VariableReference) -> None:
        self.names.add(node.id.name)


@cache
def translator(language: str) -> Translator:
    """The translator of ``language``, read once."""
    return Translator(language)


def negotiate(*wanted: str | None) -> str:
    """The catalogue for the first wish that has one: ``zh``, ``zh-CN``, ``zh_TW``, ``zh-Hans`` are read as Chinese.

    Wishes come in order of weight (the person's setting, the client's locale, the guild's); English if none fits.
    """
    for wish in wanted:
        language = (wish or "").replace("_", "-").split("-")[0].lower()
        if language == "zh":
            return "zh-CN"
        if language == "en":
            return "en"
    return "en"
