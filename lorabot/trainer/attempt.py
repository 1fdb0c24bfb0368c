"""One try at a job: what it works with, and the base model opened for it with a fresh adapter on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass

from lorabot.locale import Message
from lorabot.presets import Recipe
from lorabot.trainer import adapter
from lorabot.trainer.autoencoding import Autoencoder, Surroundings
from lorabot.trainer.bases import BaseModel, TextTower
from lorabot.trainer.captioning import Caption
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.control import Control
from lorabot.trainer.denoising import Denoiser, denoiser, why_plain
from lorabot.trainer.encoding import text_learners
from lorabot.trainer.fast import Why
from lorabot.trainer.memory import Gauge
from lorabot.trainer.models import Models
from lorabot.trainer.offloading import off_card
from lorabot.trainer.planning import Hardware
from lorabot.trainer.route import Route, route
from lorabot.trainer.saving import Saver
from lorabot.trainer.telling import Emit, Stopwatch, Teller
from lorabot.trainer.wire import Notice, TrainingJob


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try at a job works with; ``captions`` are those of its images, heard by ``towers``."""

    job: TrainingJob
    models: Models
    config: TrainerConfig
    control: Control
    emit: Emit
    teller: Teller
    clock: Stopwatch
    base: BaseModel
    towers: tuple[TextTower, ...]
    captions: tuple[Caption, ...]
    saver: Saver

    def notify(self, message: Message) -> None:
        """Tell the person now."""
        self.emit(Notice(job=self.job.id, message=message))


@dataclass(frozen=True, slots=True)
class Opened:
    """The base of an ``attempt``, opened for ``recipe``: ``modules`` carry a fresh adapter, ``denoise`` is the way
    through the UNet.

    ``hardware``: as it was before. ``plainly``: why the way is plain whatever is free. ``ways``: what was said of each
    way that was opened, the last at the end.
    """

    attempt: Attempt
    recipe: Recipe
    hardware: Hardware
    gauge: Gauge
    modules: adapter.Modules
    denoise: Route
    autoencoder: Autoencoder
    plainly: Why | None
    ways: list[Message]


@contextmanager
def open_base(attempt: Attempt, recipe: Recipe) -> Iterator[Opened]:
    """The base of ``attempt`` opened for the block; afterwards it is as it was, but for what is kept warm."""
    base, warm = attempt.base, attempt.models.warm
    learners = text_learners(base, recipe)
    off_card(base.vae, *(tower.encoder for tower in attempt.towers if tower.encoder not in learners.values()))
    hardware = attempt.models.hardware()
    gauge = attempt.models.gauge()
    modules: adapter.Modules = {"unet": base.unet, **learners}
    plainly, ways = why_plain(recipe), list[Message]()

    def opener(checkpointing: bool, offloading: bool) -> AbstractContextManager[Denoiser]:
        card = hardware.card is not None
        return denoiser(base.unet, hardware.precision, checkpointing, plainly, card, warm, offloading, say)

    def say(message: Message) -> None:
        ways.append(message)
        if denoise.is_open:  # what is said of a way as it is opened is part of the plan
            denoise.tell(message)

    with (
        adapter.attached(modules, recipe, attempt.job.seed),
        route(base.unet, gauge, opener, warm) as denoise,
        closing(_autoencoder(attempt, hardware, gauge, denoise)) as autoencoder,
    ):
        yield Opened(attempt, recipe, hardware, gauge, modules, denoise, autoencoder, plainly, ways)


def _autoencoder(attempt: Attempt, hardware: Hardware, gauge: Gauge, way: Route) -> Autoencoder:
    if hardware.card is None:
        return Autoencoder(attempt.base, gauge)

    def room() -> int:
        card = attempt.models.hardware().card
        return card.free if card else 0

    return Autoencoder(attempt.base, gauge, Surroundings(room, way.aside, lambda message: way.tell(message)))
