"""What a LoRA's files are called."""


def file_name(name: str) -> str:
    """``name`` as a file's name on every system and in a prompt's ``<lora:...>``: letters, digits, ``-`` and ``_``."""
    plain = "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in name.strip())
    return "-".join(part for part in plain.split("-") if part)[:60] or "lora"
