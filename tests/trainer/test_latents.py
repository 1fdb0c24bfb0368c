"""Latents are made once, and found again where another attempt has made them."""

from pathlib import Path

import pytest
import torch

from lorabot.trainer.latents import Latents, Place, keep, name_of, place

CPU = torch.device("cpu")


class Maker:
    """Makes latents and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> torch.Tensor:
        self.made += 1
        return torch.randn(3, 4, 2, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_views_are_the_same_wherever_they_are_kept(tmp_path: Path, where: Place) -> None:
    make = Maker()
    latents = Latents((keep(where, tmp_path / "cache", "one", make),) * 2, ((4, 2, 5),) * 2, CPU)
    expected = make()
    assert torch.equal(latents.take([0, 1, 0], [2, 0, 1]), expected[[2, 0, 1]])
    assert bool(list(tmp_path.rglob("*.safetensors"))) == (where == "disk")


def test_another_attempt_finds_what_is_on_disk_and_makes_anew_what_was_cut_short(tmp_path: Path) -> None:
    make = Maker()
    path = keep("disk", tmp_path, "one", make)
    assert keep("disk", tmp_path, "one", make) == path
    assert make.made == 1
    assert isinstance(path, Path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    keep("disk", tmp_path, "one", make)
    assert make.made == 2
    assert path.read_bytes() == whole
    keep("disk", tmp_path, "other", make)
    assert make.made == 3


def test_a_name_changes_with_everything_the_latents_depend_on() -> None:
    names = {name_of(*parts) for parts in (("a", "b"), ("a", "c"), ("ab",), (("a", "b"),))}
    assert len(names) == 4
    assert name_of("a", (1, 2)) == name_of("a", (1, 2))


def test_a_few_latents_stay_in_memory_and_very_many_go_to_disk() -> None:
    assert place(1 << 20, CPU) == "memory"
    assert place(1 << 60, CPU) == "disk"
