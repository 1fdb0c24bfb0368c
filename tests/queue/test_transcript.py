"""The web chat's memory."""

import asyncio

from lorabot.queue import Queue


async def test_lines_come_back_in_the_order_they_were_said(queue: Queue) -> None:
    for number in range(3):
        await queue.transcript.append("c", "you", {"text": f"line {number}"})
    await queue.transcript.append("other", "you", {"text": "elsewhere"})
    lines = await queue.transcript.since("c")
    assert [line.payload["text"] for line in lines] == ["line 0", "line 1", "line 2"]
    assert await queue.transcript.since("c", lines[0].id) == lines[1:]
    assert await queue.transcript.last("c", 2) == lines[1:]


async def test_a_key_is_said_once_however_often_it_is_sent(queue: Queue) -> None:
    first = await queue.transcript.append("c", "you", {"text": "once"}, key="k")
    again = await asyncio.gather(*(queue.transcript.append("c", "you", {"text": "twice"}, key="k") for _ in range(4)))
    assert again == [first] * 4
    assert await queue.transcript.since("c") == [first]
    assert (await queue.transcript.append("other", "you", {"text": "mine"}, key="k")).payload == {"text": "mine"}


async def test_a_changed_line_keeps_its_place_and_shows_as_a_change(queue: Queue) -> None:
    card = await queue.transcript.append("c", "lorabot", {"step": 1}, key="card")
    said = await queue.transcript.append("c", "you", {"text": "?"})
    changed = await queue.transcript.update("c", "card", {"step": 2})
    assert changed is not None
    assert (changed.id, changed.payload) == (card.id, {"step": 2})
    assert [line.id for line in await queue.transcript.since("c")] == [card.id, said.id]
    assert await queue.transcript.changed("c", said.revision) == [changed]
    assert await queue.transcript.get("c", "card") == changed
    assert await queue.transcript.update("c", "none", {}) is None
    assert await queue.transcript.get("other", "card") is None


async def test_who_reads_while_many_write_misses_no_line(queue: Queue) -> None:
    count = 30
    seen: list[int] = []

    async def read() -> None:
        revision = 0
        while len(seen) < count:
            for line in await queue.transcript.changed("c", revision):
                seen.append(line.id)
                revision = line.revision
            await asyncio.sleep(0)

    reader = asyncio.create_task(read())
    await asyncio.gather(*(queue.transcript.append("c", "you", {"n": number}) for number in range(count)))
    await asyncio.wait_for(reader, 20)
    assert len(set(seen)) == count
    assert seen == sorted(seen)
