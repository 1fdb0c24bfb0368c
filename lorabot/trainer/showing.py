"""Draws a job's sample pictures and shows them: files in the job's folder that say how they were drawn."""

import logging
from contextlib import nullcontext
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lorabot.trainer import adapter
from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.control import Control
from lorabot.trainer.disk import disk_is_full
from lorabot.trainer.infotext import KEY, Lora, infotext
from lorabot.trainer.pictures import side_by_side
from lorabot.trainer.sampling import Settings, sample
from lorabot.trainer.telling import Emit
from lorabot.trainer.training import Setup
from lorabot.trainer.wire import SampleMade, TrainingJob

_log = logging.getLogger(__name__)


def draw(
    job: TrainingJob,
    setup: Setup,
    wanted: Settings,
    step: int,
    control: Control,
    emit: Emit,
    autoencoder: Autoencoder,
    lora: Lora | None = None,
) -> tuple[bytes, ...]:
    """Draw the sample pictures after ``step`` and show them; before the first step, those of the base model alone.

    ``lora``: the file that they will be drawn with elsewhere, once there is one. Returns PNG files.
    """
    with adapter.switched_off(setup.modules) if step == 0 else nullcontext():
        drawn = sample(setup.base, setup.denoise, wanted, control.check, autoencoder)
    texts = [infotext(wanted.drawn(prompt), lora) for prompt in wanted.prompts]
    files = tuple(side_by_side(_png, list(zip(drawn, texts, strict=True))))
    show(job, step, files, wanted, emit)
    return files


def show(job: TrainingJob, step: int, files: tuple[bytes, ...], wanted: Settings, emit: Emit) -> None:
    """Put the PNG ``files`` of ``step`` where they can be seen, and say so.

    What the disk does not take is seen at the end, in the grid.
    """
    folder = job.folder / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    for index, (content, prompt) in enumerate(zip(files, wanted.prompts, strict=True)):
        path = folder / f"{step:06d}-{index + 1}.png"
        try:
            path.write_bytes(content)
        except OSError as error:
            if not disk_is_full(error):
                raise
            _log.warning("job %s: a sample picture is not shown: %s", job.id, error)
            continue
        emit(SampleMade(job=job.id, step=step, index=index, prompt=prompt.text, path=path))


def _png(drawn: tuple[Image.Image, str]) -> bytes:
    picture, text = drawn
    content, about = BytesIO(), PngInfo()
    about.add_text(KEY, text)
    picture.save(content, format="PNG", pnginfo=about)
    return content.getvalue()
