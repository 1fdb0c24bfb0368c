"""Folders that are written to, made and tried before the work whose results they are for."""

import tempfile
from pathlib import Path

from lorabot.locale import UserError


class NoFolder(UserError):
    """A folder can't be made, or nothing can be put there."""


def make_data_folder(folder: Path) -> None:
    """Make the folder for everything that is kept, and see that it can be written to. Raises ``NoFolder``."""
    _make(folder, "cli-no-data-folder")


def make_results_folder(folder: Path) -> None:
    """Make the folder for a command's results, and see that it can be written to. Raises ``NoFolder``."""
    _make(folder, "cli-no-results-folder")


def _make(folder: Path, refusal: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise NoFolder(refusal, folder=str(folder), reason=error.strerror or str(error)) from error
