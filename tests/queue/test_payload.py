"""What lies as JSON in the database is checked before it is believed."""

import json

import pytest
from sqlalchemy import text

from lorabot.locale import Message
from lorabot.queue import Queue, QueueConfig
from lorabot.queue.model import Address, Image, Outcome, Progress, Sample, Stage
from lorabot.queue.payload import IMAGES, MESSAGE, OUTCOME, PROGRESS, BadPayload, Payload
from tests.queue.samples import image, submit


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (MESSAGE, Message("a", {"count": 1, "share": 0.5, "name": "1"})),
        (PROGRESS, Progress(Stage.TRAINING, 1, 2, loss=((1, 0.5),), samples=(Sample(1, "a/b", "p"),))),
        (OUTCOME, Outcome((), {"steps": 3, "nested": {"list": [1, 2.5, None, True]}})),
        (IMAGES, (image("web:ann"), Image("图.png", "a/b", "c", 1, 2, 3, caption="祖里"))),
    ],
)
def test_values_survive_json(payload: Payload[object], value: object) -> None:
    assert payload.read(json.loads(json.dumps(payload.write(value), allow_nan=False))) == value


def test_numbers_that_json_does_not_know_become_nothing() -> None:
    written = OUTCOME.write(Outcome((), {"loss": float("nan"), "rates": [float("inf"), 1.0]}))
    assert json.loads(json.dumps(written, allow_nan=False))["summary"] == {"loss": None, "rates": [None, 1.0]}


async def test_a_row_with_a_strangers_json_is_not_believed(queue: Queue) -> None:
    job = await submit(queue)
    async with queue.database.write() as connection:
        await connection.execute(text("""UPDATE jobs SET progress = '{"stage": "flying"}'"""))
    with pytest.raises(BadPayload):
        await queue.jobs.get(job.id)


@pytest.mark.parametrize("text_", ["web", "web:", ":c", ""])
def test_half_an_address_is_none(text_: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        Address.parse(text_)


def test_an_address_may_hold_colons_in_its_channel() -> None:
    address = Address("discord", "guild:1:channel:2")
    assert Address.parse(str(address)) == address


def test_a_lease_must_outlive_a_missed_beat() -> None:
    with pytest.raises(ValueError, match="twice"):
        QueueConfig(lease_s=1.5, heartbeat_s=1.0)
