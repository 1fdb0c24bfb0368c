"""Folders that are written to, made and tried before the work whose results they are for."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lorabot.locale import UserError

NO_DATA_FOLDER = "cli-no-data-folder"


class NoFolder(UserError):
    """A folder can't be made, or nothing can be put there."""


def make_private(folder: Path) -> None:
    """Make ``folder`` where there is none, for its owner alone; one that is there keeps the rights that it has."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_data_folder(folder: Path) -> None:
    """Make the folder for everything that is kept, and see that it can be written to. Raises ``NoFolder``."""
    with _tried(folder, NO_DATA_FOLDER):
        make_private(folder)


def make_results_folder(folder: Path) -> None:
    """Make the folder for a command's results, and see that it can be written to. Raises ``NoFolder``."""
    with _tried(folder, "cli-no-results-folder"):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _tried(folder: Path, refusal: str) -> Iterator[None]:
    """See that ``folder``, which the block makes, can be written to; else ``refusal`` says so."""
    try:
        yield
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise NoFolder(refusal, folder=str(folder), reason=error.strerror or str(error)) from error
