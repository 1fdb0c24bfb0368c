"""A whole job in this process: its stages, its resumption, its stops, its failures."""

import hashlib
import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lorabot.trainer import adapter, draws, resume, training, wire
from lorabot.trainer.control import Control
from lorabot.trainer.errors import (
    BrokenImage,
    Cancelled,
    DiskFull,
    Diverged,
    NoImages,
    NotFinite,
    Suspended,
)
from lorabot.trainer.job import run
from lorabot.trainer.models import Models
from tests.trainer.conftest import QUICK, Trained, make_job, tiny_preset
from tests.trainer.test_events import read

FEW = 6
"""Images of jobs whose measurements nobody looks at: too few to hold any out, so that half as much is measured."""


def of(events: tuple[wire.Event, ...] | list[wire.Event], kind: type[wire.Progress]) -> list[wire.Progress]:
    return [event for event in events if isinstance(event, kind)]


def losses(done: wire.Done) -> list[float]:
    found: list[float] = json.loads(made_file(done, "report_json").read_text())["training"]["loss"]
    return found


def test_the_stages_come_in_their_order_and_the_steps_are_counted(trained: Trained) -> None:
    progress = of(trained.events, wire.Progress)
    stages = list(dict.fromkeys(each.stage for each in progress))
    assert stages == ["preparing", "captioning", "planning", "training", "evaluating", "exporting"]
    steps = [each.step for each in progress if each.stage == "training"]
    assert steps == sorted(steps)
    assert steps[-1] == progress[-1].total_steps == 6
    last = progress[-1]
    assert last.rate is not None
    assert last.rate > 0
    assert last.eta_s is None, "what is left now is no training"
    assert [step for step, _ in last.loss] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in last.validation] == [0, 2, 4, 6]


def test_pictures_are_drawn_before_during_and_after_with_one_name_each(trained: Trained) -> None:
    samples = [event for event in trained.events if isinstance(event, wire.SampleMade)]
    assert [(each.step, each.index) for each in samples] == [(0, 0), (0, 1), (3, 0), (3, 1), (6, 0), (6, 1)]
    assert {each.prompt for each in samples} == {"zuri in a forest", "a cat on a hill"}
    assert len({each.path for each in samples}) == 6
    assert all(Image.open(each.path).size == (64, 64) for each in samples)


def test_a_picture_says_how_it_was_drawn_and_the_last_one_with_which_file(trained: Trained) -> None:
    found = {}
    for event in trained.events:
        if isinstance(event, wire.SampleMade) and event.index == 0:
            with Image.open(event.path) as picture:
                found[event.step] = picture.info["parameters"]
    lora = trained.file("lora").read_bytes()
    digest = hashlib.sha256(lora[8 + int.from_bytes(lora[:8], "little") :]).hexdigest()
    assert found[0] == found[3]
    prompt, *_, settings = found[3].split("\n")
    assert prompt == "zuri in a forest"
    assert "Steps: 3, Sampler: DPM++ 2M, Schedule type: Karras, " in settings
    assert "Seed: 7, Size: 64x64, Model: demo, " in settings
    assert found[6].startswith("zuri in a forest <lora:My-Zuri:1>\n")
    assert f'Lora hashes: "My-Zuri: {digest[:12]}"' in found[6]


def test_the_rate_leaves_out_saving_and_sampling(trained: Trained) -> None:
    report = json.loads(trained.file("report_json").read_text())
    seconds = report["seconds"]
    assert report["training"]["steps_per_second"] == pytest.approx(6 / seconds["training"], rel=1e-3)
    assert set(seconds) == {
        "preparing", "captioning", "planning", "opening", "encoding", "training", "validation", "sampling", "saving",
        "exporting", "other",
    }  # fmt: skip


def test_training_changes_the_adapter_and_leaves_the_base_untouched(trained: Trained, models: Models) -> None:
    unet = models.base().unet
    assert not adapter.parameters({"unet": unet})
    assert not any(parameter.requires_grad for parameter in unet.parameters())
    state = resume.read(_states(trained)[-1])
    assert all(float(value.abs().max()) > 0 for name, value in state.adapter.items() if ".lora_B." in name)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 6])
def test_a_resumed_training_goes_on_exactly_as_if_it_had_never_been_interrupted(
    trained: Trained, models: Models, tmp_path: Path, step: int
) -> None:
    """Saved after 1 step (first moments), after samples (3), within the second half (5), after the last step (6)."""
    saved = next(path for path in _states(trained) if int(path.stem) == step)
    job = trained.job.model_copy(update={"folder": tmp_path, "resume": saved})
    events: list[wire.Event] = []
    done = run(job, models, QUICK, Control(), events.append)
    assert losses(done) == losses(trained.done)
    assert done.summary["best_validation"] == trained.done.summary["best_validation"]
    assert _tensors(made_file(done, "lora")) == _tensors(trained.file("lora"))
    curves, whole = (read(path) for path in (made_file(done, "tensorboard"), trained.file("tensorboard")))
    assert [at for at, _ in curves["train/steps_per_second"]] == [1, 2, 3, 4, 5, 6], "each once"
    for tag in ("train/loss", "train/learning_rate", "validation/loss", "samples/1"):
        assert curves[tag] == whole[tag]
    shown = {event.step for event in events if isinstance(event, wire.SampleMade)}
    assert shown == {0, 3, 6}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_training_on_a_warm_engine_after_another_job(
    trained: Trained, models: Models, tmp_path: Path
) -> None:
    preset = tiny_preset(rank=2, views=2, resolution=128, sample_steps=1)
    other = make_job(tmp_path / "other", FEW, id="job2", seed=1, preset=preset)
    run(other, models, QUICK.model_copy(update={"validations": 1}), Control(), lambda _: None)
    job = make_job(tmp_path / "again")
    done = run(job, models, QUICK, Control(), lambda _: None)
    assert losses(done) == losses(trained.done)
    assert _tensors(made_file(done, "lora")) == _tensors(trained.file("lora"))


def test_a_split_batch_trains_the_same_as_a_whole_one(trained: Trained, models: Models, tmp_path: Path) -> None:
    saved = resume.read(next(path for path in _states(trained) if int(path.stem) == 1))
    split = replace(saved, plan=replace(saved.plan, batch=1))
    resume.write(tmp_path / "split.safetensors", split)
    job = trained.job.model_copy(update={"folder": tmp_path, "resume": tmp_path / "split.safetensors"})
    done = run(job, models, QUICK, Control(), lambda _: None)
    assert losses(done) == pytest.approx(losses(trained.done), rel=1e-4)


def test_a_cancel_between_two_steps_ends_the_job_there(models: Models, tmp_path: Path) -> None:
    control, seen = Control(), []

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.Progress) and event.step == 2:
            control.cancel()
        seen.append(event)

    with pytest.raises(Cancelled):
        run(make_job(tmp_path, FEW), models, QUICK, control, listen)
    assert max(each.step for each in of(seen, wire.Progress)) == 2
    assert not any(isinstance(event, wire.CheckpointMade) for event in seen)


def test_a_suspended_job_saves_its_last_step_first(trained: Trained, models: Models, tmp_path: Path) -> None:
    control, seen = Control(), []

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.Progress) and event.step == 4:
            control.suspend()
        seen.append(event)

    with pytest.raises(Suspended):
        run(make_job(tmp_path), models, QUICK, control, listen)
    saved = seen[-1]
    assert isinstance(saved, wire.CheckpointMade)
    assert saved.step == 4
    assert resume.read(saved.path).course.losses == losses(trained.done)[:4]


def test_a_stop_between_stages_is_heard(models: Models, tmp_path: Path) -> None:
    control = Control()

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.Progress) and event.stage == "captioning":
            control.cancel()

    with pytest.raises(Cancelled):
        run(make_job(tmp_path, FEW), models, QUICK, control, listen)


def test_a_resumed_job_shows_from_its_first_stage_on_what_was_learnt_before(
    trained: Trained, models: Models, tmp_path: Path
) -> None:
    control, seen = Control(), []

    def listen(event: wire.Event) -> None:
        seen.append(event)
        if isinstance(event, wire.Progress) and event.stage == "captioning":
            control.cancel()

    with pytest.raises(Cancelled):
        run(make_job(tmp_path, resume=_states(trained)[2]), models, QUICK, control, listen)
    assert [(each.stage, each.step, len(each.loss)) for each in of(seen, wire.Progress)] == [
        ("preparing", 3, 3),
        ("captioning", 3, 3),
    ]


@pytest.mark.parametrize("spoil", ["cut", "other job", "other base"])
def test_a_state_that_does_not_fit_is_left_aside_and_the_person_told(
    trained: Trained, models: Models, tmp_path: Path, spoil: str
) -> None:
    path = tmp_path / "state.safetensors"
    content = _states(trained)[2].read_bytes()
    path.write_bytes(content[: len(content) // 2] if spoil == "cut" else content)
    if spoil == "other base":
        resume.write(path, replace(resume.read(path), base="another"))
    job = make_job(tmp_path, id="job9" if spoil == "other job" else "job1", resume=path)
    control, seen = Control(), []

    def listen(event: wire.Event) -> None:
        seen.append(event)
        if isinstance(event, wire.Progress) and event.step == 1:
            control.cancel()

    with pytest.raises(Cancelled):
        run(job, models, QUICK, control, listen)
    notices = [event.message.code for event in seen if isinstance(event, wire.Notice)]
    assert notices == ["training-notice-begun-anew"]
    counted = [each for each in of(seen, wire.Progress) if each.stage == "captioning"]
    assert [(each.step, each.loss) for each in counted] == [(0, ())]


def test_a_caption_too_long_to_be_heard_is_said_with_its_image(models: Models, tmp_path: Path) -> None:
    job = make_job(tmp_path, 2)
    long = job.images[1].model_copy(update={"caption": "word " * 230})
    control, seen = Control(), []

    def listen(event: wire.Event) -> None:
        seen.append(event)
        if isinstance(event, wire.Notice):
            control.cancel()

    with pytest.raises(Cancelled):
        run(job.model_copy(update={"images": (job.images[0], long)}), models, QUICK, control, listen)
    (notice,) = [event.message for event in seen if isinstance(event, wire.Notice)]
    assert (notice.code, notice.params) == (
        "training-notice-captions-cut",
        {"count": 1, "image": "photo 1.png", "most": 225},
    )


def test_a_broken_image_is_named(models: Models, tmp_path: Path) -> None:
    job = make_job(tmp_path, FEW)
    job.images[4].path.write_bytes(job.images[4].path.read_bytes()[:60])
    with pytest.raises(BrokenImage) as caught:
        run(job, models, QUICK, Control(), lambda _: None)
    assert caught.value.message.params == {"image": "photo 4.png"}
    assert not adapter.parameters({"unet": models.base().unet})


def test_a_job_without_images_is_refused(models: Models, tmp_path: Path) -> None:
    with pytest.raises(NoImages):
        run(make_job(tmp_path, 0), models, QUICK, Control(), lambda _: None)


def test_a_disk_without_room_is_said_before_training(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 1000))
    with pytest.raises(DiskFull) as caught:
        run(make_job(tmp_path, FEW), models, QUICK, Control(), lambda _: None)
    assert caught.value.message.params["free"] == 0


def test_steps_that_are_not_finite_are_skipped_and_counted(
    models: Models, tmp_path: Path, poisoned: Callable[[int, int], None]
) -> None:
    poisoned(2, 3)
    done = run(make_job(tmp_path, FEW), models, QUICK, Control(), lambda _: None)
    assert done.summary["skipped"] == 1
    assert losses(done)[2] is None
    assert all(torch.isfinite(torch.tensor(value)) for i, value in enumerate(losses(done)) if i != 2)


def test_a_training_without_any_finite_step_is_given_up(
    models: Models, tmp_path: Path, poisoned: Callable[[int, int], None]
) -> None:
    poisoned(0, 10**6)
    job = make_job(tmp_path, FEW, preset=tiny_preset(views=80, sample_steps=1))
    with pytest.raises(NotFinite) as caught:
        run(job, models, QUICK.model_copy(update={"validations": 1}), Control(), lambda _: None)
    assert caught.value.message.params == {"step": 20, "skipped": 20}


def test_a_training_that_runs_away_is_stopped_with_the_numbers(
    trained: Trained, models: Models, tmp_path: Path
) -> None:
    """Gone on from a state that began with a tenth of the loss that is measured next."""
    saved = resume.read(_states(trained)[0])
    saved.course.validation[0] = (0, saved.course.validation[0][1] / 10)
    resume.write(tmp_path / "state.safetensors", saved)
    job = trained.job.model_copy(update={"folder": tmp_path, "resume": tmp_path / "state.safetensors"})
    with pytest.raises(Diverged) as caught:
        run(job, models, QUICK, Control(), lambda _: None)
    params = caught.value.message.params
    assert params["step"] == 2
    assert float(params["now"]) > 2 * float(params["first"])


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Noise that is not a number in the steps from the first to before the second argument, as bad hardware gives."""

    def poison(first: int, end: int) -> None:
        whole = draws.draw

        def draw(seed: int, step: int, *rest: Any) -> draws.Draw:
            drawn = whole(seed, step, *rest)
            if first <= step < end:
                drawn.noise.fill_(float("nan"))
            return drawn

        monkeypatch.setattr(training, "draw", draw)

    return poison


def _states(trained: Trained) -> list[Path]:
    return [event.path for event in trained.events if isinstance(event, wire.CheckpointMade)]


def made_file(done: wire.Done, kind: wire.FileKind) -> Path:
    return next(file.path for file in done.files if file.kind == kind)


def _tensors(path: Path) -> dict[str, list[float]]:
    from safetensors.torch import load_file

    return {name: value.float().flatten().tolist() for name, value in load_file(path).items()}
