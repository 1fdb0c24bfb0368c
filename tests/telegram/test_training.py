"""From photos to a LoRA in a private chat."""

import pytest

from tests.bot.house import claimed, finish, show
from tests.bot.pictures import photo, zip_of_photos
from tests.telegram.house import House
from tests.telegram.server import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_photos_become_a_lora(house: House, anna: Person) -> None:
    anna.says("/start")
    welcome = await anna.sees("I train image LoRAs")
    assert welcome.labels == ["What can you train?"]

    anna.sends_album([photo(number) for number in range(3)])
    anna.sends_photo(photo(3))
    anna.sends_file("one.jpg", photo(4))
    anna.sends_file("more.zip", zip_of_photos(7, first=5))
    count = await anna.sees("12 good pictures")
    assert count.labels == ["Train", "Clear"]
    assert "Sent as files they keep every detail" in count.text

    anna.presses(count, "Train")
    presets = await anna.sees("What shall it learn?")
    anna.presses(presets, "nime")
    words = await anna.sees("Which word shall call it up?")
    assert len(words.labels) == 3
    anna.says("zuri")
    consent = await anna.sees(lambda message: any("agree" in str(b) for row in message.keyboard for b in row))
    anna.presses(consent, consent.labels[0])
    confirm = await anna.sees("zuri")
    anna.presses(confirm, "Start")
    lease = await claimed(house.queue)
    assert lease.job.owner == f"telegram:{anna.member.id}"
    card = await anna.sees("In training")
    await show(lease, house.queue, 10)
    await anna.sees("10 / 100")
    assert card.file is not None
    await finish(lease, house.queue)
    result = await anna.sees(lambda message: message.file is not None and message.file.name == "zuri.safetensors")
    assert "How to use it" in result.text
    assert result.file is not None
    assert result.file.data == b"weights"
    await anna.sees(lambda message: "Done" in message.text and not message.labels)


async def test_a_zip_with_a_caption_is_one_step(house: House, anna: Person) -> None:
    anna.sends_file("zuri.zip", zip_of_photos(12), "/train anime zuri")
    consent = await anna.sees(lambda message: "agree" in str(message.keyboard))
    anna.presses(consent, consent.labels[0])
    confirm = await anna.sees(lambda message: "start:" in str(message.keyboard))
    assert "zuri" in confirm.text
