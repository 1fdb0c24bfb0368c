"""Captions: by CLIP over a vocabulary, or by the person."""

from pathlib import Path

import pytest

from lorabot.presets import Group, Vocabulary
from lorabot.trainer.captioning import Label, caption, compose, with_trigger
from lorabot.trainer.control import Control
from lorabot.trainer.errors import Cancelled
from lorabot.trainer.models import Models
from lorabot.trainer.shuffling import variants
from tests.trainer.conftest import draw_images, vocabulary


def test_every_caption_begins_with_the_trigger_and_holds_at_most_one_label_of_each_group(
    models: Models, tmp_path: Path
) -> None:
    images = draw_images(tmp_path, 5)
    words = vocabulary()
    found = caption(images, "zuri", words, models.clip(), Control())
    assert len(found) == 5
    for each in found:
        assert "zuri" in each.text
        if each.source == "person":
            assert not each.labels
            continue
        assert [label.group for label in each.labels] == [group.name for group in words.groups]
        said = each.text.split(", ")[1:]
        for group in words.groups:
            assert sum(label in said for label in group.labels) <= 1


def test_a_caption_by_the_person_is_kept_and_gets_the_trigger(models: Models, tmp_path: Path) -> None:
    found = caption(draw_images(tmp_path, 2), "zuri", vocabulary(), models.clip(), Control())
    assert (found[1].text, found[1].source) == ("zuri, a drawing, of a friend", "person")
    assert found[0].source == "zero-shot"


def test_captions_do_not_depend_on_the_other_images(models: Models, tmp_path: Path) -> None:
    images = draw_images(tmp_path, 4)
    together = caption(images, "zuri", vocabulary(), models.clip(), Control())
    alone = caption(images[3:], "zuri", vocabulary(), models.clip(), Control())
    assert alone[0].text == together[3].text


def test_probabilities_are_shares_of_the_group(models: Models, tmp_path: Path) -> None:
    twin = Vocabulary(
        id="twin", groups=(Group(name="same", template="a {label}", labels=("cat", "cat "[:3] + "s"), threshold=0.0),)
    )
    (found, *_) = caption(draw_images(tmp_path, 1), "zuri", twin, models.clip(), Control())
    assert 0.5 <= found.labels[0].probability <= 1.0


def test_labels_below_their_threshold_are_not_said() -> None:
    words = Vocabulary(
        id="w",
        groups=(
            Group(name="place", template="{label}", labels=("at home", "outside"), threshold=0.6),
            Group(name="light", template="{label}", labels=("by day", "at night"), threshold=0.6),
        ),
    )
    labels = (Label("place", "outside", 0.59), Label("light", "at night", 0.6))
    assert compose("zuri", words, labels) == "zuri, at night"


def test_without_vocabulary_the_trigger_stands_alone(tmp_path: Path) -> None:
    found = caption(draw_images(tmp_path, 1), "zuri", None, None, Control())
    assert (found[0].text, found[0].source) == ("zuri", "trigger")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog", "zuri, a dog"),
        ("Zuri on a hill", "Zuri on a hill"),
        ("zuri, smiling", "zuri, smiling"),
        ("a cat, Zuri, smiling", "zuri, a cat, smiling"),
        ("a photo of zuri, smiling", "zuri, a photo of zuri, smiling"),
        ("zurich at night", "zuri, zurich at night"),
    ],
)
def test_a_given_caption_has_the_trigger_first(text: str, expected: str) -> None:
    assert with_trigger(text, "zuri") == expected


def test_tags_are_shown_in_several_orders_behind_the_trigger() -> None:
    text = "zuri, a, b, c, d"
    found = variants(text, 6, 1, 0)
    assert len(set(found)) == len(found) > 3
    for each in found:
        first, *rest = each.split(", ")
        assert (first, sorted(rest)) == ("zuri", ["a", "b", "c", "d"])
    assert found == variants(text, 6, 1, 0)
    assert found[:3] == variants(text, 3, 1, 0), "more orders leave the first ones as they were"
    assert found != variants(text, 6, 1, 1) != variants(text, 6, 2, 1), "every image and seed has its own"
    assert variants(text, 0, 1, 0) == (text,)
    assert variants("zuri, a", 6, 1, 0) == ("zuri, a",)


def test_captioning_can_be_stopped(models: Models, tmp_path: Path) -> None:
    control = Control()
    control.cancel()
    with pytest.raises(Cancelled):
        caption(draw_images(tmp_path, 1), "zuri", vocabulary(), models.clip(), control)
