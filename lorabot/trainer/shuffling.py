"""Shows a caption's tags in several orders, so that no tag means its place; a pure function of seed and image."""

import torch

from lorabot.trainer.captioning import tags
from lorabot.trainer.draws import generator


def variants(text: str, orders: int, seed: int, image: int) -> tuple[str, ...]:
    """The caption of image number ``image`` with its tags in up to ``orders`` different orders; 0: as it is.

    The first tag, which holds the trigger word, stays first. What is between commas is a tag.
    """
    first, *rest = tags(text) or [text]
    if not orders or len(rest) < 2:
        return (text,)
    found: dict[str, None] = {}
    for number in range(orders):
        order = torch.randperm(len(rest), generator=generator(seed, "tags", image, number)).tolist()
        found[", ".join([first, *(rest[place] for place in order)])] = None
    return tuple(found)
