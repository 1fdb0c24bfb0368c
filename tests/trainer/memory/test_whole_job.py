"""Whole jobs on a simulated card: planned for it, and brought to their end when it gets too small."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lorabot.locale import translator
from lorabot.trainer import fitting, wire
from lorabot.trainer.bases import BaseModel, LocatedBase
from lorabot.trainer.clip import Clip
from lorabot.trainer.control import Control
from lorabot.trainer.devices import Card
from lorabot.trainer.errors import Cancelled, OutOfMemory
from lorabot.trainer.job import run
from lorabot.trainer.memory import DoesNotFit, Fitting, Gauge, Measured, away
from lorabot.trainer.models import Models
from lorabot.trainer.planning import Hardware
from lorabot.trainer.probing import Probe
from tests.trainer.conftest import QUICK, Trained, make_job, tiny_preset
from tests.trainer.memory.simulated_card import SimulatedCard

MIB = 1 << 20


class OnACard(Models):
    """The models of a host with a card that another program shares."""

    def __init__(self, card: SimulatedCard, loaded: Models) -> None:
        super().__init__("cpu")
        self._card, self._loaded = card, loaded

    def base(self, wanted: LocatedBase | None = None) -> BaseModel:
        return self._loaded.base(wanted)

    def clip(self) -> Clip:
        return self._loaded.clip()

    def hardware(self) -> Hardware:
        free = self._card.budget - self._card.held()
        card = Card(0, "GPU-1", "a card", self._card.budget, free, ())
        return replace(super().hardware(), card=card, holders="chrome (3.1 GB)")

    def gauge(self) -> Gauge:
        return self._card


def job(folder: Path, measured: Path, **changes: object) -> wire.TrainingJob:
    recipe = {"views": 8, "batch": 4, "rank": 8, "alpha": 8.0, "sample_steps": 1, "sample_prompts": ("{trigger}",)}
    return make_job(folder, 2, vocabulary=None, measured=measured, preset=tiny_preset(**recipe, **changes))


CONFIG = QUICK.model_copy(update={"sample_rounds": 0, "validations": 1, "memory_wait_s": 0.01})


@pytest.mark.slow
def test_a_job_is_planned_for_the_card_foretells_its_peak_and_the_next_one_tries_nothing(
    models: Models, tmp_path: Path
) -> None:
    card = SimulatedCard(1 << 34)
    host = OnACard(card, models)
    card.bring(host.base().unet)
    measured = tmp_path / "measured.json"
    with card:
        done = run(job(tmp_path / "first", measured), host, CONFIG, Control(), lambda _: None)
    peak, planned = done.summary["peak_bytes"], done.summary["planned_peak_bytes"]
    assert isinstance(peak, int)
    assert planned == pytest.approx(peak, rel=0.1)
    learnt, control = measured.read_bytes(), Control()

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.Progress) and event.stage == "training":
            control.cancel()

    with pytest.raises(Cancelled), card:
        run(job(tmp_path / "second", measured), host, CONFIG, control, listen)
    assert measured.read_bytes() == learnt, "there was nothing new to measure"


def test_on_a_card_that_is_known_a_job_is_planned_without_any_pass_through_a_model(
    models: Models, tmp_path: Path
) -> None:
    card = SimulatedCard(1 << 34)
    host = OnACard(card, models)
    base = host.base()
    card.bring(base.unet)
    passes: list[str] = []
    hooks = [
        base.unet.register_forward_pre_hook(lambda *_: passes.append("unet")),
        base.vae.encoder.register_forward_pre_hook(lambda *_: passes.append("vae")),
    ]

    def planned(folder: Path) -> set[str]:
        """What was gone through until the training began."""
        passes.clear()
        control = Control()

        def listen(event: wire.Event) -> None:
            if isinstance(event, wire.Progress) and event.stage == "training":
                control.cancel()

        with pytest.raises(Cancelled), card:
            run(job(folder, tmp_path / "measured.json"), host, CONFIG, control, listen)
        return set(passes)

    try:
        assert planned(tmp_path / "first") == {"unet", "vae"}
        assert planned(tmp_path / "second") == set()
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slower", "available", "tries", "chosen"),
    [(1e-3, 1 << 40, True, True), (1e3, 1 << 40, True, False), (1e-3, 1 << 30, False, False)],
    ids=["faster", "slower", "a host without room"],
)
def test_weights_are_off_loaded_where_that_is_faster_and_come_back_where_it_is_not(
    models: Models,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slower: float,
    available: int,
    tries: bool,
    chosen: bool,
) -> None:
    measure, tried = Probe.__call__, list[Fitting]()

    def narrow(probe: Probe, asked: Fitting) -> Measured:
        """As on a card that takes one row at once beside the weights; its driver takes long for each pass."""
        tried.append(asked)
        if asked.batch > 1 and not asked.offloading:
            raise DoesNotFit
        measured = measure(probe, asked)
        return replace(measured, seconds=slower if asked.offloading else 1.0)

    monkeypatch.setattr(Probe, "__call__", narrow)
    monkeypatch.setattr(fitting, "psutil", SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=available)))
    card = SimulatedCard(1 << 34)
    host = OnACard(card, models)
    unet = host.base().unet
    card.bring(unet)
    with card:
        run(job(tmp_path, tmp_path / "measured.json", checkpointing=True), host, CONFIG, Control(), lambda _: None)
    plan = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["plan"]
    assert (plan["offloading"], plan["batch"]) == (chosen, 4 if chosen else 1)
    assert any(each.offloading for each in tried) == tries
    assert away(unet) == 0


def test_what_no_plan_fits_is_given_up_bit_by_bit_then_waited_for_and_only_then_fails(
    models: Models, tmp_path: Path
) -> None:
    card = SimulatedCard(1 << 34)
    host = OnACard(card, models)
    card.bring(host.base().unet)
    card.budget = card.held() // 2
    notices: list[str] = []

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.Notice):
            notices.append(event.message.code.removeprefix("training-notice-"))
            assert "{" not in translator("zh-CN").text(event.message)

    with pytest.raises(OutOfMemory) as caught, card:
        run(job(tmp_path, tmp_path / "measured.json", resolution=128), host, CONFIG, Control(), listen)
    assert caught.value.message.params == {"holders": "chrome (3.1 GB)"}
    given_up = [code for code in notices if code.startswith(("down", "waiting"))]
    assert given_up == ["down-rank", "down-resolution", "down-resolution", "waiting"]


def test_a_training_that_came_to_its_end_gives_nothing_up_for_its_last_pictures(
    trained: Trained, models: Models, tmp_path: Path
) -> None:
    class Full(OnACard):
        def gauge(self) -> Gauge:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    last = max((trained.job.folder / "resume").iterdir())
    again = trained.job.model_copy(update={"folder": tmp_path, "resume": last})
    notices: list[str] = []

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.Notice):
            notices.append(event.message.code)

    with pytest.raises(OutOfMemory):
        run(again, Full(SimulatedCard(1 << 34), models), CONFIG, Control(), listen)
    assert notices == ["training-notice-waiting"]


@pytest.mark.parametrize(("stage", "let_go"), [("base", True), ("clip", True), ("base", False)])
def test_what_finds_no_room_on_a_full_card_waits_for_it(
    models: Models, tmp_path: Path, stage: str, let_go: bool
) -> None:
    card, control = SimulatedCard(1 << 34), Control()
    host = OnACard(card, models)
    does, tries = getattr(host, stage), list[int]()
    told: list[str] = []

    def loaded(*arguments: object) -> object:
        tries.append(1)
        if len(tries) == 1 or not let_go:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        control.cancel()  # that is all that is to be seen
        return does(*arguments)

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.Notice):
            told.append(translator("en").text(event.message))
            if let_go:
                card.budget *= 2

    setattr(host, stage, loaded)
    wanted = make_job(tmp_path, 2, preset=tiny_preset(views=8, batch=4))
    config = CONFIG.model_copy(update={"memory_wait_s": 30 if let_go else 0.01})
    with pytest.raises(Cancelled if let_go else OutOfMemory):
        run(wanted, host, config, control, listen)
    assert len(tries) == 1 + let_go
    assert len(told) == 1
    assert "chrome (3.1 GB)" in told[0]
