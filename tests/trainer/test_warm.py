"""Jobs that follow each other on one engine: what is kept for the next one is used, and changes nothing of it."""

import gc
import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lorabot.trainer import fitting, training, wire
from lorabot.trainer.bases import BaseModel, LocatedBase, demo_base
from lorabot.trainer.control import Control
from lorabot.trainer.devices import Card
from lorabot.trainer.errors import Cancelled
from lorabot.trainer.fast import Unsupported, Warm
from lorabot.trainer.fast.passes import Passes
from lorabot.trainer.fast.primitives import Primitives
from lorabot.trainer.fast.reference import Reference
from lorabot.trainer.job import run
from lorabot.trainer.loss import Schedule
from lorabot.trainer.memory import Fitting, Gauge, Measured, Room, gauge_of
from lorabot.trainer.models import Models
from lorabot.trainer.optimisers import Optimiser
from lorabot.trainer.planning import Hardware
from lorabot.trainer.probing import Probe
from tests.trainer import small_bases
from tests.trainer.conftest import QUICK, make_job, tiny_preset, tiny_recipe
from tests.trainer.memory.simulated_card import SimulatedCard

pytestmark = pytest.mark.slow
CONFIG = QUICK.model_copy(update={"sample_rounds": 0, "validations": 1, "device": "cpu"})
SIZES = (((64, 64), (64, 64), (64, 64)), ((80, 48), (48, 80), (80, 48)))
RECIPE: Mapping[str, Any] = {
    "views": 8,
    "sample_steps": 1,
    "sample_prompts": ("{trigger}",),
    "layers": "attention",
    "caption": {"method": "none"},
}


class Engine(Models):
    """The models of a small SD1.5 on what passes for a card, gone through by these operations."""

    def __init__(self, ops: Callable[[], Primitives], folder: Path) -> None:
        super().__init__("cpu")
        self._small, self._folder, self._jobs = small_bases.base_model("sd15"), folder, 0
        self.warm = Warm(ops)

    def base(self, wanted: LocatedBase | None = None) -> BaseModel:
        return self._small

    def hardware(self) -> Hardware:
        return replace(super().hardware(), card=Card(0, "GPU-1", "a card", 1 << 40, 1 << 40, ()))

    def gauge(self) -> Gauge:
        return gauge_of(torch.device("cpu"))

    def job(
        self, seed: int, turned: bool = False, emit: Callable[[wire.Event], None] = lambda _: None, **recipe: Any
    ) -> wire.Done:
        """A job with pictures of its own, squares or, ``turned``, those that lie and stand."""
        self._jobs += 1
        folder = self._folder / f"{self._jobs}"
        (folder / "images").mkdir(parents=True)
        images = []
        for index, size in enumerate(SIZES[turned]):
            path = folder / "images" / f"{index}.png"
            picture = Image.radial_gradient("L").resize(size)
            picture.point([value // (seed + index) for value in range(256)]).convert("RGB").save(path)
            images.append(wire.TrainingImage(path=path, name=path.name, caption=f"a thing, number {index}"))
        small = tiny_recipe(**{**RECIPE, **recipe})
        job = make_job(
            folder,
            base=demo_base().model_copy(update={"family": "sd15", "id": "sd15"}),
            preset=tiny_preset().model_copy(update={"recipes": {"sd15": small}}),
            images=tuple(images),
            seed=seed,
            vocabulary=None,
            measured=self._folder / "measured.json",
        )
        return run(job, self, CONFIG, Control(), emit)


@pytest.fixture(autouse=True)
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """All test steps take the same time, so that memory alone decides on plans and no other program."""
    go = Probe._pass

    def timed(probe: Probe, batch: int, size: tuple[int, int]) -> float:
        go(probe, batch, size)
        return 0.05

    monkeypatch.setattr(Probe, "_pass", timed)


class InARow(NamedTuple):
    """Three jobs, the first and the last of which are the same; the bytes of all tensors before the last and after."""

    first: wire.Done
    other: wire.Done
    again: wire.Done
    kept: tuple[Passes, ...]
    kept_at_last: tuple[Passes, ...]
    held: tuple[int, int]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> InARow:
    engine = Engine(Reference, tmp_path_factory.mktemp("engine"))
    first, other = engine.job(1), engine.job(2, turned=True, rank=8)
    kept, before = tuple(engine.warm.kept.values()), held()
    again = engine.job(1)
    return InARow(first, other, again, kept, tuple(engine.warm.kept.values()), (before, held()))


def held() -> int:
    """The bytes of all tensors there are."""
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storages = {
            each.untyped_storage().data_ptr(): each.untyped_storage().nbytes()
            for each in gc.get_objects()
            if isinstance(each, torch.Tensor)
        }
    return sum(storages.values())


def refused() -> Primitives:
    raise Unsupported("triton")


def full() -> Primitives:
    raise torch.OutOfMemoryError("CUDA out of memory.")


class Wrong(Reference):
    """Predicts something else."""

    def geglu(self, rows: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return -super().geglu(rows, bias)


class Fragile(Reference):
    """Fails once it is ``broken``."""

    def __init__(self, broken: Callable[[], bool]) -> None:
        self._broken = broken

    def geglu(self, rows: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        if self._broken():
            raise RuntimeError("no such kernel")
        return super().geglu(rows, bias)


def ways(done: wire.Done) -> set[str]:
    """The reasons in the report that say which way the steps took."""
    report = json.loads(next(file.path for file in done.files if file.path.name == "report.json").read_text())
    codes: set[str] = {each["code"] for each in report["plan"]["reasons"]}
    return {code for code in codes if code.startswith(("plan-fast", "plan-plain-"))}


def measured_in(folder: Path) -> list[dict[str, Any]]:
    """What an engine that works in ``folder`` remembers, one by one."""
    return list(json.loads((folder / "measured.json").read_text())["measured"].values())


def learnt(done: wire.Done) -> Mapping[str, torch.Tensor]:
    return load_file(next(file.path for file in done.files if file.kind == "lora"))


def apart(one: wire.Done, other: wire.Done) -> float:
    """How far two jobs' files are apart, as a share of their length.

    Two jobs on fresh engines are so by a thousandth: CPU libraries round the last digit by where a tensor lies, and
    Adam makes steps of one size of gradients that are nearly nothing.
    """

    def ups(done: wire.Done) -> torch.Tensor:
        values = sorted(learnt(done).items())
        return torch.cat([value.flatten().float() for name, value in values if "lora_up" in name])

    assert learnt(one).keys() == learnt(other).keys()
    assert ups(other).any()
    return float(torch.linalg.vector_norm(ups(one) - ups(other)) / torch.linalg.vector_norm(ups(other)))


def test_a_whole_job_learns_the_same_the_fast_way_and_the_plain_one(jobs: InARow, tmp_path: Path) -> None:
    plain = Engine(refused, tmp_path)
    done = plain.job(2, turned=True, rank=8)
    assert not plain.warm.kept
    for key in ("first_validation", "best_validation", "last_loss"):
        assert jobs.other.summary[key] == pytest.approx(done.summary[key], rel=1e-4)
    assert apart(jobs.other, done) < 0.01


def test_what_is_computed_again_goes_the_fast_way_too_and_learns_the_same(jobs: InARow, tmp_path: Path) -> None:
    engine = Engine(Reference, tmp_path)
    done = engine.job(2, turned=True, rank=8, checkpointing=True)
    assert ways(done) == {"plan-fast"}
    assert apart(jobs.other, done) < 0.01
    (passes,) = engine.warm.kept.values()
    assert passes.checkpointing


def test_a_job_after_another_is_what_it_is_on_a_fresh_engine(jobs: InARow, tmp_path: Path) -> None:
    assert apart(jobs.first, jobs.again) < 0.01
    assert apart(jobs.other, Engine(Reference, tmp_path).job(2, turned=True, rank=8)) < 0.01


def test_the_next_job_of_a_kind_finds_its_passes_though_others_came_between(jobs: InARow) -> None:
    first, other = jobs.kept
    assert jobs.kept_at_last == (other, first)


def test_a_way_that_was_tried_is_taken_by_later_engines_untried(jobs: InARow, tmp_path: Path) -> None:
    assert ways(Engine(Wrong, tmp_path).job(1)) == {"plan-plain-differs"}
    measured = next(file.path for file in jobs.first.files).parents[1] / "measured.json"
    (tmp_path / "later").mkdir()
    shutil.copy(measured, tmp_path / "later")
    assert ways(Engine(Wrong, tmp_path / "later").job(1)) == {"plan-fast"}


def test_a_way_that_was_tried_on_one_base_is_not_trusted_on_another_of_its_kind(tmp_path: Path) -> None:
    models, kind = Models("cpu"), (("layer", torch.Size([2, 2])),)
    one = demo_base()
    models.base(one)
    models.warm.trust(kind)
    models.base(one.model_copy(update={"identity": "another"}))
    assert not models.warm.trusts(kind)
    models.base(one)
    assert models.warm.trusts(kind)


def test_a_cancel_between_two_sizes_leaves_nothing_of_the_job_in_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, checks, rehearse = Engine(Reference, tmp_path), list[int](), training._rehearse

    def check() -> None:
        checks.append(1)
        if len(checks) > 1:
            raise Cancelled

    def stopped(setup: training.Setup, optimiser: Optimiser, process: Schedule, _: object) -> None:
        rehearse(setup, optimiser, process, check)

    monkeypatch.setattr(training, "_rehearse", stopped)
    with pytest.raises(Cancelled):
        engine.job(1, turned=True)
    (passes,) = engine.warm.kept.values()
    assert all(parameter.grad is None for parameter in passes.network.weights.parameters)


def test_where_the_fast_way_fails_midway_the_rest_goes_plain_and_the_person_hears_of_it(
    jobs: InARow, tmp_path: Path
) -> None:
    steps, told = list[int](), list[str]()
    engine = Engine(lambda: Fragile(lambda: bool(steps)), tmp_path)

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.Progress) and event.stage == "training" and event.step:
            steps.append(event.step)
        if isinstance(event, wire.Notice):
            told.append(event.message.code)

    done = engine.job(2, turned=True, rank=8, emit=listen)
    assert ways(done) == {"plan-fast", "plan-plain-lost"}
    assert told.count("plan-plain-lost") == 1
    assert apart(jobs.other, done) < 0.01
    assert not engine.warm.kept, "what it held of the card is free"
    assert ways(engine.job(2, turned=True, rank=8)) == {"plan-plain-failed"}, "it is not tried again"


def test_where_the_fast_way_fails_in_a_test_step_the_plain_one_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, measured = Engine(lambda: Fragile(lambda: bool(engine.warm.tried)), tmp_path), list[int]()
    measure = Probe.__call__

    def noted(probe: Probe, fitting: Fitting) -> Measured:
        found = measure(probe, fitting)
        measured.append(fitting.batch)
        return found

    monkeypatch.setattr(Probe, "__call__", noted)
    assert ways(engine.job(1)) == {"plan-plain-failed"}
    assert measured == [2, 2]
    *fast, plain = measured_in(tmp_path)
    assert not any(known["passes"] or known["agreed"] for known in fast), "the plain way's counts for none but itself"
    assert [each["batch"] for each in plain["passes"]] == [2]
    assert ways(engine.job(1)) == {"plan-plain-failed"}
    assert measured == [2, 2], "this engine knows by now what the plain way takes"
    (tmp_path / "later").mkdir()
    shutil.copy(tmp_path / "measured.json", tmp_path / "later")
    assert ways(Engine(Reference, tmp_path / "later").job(1)) == {"plan-fast"}
    assert measured == [2, 2, 2]


def test_what_the_plain_way_took_for_lack_of_room_is_not_taken_for_the_fast_ones(tmp_path: Path) -> None:
    engine = Engine(full, tmp_path)
    assert ways(engine.job(1, checkpointing=True)) == {"plan-plain-memory"}
    assert not any(known["passes"] for known in measured_in(tmp_path))
    engine.warm.ops = Reference
    assert ways(engine.job(1, checkpointing=True)) == {"plan-fast"}
    assert all(known["passes"] for known in measured_in(tmp_path))


def test_what_a_plain_job_finds_of_the_fast_way_goes_and_is_not_counted_as_its_own(
    tmp_path: Path, held_then: list[int]
) -> None:
    engine = Narrow(tmp_path)
    for dropout in (0.1, 0.0, 0.1):
        engine.planned(dropout=dropout)
    assert held_then == pytest.approx([held_then[0]] * 3, abs=39_936)


def test_what_one_kind_of_adapter_takes_is_not_less_for_what_others_leave_meanwhile(tmp_path: Path) -> None:
    crowded, alone = Narrow(tmp_path / "crowded"), Narrow(tmp_path / "alone")
    for rank in (2, 3, 5, 6):
        crowded.planned(rank=rank)
    alone.planned(rank=6)
    last, only = (measured_in(tmp_path / name)[-1]["passes"][-1] for name in ("crowded", "alone"))
    for what in ("resting", "taken", "stays"):
        assert last[what] >= 0.98 * only[what]


def test_jobs_leave_nothing_behind_that_grows(jobs: InARow) -> None:
    before, after = jobs.held
    assert after <= 1.01 * before


class Narrow(Engine):
    """Has a card with as much memory as it is told."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Reference, folder)
        self.card = SimulatedCard()
        self.card.bring(self._small.unet)
        self.peaks: list[int] = []

    def hardware(self) -> Hardware:
        free = self.card.budget - self.card.held()
        return replace(super().hardware(), card=Card(0, "GPU-1", "a card", self.card.budget, free, ()))

    def gauge(self) -> Gauge:
        return self.card

    def planned(self, **recipe: Any) -> tuple[object, ...]:
        with self.card:
            done = self.job(1, **{"views": 2, **recipe})  # one step is enough
        report = json.loads(next(file.path for file in done.files if file.path.name == "report.json").read_text())
        self.peaks.append(int(done.summary["peak_bytes"] or 0))
        assert done.summary["planned_peak_bytes"] == pytest.approx(done.summary["peak_bytes"], rel=0.1)
        return tuple(report["plan"][key] for key in ("batch", "checkpointing", "offloading"))


@pytest.fixture
def held_then(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that each plan of the test took for held already."""
    found = list[int]()

    def noted(free: int, already: int, **more: Any) -> Room:
        if more:  # else it is only asked what of it is usable
            found.append(already)
        return Room(free, already, **more)

    monkeypatch.setattr(fitting, "Room", noted)
    return found


def test_weights_that_lie_there_from_the_last_job_leave_the_next_one_its_room(tmp_path: Path) -> None:
    wide = Narrow(tmp_path)
    held = wide.card.held()
    assert wide.planned() == (2, False, False)
    (known,) = measured_in(tmp_path)
    both = next(each for each in known["passes"] if each["batch"] == 2)
    assert both["resting"] > 0
    (tmp_path / "narrow").mkdir()
    narrow = Narrow(tmp_path / "narrow")
    narrow.card.budget = held + both["taken"] + (128 << 20) + int(0.7 * both["resting"])
    assert [narrow.planned() for _ in range(2)] == [(2, False, False)] * 2
    assert wide.planned(checkpointing=True) == (2, True, False)
    shutil.copy(tmp_path / "measured.json", tmp_path / "narrow")
    assert [narrow.planned() for _ in range(2)] == [(2, False, False)] * 2, "not by what lies there with checkpointing"


def test_what_lies_there_for_other_kinds_of_adapter_goes_where_it_would_make_a_plan_smaller(tmp_path: Path) -> None:
    wide = Narrow(tmp_path)
    assert [wide.planned(rank=rank) for rank in (4, 8)] == [(2, False, False)] * 2
    assert len(wide.warm.kept) == 2, "there is room for both"
    (tmp_path / "narrow").mkdir()
    narrow = Narrow(tmp_path / "narrow")
    narrow.card.budget = (128 << 20) + max(wide.peaks) * 102 // 100
    assert [narrow.planned(rank=rank) for rank in (4, 8, 4, 8)] == [(2, False, False)] * 4
    assert len(narrow.warm.kept) == 1


def test_weights_that_lie_there_for_passes_of_another_size_and_way_are_not_mistaken_for_ones_own(
    tmp_path: Path, held_then: list[int]
) -> None:
    engine = Narrow(tmp_path)
    for size, checkpointing in ((64, False), (128, True), (64, False), (128, True)):
        engine.planned(resolution=size, checkpointing=checkpointing)
    adapter = 39_936  # with what it holds beside the weights; those that one way folds take 212,992 bytes
    assert held_then == pytest.approx([held_then[0]] * 4, abs=adapter)
