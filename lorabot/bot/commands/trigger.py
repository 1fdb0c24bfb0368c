"""The trigger word: one made-up word that a model has no meaning for yet."""

import hashlib
import re
import unicodedata
from functools import cache
from pathlib import Path

from lorabot.bot.commands.errors import CommandError
from lorabot.presets import Catalogue

_LEAST, _MOST = 3, 24
_PLAIN = re.compile(r"[a-z][a-z0-9]*")
_WORD = re.compile(r"[a-z]+")
_CONSONANTS = "bdfgjklmnprstvz"
_VOWELS = "aeiou"


def check_trigger(typed: str, presets: Catalogue) -> str:
    """The trigger word as it is trained (lower case: the text encoders read no capitals).

    Raises ``CommandError`` with a word that would do.
    """
    word = unicodedata.normalize("NFKC", typed).strip().lower()
    shown = typed.strip()[:_MOST]
    if len(word.split()) > 1:
        raise CommandError("command-trigger-words", trigger=shown, suggestion=one_word(typed, presets))
    if not _PLAIN.fullmatch(word):
        raise CommandError("command-trigger-odd", trigger=shown, suggestion=_usable(_ascii(word), presets, typed))
    if len(word) < _LEAST:
        raise CommandError("command-trigger-short", trigger=shown, suggestion=made_up(typed, presets))
    if len(word) > _MOST:
        raise CommandError("command-trigger-long", trigger=shown, limit=_MOST, suggestion=made_up(typed, presets))
    if is_common(word, presets):
        raise CommandError("command-trigger-common", trigger=shown, suggestion=made_up(typed, presets))
    return word


def one_word(typed: str, presets: Catalogue) -> str:
    """A trigger in place of several words: these in one where none of them means anything yet, else a made-up one."""
    parts = [_ascii(part) for part in unicodedata.normalize("NFKC", typed).lower().split()]
    joined = "" if any(is_common(part, presets) for part in parts) else "".join(parts)
    return _usable(joined, presets, typed)


def made_up(seed: str, presets: Catalogue) -> str:
    """A short pronounceable word that means nothing; the same for the same ``seed``."""
    for salt in range(1000):
        digest = hashlib.sha256(f"{salt}:{seed}".encode()).digest()
        letters = [(_CONSONANTS, _VOWELS)[place % 2] for place in range(5)]
        word = "".join(alphabet[byte % len(alphabet)] for alphabet, byte in zip(letters, digest, strict=False))
        if not is_common(word, presets):
            return word
    raise AssertionError("all made-up words are common")


def is_common(word: str, presets: Catalogue) -> bool:
    """Does ``word`` have a meaning already: in English, or in what the presets say of pictures?"""
    forms = {word, word.removesuffix("s"), word.removesuffix("es")}
    return not forms.isdisjoint(_english()) or not forms.isdisjoint(_taught(presets))


def _usable(word: str, presets: Catalogue, seed: str) -> str:
    word = word[:_MOST]
    fits = _PLAIN.fullmatch(word) and len(word) >= _LEAST and not is_common(word, presets)
    return word if fits else made_up(seed, presets)


def _ascii(word: str) -> str:
    """``word`` with its accents taken off and without all that is no letter or digit: ``zü-ri!`` is ``zuri``."""
    plain = unicodedata.normalize("NFKD", word)
    return re.sub(r"[^a-z0-9]", "", plain).lstrip("0123456789")


@cache
def _english() -> frozenset[str]:
    text = (Path(__file__).parent / "common_words.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def _taught(presets: Catalogue) -> frozenset[str]:
    """Words that the presets' captions and prompts use, and their names."""
    labels = (
        label for vocabulary in presets.vocabularies.values() for group in vocabulary.groups for label in group.labels
    )
    prompts = (
        prompt.replace("{trigger}", "")
        for preset in presets.presets.values()
        for recipe in preset.recipes.values()
        for prompt in recipe.sample_prompts
    )
    texts = (*labels, *prompts, *presets.presets)
    return frozenset(word for text in texts for word in _WORD.findall(text.lower()))
