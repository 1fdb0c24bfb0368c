"""Turns a message into a sentence of one language."""

import logging
from functools import cache
from pathlib import Path

from fluent.runtime import FluentBundle, FluentResource

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
        for path in sorted((Path(__file__).parent / language).glob("*.ftl")):
            self._bundle.add_resource(FluentResource(path.read_text(encoding="utf-8")))

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
