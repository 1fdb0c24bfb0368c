"""File names as people read them."""

_MOST_CHARS = 120


def readable(name: str) -> str:
    """``name`` without control characters and direction marks, and not endless. Only ever shown, never opened.

    Texts put names into backticks, so a name has none of its own: nothing in it is read as markup then.
    """
    shown = "".join(char for char in name if char.isprintable()).replace("`", "'").strip()
    return shown if len(shown) <= _MOST_CHARS else "…" + shown[1 - _MOST_CHARS :]


def last_part(name: str) -> str:
    """The file's own name, whatever folders and drives a browser or a packer put before it."""
    return readable(name.replace("\\", "/").rpartition("/")[2])
