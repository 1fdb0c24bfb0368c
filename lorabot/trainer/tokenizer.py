"""The CLIP byte-pair tokenizer, built from the merges file that open_clip carries; nothing is downloaded."""

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

MERGES_FILE = "bpe_simple_vocab_16e6.txt.gz"
CONTEXT_LENGTH = 77
"""Tokens in a CLIP prompt, start and end marks included."""
START, END = "<|startoftext|>", "<|endoftext|>"
BLANK = "!"
"""The word with the id 0, which OpenCLIP pads with."""

# CLIP's vocabulary has 49,408 entries: 256 bytes, 256 bytes that end a word, the merges, and the two marks.
# The merges file holds more lines than CLIP was trained with; its first line is a version remark.
_MERGE_COUNT = 49_408 - 2 * 256 - 2


def _byte_symbols() -> list[str]:
    """One printable character per byte, in the order in which CLIP (as GPT-2) numbers them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = len(set(range(256)) - set(printable))
    return [chr(code) for code in printable] + [chr(256 + i) for i in range(hidden)]


@cache
def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    spec = find_spec("open_clip")  # finds the package without the seconds that importing it takes
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "open_clip carries the CLIP vocabulary and is not installed: pip install lorabot[trainer]"
        )
    lines = gzip.decompress((Path(spec.submodule_search_locations[0]) / MERGES_FILE).read_bytes()).decode().split("\n")
    merges: list[tuple[str, str]] = []
    for line in lines[1 : 1 + _MERGE_COUNT]:
        first, second = line.split()
        merges.append((first, second))
    symbols = _byte_symbols()
    words = symbols + [symbol + "</w>" for symbol in symbols] + [a + b for a, b in merges] + [START, END]
    return {word: index for index, word in enumerate(words)}, merges


def load_tokenizer(pad: str = END) -> "CLIPTokenizer":
    """The tokenizer of every CLIP text encoder, OpenCLIP's too: 49,408 tokens, prompts of 77.

    ``pad`` fills a prompt up: the end mark in SD1.x, SDXL's first encoder and the demo models, ``BLANK`` where OpenCLIP
    trained the encoder (SD2.x, SDXL's second).
    """
    from transformers import CLIPTokenizer

    vocabulary, merges = _vocabulary()
    return CLIPTokenizer(
        vocab=dict(vocabulary),
        merges=list(merges),  # type: ignore[arg-type]  # pairs, which is what it takes; its hint says text
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=pad,
        model_max_length=CONTEXT_LENGTH,
    )
