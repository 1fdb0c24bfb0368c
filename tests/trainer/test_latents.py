"""Latents are made once, and found again where another attempt has made them."""

from pathlib import Path
from typing import Literal

import pytest
import torch

from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.buckets import Bucket
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.control import Control
from lorabot.trainer.encoding import Told, encode
from lorabot.trainer.latents import Latents, Place, keep, name_of, place
from tests.trainer import small_bases
from tests.trainer.conftest import draw_images, tiny_recipe

CPU = torch.device("cpu")
PLACES: tuple[Place, ...] = ("memory", "nowhere")


class Maker:
    """Makes latents and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> torch.Tensor:
        self.made += 1
        return torch.randn(3, 4, 2, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_views_are_the_same_wherever_they_are_kept(tmp_path: Path, where: Literal["memory", "disk"]) -> None:
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


def test_a_few_latents_stay_in_memory_very_many_go_to_disk_and_what_finds_no_room_there_nowhere() -> None:
    assert place(1 << 20, CPU, 0) == "memory"
    assert place(1 << 60, CPU, 1 << 61) == "disk"
    assert place(1 << 60, CPU, 1 << 59) == "nowhere"


def test_latents_that_are_kept_nowhere_are_made_when_they_are_looked_at_and_are_the_same(tmp_path: Path) -> None:
    base = small_bases.base_model("sd15")
    told = Told(lambda rows: Conditions(torch.zeros(len(rows), 77, 8)), ((0,), (0,)), 0)
    images, buckets = draw_images(tmp_path, 2), (Bucket(64, 64),) * 2
    kept, made = (
        encode(base, images, buckets, told, tiny_recipe(), 7, where, tmp_path, Control(), Autoencoder(base)).latents
        for where in PLACES
    )
    assert all(callable(item) for item in made.items)
    torch.testing.assert_close(made.take([0, 1, 0], [1, 0, 0]), kept.take([0, 1, 0], [1, 0, 0]))
    assert not list(tmp_path.rglob("*.safetensors"))
