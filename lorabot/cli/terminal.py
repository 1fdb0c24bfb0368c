"""The operator's terminal: its language, what is printed where, and how errors are shown."""

import os
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lorabot.folders import make_private
from lorabot.locale import Message, Param, Translator, UserError, negotiate, translator

if TYPE_CHECKING:
    from lorabot.settings import Settings

EXIT_FAILED = 1
EXIT_SETTINGS = 78
"""EX_CONFIG of sysexits.h: the settings are wrong."""
EXIT_INTERRUPTED = 130


def terminal_language(environment: Mapping[str, str]) -> str:
    """The language an operator's shell asks for, in gettext's order."""
    for name in ("LORABOT_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return negotiate(environment[name])
    return "en"


class Terminal:
    """One run of the command line. Results go to standard output, everything else to standard error."""

    def __init__(self) -> None:
        self.translate: Translator = translator(terminal_language(os.environ))
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(highlight=False, soft_wrap=True, stderr=True)
        self.config: Path | None = None
        self.debug = False
        self._settings: Settings | None = None

    def settings(self) -> "Settings":
        """The settings, read at the first call. Raises ``SettingsError``."""
        if self._settings is None:
            from lorabot.settings import load_settings

            self._settings = load_settings(self.config)
            if self._settings.language is not None:
                self.translate = translator(self._settings.language)
        return self._settings

    def print(self, code: str, style: str | None = None, /, **params: Param) -> None:
        """A sentence of the result."""
        self.out.print(self.translate(code, **params), markup=False, style=style)

    def say(self, message: Message, style: str | None = None) -> None:
        """Something on the way to the result."""
        self.err.print(self.translate.text(message), markup=False, style=style)

    def fail(self, text: str) -> None:
        """One line about why it did not work."""
        self.err.print(text, markup=False, style="red")

    def explain(self, error: Exception) -> int:
        """Print what an error means, in one line each; returns the exit code."""
        if self.debug:
            self.err.print(self._redacted("".join(traceback.format_exception(error)).rstrip()), markup=False)
        lines, code = self._meaning(error)
        for line in lines:
            self.fail(line)
        return code

    def _meaning(self, error: Exception) -> tuple[Sequence[str], int]:
        from lorabot.queue.errors import BadUrl, StoreUnavailable
        from lorabot.settings import SettingsError

        match error:
            case SettingsError():
                return error.lines(self.translate), EXIT_SETTINGS
            case BadUrl():
                return [self.translate("cli-bad-url", reason=str(error))], EXIT_SETTINGS
            case StoreUnavailable():  # its own sentence is for people in a chat
                return [self.translate("cli-database-away", reason=error.reason)], EXIT_FAILED
            case UserError():
                return [self.translate.text(error.message)], EXIT_FAILED
        reason = self._redacted(f"{type(error).__name__}: {error}".splitlines()[0][:200])
        return [self.translate("cli-unexpected", reason=reason, file=str(self._record(error)))], EXIT_FAILED

    def _record(self, error: Exception) -> Path:
        """Append the traceback to the error log; where that can't be written, to a file in the temp folder."""
        text = f"{datetime.now().astimezone().isoformat(timespec='seconds')}\n"
        text += self._redacted("".join(traceback.format_exception(error))) + "\n"
        folder = self._settings.data_dir / "logs" if self._settings is not None else None
        if folder is not None:
            try:
                make_private(folder.parent)
                folder.mkdir(exist_ok=True)
                with (folder / "errors.log").open("a", encoding="utf-8") as file:
                    file.write(text)
            except OSError:
                pass  # the disk may be what is broken
            else:
                return folder / "errors.log"
        path = Path(tempfile.mkdtemp(prefix="lorabot-")) / "error.log"
        path.write_text(text, encoding="utf-8")
        return path

    def _redacted(self, text: str) -> str:
        from lorabot.cli.logs import redact

        return redact(text, self._settings.secrets() if self._settings is not None else ())
