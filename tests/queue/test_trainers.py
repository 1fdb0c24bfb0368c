"""Trainers are known for as long as they say that they are up."""

from sqlalchemy import update

from lorabot.queue import Queue
from lorabot.queue.clock import now_plus
from lorabot.queue.model import CardState, Speed, TrainerState
from lorabot.queue.tables import trainers


async def test_a_trainer_is_there_until_it_withdraws_or_falls_silent(queue: Queue) -> None:
    first = TrainerState("a processor", None, {"demo": Speed(16384, 0.5, 0.1)})
    second = TrainerState("H100", CardState("H100", 80, 60, 5, (("chrome", 3),), 12))
    for state in (second, first):
        await queue.trainers.announce("b", state)
    await queue.trainers.announce("a", second)
    assert await queue.trainers.present() == {"a": second, "b": first}
    await queue.trainers.withdraw("a")
    assert list(await queue.trainers.present()) == ["b"]
    async with queue.database.write() as connection:
        await connection.execute(update(trainers).values(at=now_plus(-3600.0)))
    assert await queue.trainers.present() == {}
    await queue.trainers.announce("c", first)  # what a lost one left is gone for good
    async with queue.database.read() as connection:
        assert (await connection.execute(trainers.select())).mappings().one()["worker"] == "c"
