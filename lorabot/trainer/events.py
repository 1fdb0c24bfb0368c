"""Writes what happened in a job as a TensorBoard event file: what the report has as tables, as curves and pictures."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from io import BytesIO
from pathlib import Path

from PIL import Image
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import text

from lorabot.trainer.course import Course

_VERSION = "brain.Event:2"
"""What every event file begins with; readers look for it."""
_JPEG_QUALITY = 90
"""The PNG files are there already; a twentieth of their size is enough to see what a training does."""

Values = list[Summary.Value]


def write_events(
    course: Course,
    pictures: Mapping[int, tuple[bytes, ...]],
    prompts: tuple[str, ...],
    plan: str,
    started: datetime,
    path: Path,
) -> None:
    """Write ``course`` with the ``pictures`` drawn after its steps, one a prompt, and the ``plan`` as Markdown.

    The file's name must hold ``tfevents``, or TensorBoard passes it over. Written at the end and from the course alone,
    so that a training that was interrupted has each step once. Times are those of the training steps: what was spent on
    saving and drawing between them is left out. (The library's own writers put the host's name into the file's name.)
    """
    writer = RecordWriter(str(path))
    try:
        writer.write(Event(wall_time=started.timestamp(), file_version=_VERSION).SerializeToString())
        done = [0.0]
        for seconds in course.durations:
            done.append(done[-1] + seconds)
        for step, values in _steps(course, pictures, prompts, plan):
            at = started.timestamp() + done[step]
            writer.write(Event(wall_time=at, step=step, summary=Summary(value=values)).SerializeToString())
    finally:
        writer.close()


def _steps(
    course: Course, pictures: Mapping[int, tuple[bytes, ...]], prompts: tuple[str, ...], plan: str
) -> Iterator[tuple[int, Values]]:
    """What there is to see of each step that was done; of 0, what was measured before the first."""
    validation, seen = dict(course.validation), dict(course.seen)
    yield 0, list(text("plan", plan).value)
    for step in range(course.step + 1):
        values: Values = []
        if step:
            loss = course.losses[step - 1]
            if loss is not None:
                values.append(_scalar("train/loss", loss))
            values.append(_scalar("train/learning_rate", course.rates[step - 1]))
            values.append(_scalar("train/steps_per_second", 1 / course.durations[step - 1]))
        if step in validation:
            values.append(_scalar("validation/loss", validation[step]))
        if step in seen:
            values.append(_scalar("validation/loss_on_training_images", seen[step]))
        for index, content in enumerate(pictures.get(step, ())):
            values.append(_picture(f"samples/{index + 1}", prompts[index], content))
        if values:
            yield step, values


def _scalar(tag: str, value: float) -> Summary.Value:
    return Summary.Value(tag=tag, simple_value=value)


def _picture(tag: str, prompt: str, content: bytes) -> Summary.Value:
    """As a tensor: of a picture in the older form, TensorBoard's fast reader loses the name that is displayed."""
    jpeg = BytesIO()
    with Image.open(BytesIO(content)) as picture:
        picture.convert("RGB").save(jpeg, format="JPEG", quality=_JPEG_QUALITY)
        width, height = picture.size
    strings = [str(width).encode(), str(height).encode(), jpeg.getvalue()]
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(strings))])
    return Summary.Value(
        tag=tag,
        tensor=TensorProto(dtype="DT_STRING", string_val=strings, tensor_shape=shape),
        metadata=SummaryMetadata(display_name=prompt, plugin_data=SummaryMetadata.PluginData(plugin_name="images")),
    )
