"""Turns texts into what the UNet listens to: tokens in chunks, the towers' states, SDXL's pooled embedding.

A tower hears 77 tokens at once: a start mark, 75 of the text, an end mark. A longer text goes through in chunks whose
states are put in a row, as AUTOMATIC1111 and kohya's scripts do; like the former, a chunk ends at a comma where there
is one among its last tokens, so that no tag is torn apart.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from lorabot.trainer.conditions import Conditions, cat
from lorabot.trainer.sending import sent

if TYPE_CHECKING:
    from lorabot.trainer.bases import TextTower

CHUNK = 75
"""Tokens of a text that one pass through a tower takes."""
MOST_CHUNKS = 3
"""225 tokens: what kohya's scripts take too. What is beyond is not trained with, and said."""
_BACK = 20  # how far back a comma is looked for; AUTOMATIC1111's setting has the same
_AT_ONCE = 16

Texts = Callable[[torch.Tensor], Conditions]
"""Indices (B, int64, on the CPU) into a list of texts to their conditions, on the training device; no sizes yet."""


def cached(towers: Sequence["TextTower"], texts: Sequence[str], device: torch.device) -> Texts:
    """``texts`` through the towers once, where these are; the states are kept on ``device``."""
    table = encode_texts(towers, texts).to(device)
    return lambda rows: table.take(sent(rows, device))


def live(towers: Sequence["TextTower"], texts: Sequence[str]) -> Texts:
    """``texts`` through the towers at every call, as these are then: gradients reach their adapters."""
    chunks = chunks_needed(towers, texts)
    ids = [_ids(tower, texts, chunks) for tower in towers]
    return lambda rows: _states(towers, [each[rows] for each in ids])


@torch.no_grad()
def encode_texts(towers: Sequence["TextTower"], texts: Sequence[str]) -> Conditions:
    """``texts`` as the UNet hears them, on the towers' device; all as long as the longest of them needs."""
    chunks = chunks_needed(towers, texts)
    ids = [_ids(tower, texts, chunks) for tower in towers]
    parts = range(0, len(texts), _AT_ONCE)
    return cat([_states(towers, [each[start : start + _AT_ONCE] for each in ids]) for start in parts])


def chunks_needed(towers: Sequence["TextTower"], texts: Sequence[str]) -> int:
    """How many chunks the longest of ``texts`` takes, 3 at most."""
    return max((min(len(_chunks(tower, text)), MOST_CHUNKS) for tower in towers for text in texts), default=1)


def too_long(towers: Sequence["TextTower"], text: str) -> bool:
    """Whether the end of ``text`` is not heard any more."""
    return any(len(_chunks(tower, text)) > MOST_CHUNKS for tower in towers)


def _states(towers: Sequence["TextTower"], ids: Sequence[torch.Tensor]) -> Conditions:
    """``ids``: for each tower the tokens (B, chunks, 77)."""
    states: list[torch.Tensor] = []
    pooled = None
    for tower, given in zip(towers, ids, strict=True):
        heard: Any = tower.encoder(given.flatten(0, 1).to(tower.encoder.device), output_hidden_states=tower.layer > 1)
        layer: torch.Tensor = heard.last_hidden_state
        if tower.layer > 1:
            layer = heard.hidden_states[-tower.layer]
            if tower.normed:
                encoder: Any = tower.encoder
                layer = getattr(encoder, "text_model", encoder).final_layer_norm(layer)
        states.append(layer.reshape(len(given), -1, layer.shape[-1]))
        if tower.pooled:
            # Of the first chunk, as AUTOMATIC1111 and kohya's scripts take it.
            pooled = heard.text_embeds[:: given.shape[1]]
    return Conditions(torch.cat(states, dim=-1), pooled)


def _ids(tower: "TextTower", texts: Sequence[str], chunks: int) -> torch.Tensor:
    """(B, chunks, 77); a text that needs fewer chunks than others is filled up with empty ones."""
    marks: Any = tower.tokenizer
    rows = []
    for text in texts:
        parts = _chunks(tower, text)[:chunks]
        parts += [[]] * (chunks - len(parts))
        rows.append([[marks.bos_token_id, *part, marks.eos_token_id] for part in parts])
    full = [[part + [marks.pad_token_id] * (CHUNK + 2 - len(part)) for part in parts] for parts in rows]
    return torch.tensor(full)


def _chunks(tower: "TextTower", text: str) -> list[list[int]]:
    """The tokens of ``text`` in chunks of at most 75, one at least."""
    tokenizer: Any = tower.tokenizer
    rest: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    chunks = []
    while len(rest) > CHUNK:
        commas = [place for place in range(CHUNK - _BACK, CHUNK) if rest[place] == comma]
        end = commas[-1] + 1 if commas else CHUNK
        chunks.append(rest[:end])
        rest = rest[end:]
    return [*chunks, rest]
