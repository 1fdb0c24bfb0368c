"""The protocol between daemon and engine."""

from pathlib import Path
from typing import get_args

import pytest

from lorabot.locale import Message
from lorabot.queue.model import Stage
from lorabot.trainer import wire
from tests.trainer.conftest import make_job


def test_a_job_crosses_the_pipe_unchanged(tmp_path: Path) -> None:
    command = wire.Train(job=make_job(tmp_path, 3))
    text = wire.line(command)
    assert text.count(b"\n") == 1
    assert wire.read_command(text) == command


@pytest.mark.parametrize(
    "event",
    [
        wire.Hello(version=wire.VERSION, pid=1, device="cpu", device_name="a processor", loading_s=0.5),
        wire.Progress(job="a", stage="training", step=3, total_steps=9, rate=1.5, eta_s=4.0, loss=((1, 0.5),)),
        wire.Notice(job="a", message=Message("trainer-crashed", {"signature": "x"})),
        wire.Done(job="a", files=(), summary={"steps": 3, "last_loss": None}),
        wire.Stopped(job="a", how="suspended"),
    ],
    ids=lambda event: event.type,
)
def test_events_cross_the_pipe_unchanged(event: wire.Event) -> None:
    assert wire.read_event(wire.line(event)) == event


@pytest.mark.parametrize(
    "text",
    [
        b"Loading weights: 100%\n",
        b"{}\n",
        b'{"type": "train"}\n',
        b'{"type": "cancel", "job": "a", "more": 1}\n',
        b"\xff\n",
    ],
)
def test_a_line_of_another_kind_is_refused_without_being_quoted(text: bytes) -> None:
    with pytest.raises(wire.ProtocolError) as caught:
        wire.read_command(text)
    assert "Loading" not in str(caught.value)


def test_an_event_is_no_command_and_a_command_no_event() -> None:
    with pytest.raises(wire.ProtocolError):
        wire.read_command(wire.line(wire.Alive()))
    with pytest.raises(wire.ProtocolError):
        wire.read_event(wire.line(wire.Cancel(job="a")))


def test_the_stages_are_those_of_the_queue() -> None:
    assert set(get_args(wire.StageName)) == {stage.value for stage in Stage}
