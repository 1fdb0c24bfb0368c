"""Names and descriptions of commands in the languages we speak."""

import discord
from discord import app_commands
from discord.app_commands import locale_str

from lorabot.locale import negotiate, translator

_OURS = "en"


def text(code: str) -> locale_str:
    """A text of the catalogues, to be translated when the commands are made known to Discord."""
    return locale_str(translator(_OURS)(code), code=code)


class Localisation(app_commands.Translator):
    """Puts the catalogues' sentences beside the English ones."""

    async def translate(
        self, string: locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """None leaves the English text."""
        language = negotiate(locale.value)
        code = string.extras.get("code")
        if language == _OURS or not isinstance(code, str):
            return None
        return translator(language)(code)
