"""A disk that takes no more: said in a sentence, and nothing of a training is lost for it while there is a way."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from lorabot.locale import Message, translator
from lorabot.trainer import wire
from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.bases import BaseModel, LocatedBase
from lorabot.trainer.buckets import Bucket
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.control import Control
from lorabot.trainer.disk import disk_is_full
from lorabot.trainer.encoding import Told, encode
from lorabot.trainer.engine import Outlet, do
from lorabot.trainer.errors import DiskTakesNoMore
from lorabot.trainer.job import Patience, run
from lorabot.trainer.latents import keep
from lorabot.trainer.memory import Fitting, Measured, Remembered
from lorabot.trainer.models import Models
from lorabot.trainer.saving import Saver
from lorabot.trainer.telling import Stopwatch
from tests.trainer import small_bases
from tests.trainer.conftest import QUICK, Trained, draw_images, make_job, tiny_recipe
from tests.trainer.lessons import make_setup
from tests.trainer.test_saving import COURSE


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses to write more into any file: a disk of which so many bytes are left."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_known_whoever_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        Path("/dev/full").write_bytes(b"one")
    assert disk_is_full(caught.value)
    with pytest.raises(SafetensorError, match="File too large") as written, no_file_above(1 << 20):
        keep("disk", tmp_path, "one", lambda: torch.zeros(1 << 20))
    assert disk_is_full(written.value)
    assert not list(tmp_path.iterdir()), "what was begun takes no room"
    assert not disk_is_full(FileNotFoundError())


def test_latents_that_the_disk_does_not_take_are_made_when_they_are_looked_at(tmp_path: Path) -> None:
    base, said = small_bases.base_model("sd15"), list[Message]()
    told = Told(lambda rows: Conditions(torch.zeros(len(rows), 77, 8)), ((0,),) * 3, 0)
    images, buckets, cache = draw_images(tmp_path, 3), (Bucket(64, 64),) * 3, tmp_path / "cache"
    autoencoder, control = Autoencoder(base), Control()
    kept = encode(base, images, buckets, told, tiny_recipe(), 7, "memory", cache, control, autoencoder).latents
    encode(base, images[:1], buckets, told, tiny_recipe(), 7, "disk", cache, control, autoencoder)
    with no_file_above(512):
        found = encode(
            base, images, buckets, told, tiny_recipe(), 7, "disk", cache, control, autoencoder, said.append
        ).latents
    assert [isinstance(item, Path) for item in found.items] == [True, False, False], "the first was there already"
    torch.testing.assert_close(found.take([0, 1, 2], [1, 0, 0]), kept.take([0, 1, 2], [1, 0, 0]))
    assert [(message.code, message.params["count"]) for message in said] == [("training-notice-latents-nowhere", 2)]
    assert len(list(cache.iterdir())) == 1


def test_a_state_that_cannot_be_saved_is_said_once_and_the_training_goes_on(tmp_path: Path) -> None:
    setup, events = make_setup(), list[wire.Event]()
    saver = Saver(make_job(tmp_path, 1), setup.base, (), 3600, Stopwatch(), events.append)
    moments = {"large": {"exp_avg": torch.zeros(1 << 20)}}
    with no_file_above(1 << 20):
        for _ in range(2):
            saver.save(setup.plan, {}, COURSE, moments)
    assert not list((tmp_path / "resume").iterdir())
    assert saver.last is not None, "this attempt can go on from it all the same"
    saver.save(setup.plan, {}, COURSE, moments)
    assert [event.type for event in events] == ["notice", "checkpoint"]


def test_measurements_that_cannot_be_kept_stand_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "data" / "measured.json"
    remembered = Remembered(path, {})
    remembered.or_measured(lambda _: Measured(1.0))(Fitting(1))
    path.parent.write_text("no folder")
    remembered.keep()
    path.parent.unlink()
    remembered.keep()
    assert Remembered(path, {}).resting(False) is not None


def test_what_was_learnt_waits_for_room_on_the_disk(trained: Trained, models: Models, tmp_path: Path) -> None:
    """Only the last pictures and the files are left to be made, on a disk that takes no LoRA and no picture."""
    last = max((trained.job.folder / "resume").iterdir())
    lora, picture = tmp_path / "My-Zuri.safetensors", tmp_path / "samples" / "000006-1.png"
    for path in (lora, picture):
        path.parent.mkdir(exist_ok=True)
        path.symlink_to("/dev/full")
    notices: list[Message] = []

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.Notice):
            notices.append(event.message)
            lora.unlink()

    job = trained.job.model_copy(update={"folder": tmp_path, "resume": last})
    done = run(job, models, QUICK.model_copy(update={"memory_wait_s": 0.1}), Control(), listen)
    assert [message.code for message in notices] == ["training-notice-disk"]
    assert next(file.path for file in done.files if file.kind == "lora") == lora
    assert lora.stat().st_size == pytest.approx(trained.file("lora").stat().st_size, rel=0.1)


def test_a_disk_that_stays_full_is_waited_for_no_longer_than_was_said(models: Models, tmp_path: Path) -> None:
    said: list[wire.Event] = []
    config = QUICK.model_copy(update={"memory_wait_s": 0.05})
    patience = Patience(make_job(tmp_path, 1), models, config, Control(), said.append, Stopwatch())
    with pytest.raises(DiskTakesNoMore):
        patience.written(lambda: Path("/dev/full").write_bytes(b"a LoRA"), look_s=0.01)
    assert [event.type for event in said] == ["notice"]


def test_a_full_disk_anywhere_in_a_job_is_a_sentence_and_no_crash(tmp_path: Path) -> None:
    class Unpacking(Models):
        def base(self, wanted: LocatedBase | None = None) -> BaseModel:
            Path("/dev/full").write_bytes(b"a base model")
            raise AssertionError

    with (tmp_path / "events").open("wb") as events:
        terminal = do(make_job(tmp_path, 1), Unpacking("cpu"), QUICK, Control(), Outlet(events))
    assert isinstance(terminal, wire.Failed)
    assert terminal.message.code == "trainer-disk-takes-no-more"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_each_has_its_sentence(language: str) -> None:
    params = {"minutes": 30, "step": 7, "count": 2, "free": 0}
    for code in ("training-notice-disk", "training-notice-not-saved", "training-notice-latents-nowhere"):
        assert "{" not in translator(language).text(Message(code, params))
    assert "0 MB" in translator(language).text(Message("trainer-disk-takes-no-more", params))
