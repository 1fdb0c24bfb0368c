"""What the UNet is told is kept together, item by item."""

import torch

from lorabot.trainer.conditions import Conditions, cat


def some(count: int) -> Conditions:
    chance = torch.Generator().manual_seed(count)
    made = (torch.randn(count, *shape, generator=chance) for shape in ((77, 8), (5,), (6,)))
    return Conditions(*made)


def test_items_are_taken_and_joined_with_all_that_belongs_to_them() -> None:
    one, two = some(3), some(2)
    joined = cat([one, two])
    assert len(joined) == 5
    again = joined.take(torch.tensor([4, 0]))
    for found, first, second in zip(again.tensors(), two.tensors(), one.tensors(), strict=True):
        assert torch.equal(found, torch.stack([first[1], second[0]]))


def test_only_a_base_that_listens_to_more_than_states_is_told_more() -> None:
    assert Conditions(some(2).states).added() is None
    added = some(2).added()
    assert added is not None
    assert torch.equal(added["text_embeds"], some(2).tensors()[1])
    assert torch.equal(added["time_ids"], some(2).tensors()[2])
