"""From ``/train`` to a delivered LoRA, as members of a server see it."""

from tests.bot.house import House, claimed, finish, show
from tests.bot.pictures import zip_of_photos
from tests.discord.server import Attachment, Channel, DiscordServer, Person


async def test_a_zip_is_trained_on_and_delivered(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    asked = await anna.slash("train", preset="anime", trigger="zuri", images=Attachment("a.zip", zip_of_photos(12)))
    consent = await anna.answered(asked)
    print(consent.text, consent.labels)
    assert consent.seen_by is anna.user
    agreed = await anna.press(consent, consent.labels[0])
    confirmation = await anna.reads(agreed, "zuri")
    print(confirmation.text, confirmation.labels)
    started = await anna.press(confirmation, "Start")
    await anna.answered(started)
    await discord.until(lambda: discord.public(channel))
    lease = await claimed(bot.queue)
    await show(lease, bot.queue, 50)
    await discord.until(lambda: "50" in discord.public(channel)[0].text)
    print(
        discord.public(channel)[0].text,
        discord.public(channel)[0].labels,
        [f.filename for f in discord.public(channel)[0].files],
    )
    await finish(lease, bot.queue)
    await discord.until(lambda: len(discord.public(channel)) == 2)
    result = discord.public(channel)[1]
    print(result.text, result.labels, [f.filename for f in result.files])
    assert result.pinged == {anna.user.id}
    assert result.file(".safetensors").data == b"weights"
