"""Which images make up each step: all of one bucket, each as often as any other, a pure function of seed and step.

A bucket's images come in an endless row of shuffled rounds, cut into whole batches; what is left of a round begins the
next batch. The buckets' batches take turns by their size: a bucket with twice the images is up twice as often.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice

import torch

from lorabot.trainer.draws import generator


class Batches:
    """The batches of a training of ``steps`` steps of ``batch`` images each.

    ``groups`` are the training images by bucket. After any number of steps, two images of a bucket differ by at most
    one view, and a bucket is at most one batch ahead of its share or behind it.
    """

    def __init__(self, seed: int, groups: Sequence[Sequence[int]], batch: int, steps: int) -> None:
        self._seed, self._groups, self._batch = seed, groups, batch
        self._turns = list(islice(heapq.merge(*(self._due(index) for index in range(len(groups)))), steps))

    def at(self, step: int) -> torch.Tensor:
        """The images of step number ``step`` (from 0): int64 (B)."""
        _, group, number = self._turns[step]
        first = number * self._batch
        return torch.tensor([self._image(group, view) for view in range(first, first + self._batch)])

    def _due(self, group: int) -> Iterator[tuple[float, int, int]]:
        """When each batch of a group is up, counted in rounds through all images; the group, the batch's number."""
        every = self._batch / len(self._groups[group])
        shift = float(torch.rand((), generator=generator(self._seed, "turn", group)))
        number = 0
        while True:
            yield (number + shift) * every, group, number
            number += 1

    def _image(self, group: int, view: int) -> int:
        members = self._groups[group]
        round_, place = divmod(view, len(members))
        return members[int(torch.randperm(len(members), generator=generator(self._seed, "order", round_))[place])]
