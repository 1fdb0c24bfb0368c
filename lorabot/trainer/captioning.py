"""Stage: gives every image its caption, the trigger word first.

A caption that the person wrote is kept. The others are made of the labels that CLIP finds likely, group by group of the
preset's vocabulary: at most one label a group, and none where CLIP is not sure enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lorabot.presets import Vocabulary
from lorabot.trainer.control import Control
from lorabot.trainer.pictures import read_picture, side_by_side
from lorabot.trainer.wire import TrainingImage

if TYPE_CHECKING:
    import torch

    from lorabot.trainer.clip import Clip

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Label:
    """What CLIP says about one image: ``probability`` is the label's share among those of its group."""

    group: str
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Caption:
    """The words one image is trained with. ``labels`` holds every group's best label, used or not."""

    text: str
    source: Literal["person", "zero-shot", "trigger"]
    labels: tuple[Label, ...] = ()


def caption(
    images: Sequence[TrainingImage], trigger: str, vocabulary: Vocabulary | None, clip: "Clip | None", control: Control
) -> tuple[Caption, ...]:
    """One caption an image, in their order. Without vocabulary or CLIP, the trigger word alone.

    Raises ``BrokenImage``, and what ``control`` raises.
    """
    missing = [image for image in images if not (image.caption or "").strip()]
    found: dict[str, tuple[Label, ...]] = {}
    if vocabulary is not None and clip is not None and missing:
        found = dict(
            zip([str(image.path) for image in missing], _classify(missing, vocabulary, clip, control), strict=True)
        )
    captions = []
    for image in images:
        given = " ".join((image.caption or "").split())
        labels = found.get(str(image.path), ())
        if given:
            captions.append(Caption(with_trigger(given, trigger), "person"))
        elif vocabulary is not None and labels:
            captions.append(Caption(compose(trigger, vocabulary, labels), "zero-shot", labels))
        else:
            captions.append(Caption(trigger, "trigger"))
    return tuple(captions)


def with_trigger(text: str, trigger: str) -> str:
    """``text`` with the trigger word first; where it is one of its tags it goes there, and does not come twice."""
    parts = tags(text)
    if _words(text)[: len(_words(trigger))] == _words(trigger):
        return text
    rest = [tag for tag in parts if _words(tag) != _words(trigger)]
    return ", ".join([trigger, *rest]) if len(rest) < len(parts) else f"{trigger}, {text}"


def tags(text: str) -> list[str]:
    """What stands between the commas of ``text``."""
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def _words(text: str) -> list[str]:
    return "".join(sign if sign.isalnum() or sign in "-_" else " " for sign in text.casefold()).split()


def compose(trigger: str, vocabulary: Vocabulary, labels: Sequence[Label]) -> str:
    """The trigger, then each group's label where its probability reaches the group's threshold."""
    groups = {group.name: group for group in vocabulary.groups}
    sure = [label for label in labels if label.probability >= groups[label.group].threshold]
    return ", ".join([trigger, *(label.label for label in sure if label.label not in groups[label.group].unsaid)])


def _classify(
    images: Sequence[TrainingImage], vocabulary: Vocabulary, clip: "Clip", control: Control
) -> list[tuple[Label, ...]]:
    import torch

    found: list[tuple[Label, ...]] = []
    with torch.inference_mode():
        model: Any = clip.model
        scale = model.logit_scale.exp()
        groups = [(group, _text_features(clip, group.template, group.labels)) for group in vocabulary.groups]
        for start in range(0, len(images), _BATCH):
            control.check()
            some = images[start : start + _BATCH]
            pictures = torch.stack(list(side_by_side(lambda image: clip.preprocess(read_picture(image)), some)))
            features = model.encode_image(pictures.to(clip.device), normalize=True)
            likely = []
            for group, texts in groups:
                best = (scale * features @ texts.T).float().softmax(dim=-1).max(dim=-1)
                likely.append(
                    [
                        Label(group.name, group.labels[index], round(probability, 4))
                        for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
                    ]
                )
            found.extend(zip(*likely, strict=True))
    return found


def _text_features(clip: "Clip", template: str, labels: Sequence[str]) -> "torch.Tensor":
    tokens = clip.tokenizer([template.replace("{label}", label) for label in labels])
    model: Any = clip.model
    features: torch.Tensor = model.encode_text(tokens.to(clip.device), normalize=True)
    return features
