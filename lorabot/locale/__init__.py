"""What people read, in English and Simplified Chinese: Fluent catalogues, and the translator that fills them."""

from lorabot.locale.message import Message, Param, UserError
from lorabot.locale.translator import LANGUAGES, Translator, negotiate, translator

__all__ = ["LANGUAGES", "Message", "Param", "Translator", "UserError", "negotiate", "translator"]
