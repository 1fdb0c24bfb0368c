"""The event file of a job, as TensorBoard's own reader sees it."""

import platform
import struct
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from lorabot.locale import translator
from lorabot.trainer import resume
from lorabot.trainer.course import Course
from lorabot.trainer.events import write_events
from tests.trainer.conftest import Trained

Series = dict[str, list[tuple[int, Any]]]


def read(path: Path) -> Series:
    """(step, value) by tag; TensorBoard makes tensors of everything."""
    found: Series = {}
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            tensor = value.tensor
            one = tensor.float_val[0] if tensor.float_val else list(tensor.string_val)
            found.setdefault(value.tag, []).append((event.step, one))
    return found


def single(value: float) -> float:
    """What is left of ``value`` in the 32 bits that the format has."""
    kept: float = struct.unpack("f", struct.pack("f", value))[0]
    return kept


def saved_of(trained: Trained) -> resume.ResumeState:
    return resume.read(trained.job.folder / "resume" / "000006.safetensors")


def test_tensorboard_reads_the_values_of_the_course(trained: Trained) -> None:
    course, found = saved_of(trained).course, read(trained.file("tensorboard"))
    assert found["train/loss"] == [(i + 1, single(loss)) for i, loss in enumerate(course.losses) if loss is not None]
    assert found["train/learning_rate"] == [(i + 1, single(rate)) for i, rate in enumerate(course.rates)]
    rates = [(i + 1, pytest.approx(1 / seconds)) for i, seconds in enumerate(course.durations)]
    assert found["train/steps_per_second"] == rates
    assert found["validation/loss"] == [(step, single(loss)) for step, loss in course.validation]
    assert found["validation/loss_on_training_images"] == [(step, single(loss)) for step, loss in course.seen]


def test_tensorboard_shows_the_samples_and_the_plan(trained: Trained) -> None:
    found = read(trained.file("tensorboard"))
    for number in (1, 2):
        assert [step for step, _ in found[f"samples/{number}"]] == [0, 3, 6]
        for step, (width, height, jpeg) in found[f"samples/{number}"]:
            path = trained.job.folder / "samples" / f"{step:06d}-{number}.png"
            with Image.open(BytesIO(jpeg)) as shown, Image.open(path) as drawn:
                assert (int(width), int(height)) == shown.size == drawn.size
                differences = zip(shown.convert("L").tobytes(), drawn.convert("L").tobytes(), strict=True)
                assert sum(abs(a - b) for a, b in differences) / (64 * 64) < 8
    ((step, (plan,)),) = found["plan/text_summary"]
    assert step == 0
    assert all(translator("en").text(reason) in plan.decode() for reason in saved_of(trained).plan.reasons)


def test_a_step_that_was_skipped_has_no_loss(tmp_path: Path) -> None:
    course = Course(losses=[0.5, None, 0.25], rates=[1e-4] * 3, durations=[0.5] * 3, validation=[(0, 1.0)])
    path = tmp_path / "x.tfevents"
    write_events(course, {}, (), "## Plan", datetime(2026, 1, 1, tzinfo=UTC), path)
    found = read(path)
    assert found["train/loss"] == [(1, 0.5), (3, 0.25)]
    assert [value for _, value in found["train/steps_per_second"]] == [2.0] * 3
    began = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    times = [event.wall_time - began for event in EventFileLoader(str(path)).Load()]
    assert times == [0, 0, 0, 0.5, 1.0, 1.5]


def test_the_file_names_neither_host_nor_folder(trained: Trained) -> None:
    path = trained.file("tensorboard")
    assert path.name == "My-Zuri.tfevents"
    content = path.read_bytes()
    assert platform.node().encode() not in content
    assert str(trained.job.folder).encode() not in content
