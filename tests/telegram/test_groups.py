"""Groups: what is meant for the bot and what is not, whose buttons these are, who may moderate, topics, and moving."""

import asyncio

import pytest
import pytest_asyncio

from lorabot.queue.model import Address, JobState
from tests.bot.house import claimed, finish, given_up, show
from tests.bot.pictures import photo, zip_of_photos
from tests.telegram.flow import (
    a_job,
    asks_to_go_on,
    comes_to_confirm,
    has_action,
    images_of,
    sends_photos,
    waits_in_line,
)
from tests.telegram.house import House
from tests.telegram.server import Group, Item, Person
from tests.telegram.server.people import AS_CHANNEL
from tests.telegram.server.world import Chat

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def boris(house: House) -> Person:
    return house.telegram.person("Boris")


@pytest_asyncio.fixture(loop_scope="module")
async def group(house: House, anna: Person, boris: Person) -> Group:
    return await greeted(house, anna, boris)


async def greeted(house: House, anna: Person, boris: Person) -> Group:
    """A group whose privacy mode is on, as BotFather leaves it, after the bot has greeted it."""
    made = house.telegram.group(anna, boris)
    made.adds_bot(anna)
    await anna.sees("Reply to this message with your photos", group=made)
    return made


async def test_a_member_trains_in_a_group_and_the_result_mentions_them(
    house: House, anna: Person, group: Group
) -> None:
    job = await a_job(anna, house.queue, group)
    assert job.address.channel == str(group.chat.id)
    lease = await claimed(house.queue)
    await show(lease, house.queue, 10)
    await finish(lease, house.queue)
    result = await anna.sees(lambda message: has_action("again:", message), group=group)
    mention = next(entity for entity in result.entities if entity["type"] == "text_link")
    assert mention["url"] == f"tg://user?id={anna.member.id}"
    assert result.text.startswith("Anna\n")
    assert not anna.received(), "nothing in private"


async def test_a_zip_with_a_command_to_the_bot_is_taken(house: House, anna: Person, group: Group) -> None:
    anna.sends_file("zuri.zip", zip_of_photos(12), "/train@test_lorabot anime zuri", group=group)
    await anna.sees(lambda message: has_action("agree:", message), group=group)


async def test_pictures_and_words_among_members_are_none_of_its_business(
    house: House, anna: Person, boris: Person
) -> None:
    group = house.telegram.group(anna, boris, privacy=False)
    anna.sends_photo(photo(1), group=group)
    anna.sends_album([photo(2), photo(3)], "look at this", group=group)
    anna.says("nice weather", group=group)
    anna.says("/ban @somebody", group=group)
    anna.says("/help@another_bot", group=group)
    said = anna.says("my cat", group=group)
    boris.sends_photo(photo(4), "what a cat", group=group, reply_to=said)
    boris.says("/presets", group=group)
    await boris.sees("Anime character", group=group)
    await asyncio.sleep(0.3)
    assert len(boris.received(group)) == 1


async def test_an_album_with_a_command_is_taken_whole(house: House, anna: Person) -> None:
    group = house.telegram.group(anna, privacy=False)
    anna.sends_album([photo(number) for number in range(3)], "/train@test_lorabot anime zuri", group=group)
    await anna.sees("3 good pictures", group=group)
    await anna.sees("There are 3 photos so far", group=group)


async def test_an_album_of_files_whose_last_one_has_the_command_is_taken_whole(house: House, anna: Person) -> None:
    group = house.telegram.group(anna, privacy=False)
    files = [Item(photo(number), f"{number}.jpg", "document", "image/jpeg") for number in range(3)]
    anna.sends_album(files, "/train@test_lorabot anime zuri", captioned=2, group=group)
    await anna.sees("There are 3 photos so far", group=group)
    anna.sends_album(files, "look at this", captioned=2, group=group)
    await asyncio.sleep(1.3)  # longer than an album may take to come
    assert len(house.telegram.calls("getFile")) == 3


async def test_the_buttons_of_one_member_are_not_for_another(
    house: House, anna: Person, boris: Person, group: Group
) -> None:
    count = await sends_photos(anna, group=group)
    for label in ("Train", "Clear"):
        press = await boris.answered(boris.presses(count, label))
        assert press.alert
        assert "somebody else's" in press.text
    confirm = await comes_to_confirm(anna, group=group)
    press = await boris.answered(boris.presses(confirm, "Start"))
    assert press.alert
    assert press.text
    await anna.answered(anna.presses(confirm, "Start"))
    card = await anna.sees(lambda message: has_action("cancel:", message), group=group)
    press = await boris.answered(boris.presses(card, "Cancel"))
    assert press.alert
    job = (await house.queue.jobs.of(f"telegram:{anna.member.id}", 1))[0]
    assert job.state is JobState.QUEUED


async def test_a_file_of_somebody_else_is_not_trained_on(
    house: House, anna: Person, boris: Person, group: Group
) -> None:
    sent = anna.sends_file("zuri.zip", zip_of_photos(12), group=group)
    boris.says("/train anime zuri", group=group, reply_to=sent)
    await boris.sees("somebody else's", group=group)


async def test_a_command_to_another_bot_takes_no_file_and_ours_counts_however_it_is_written(
    house: House, anna: Person
) -> None:
    group = house.telegram.group(anna, privacy=False)
    hers = anna.sends_photo(photo(1), group=group)
    for foreign in ("/train@other_bot anime", "/trainer", "/training@test_lorabot_2"):
        anna.says(foreign, group=group, reply_to=hers)
    anna.sends_photo(photo(2), "/train@other_bot", group=group)
    anna.sends_file("zuri.zip", zip_of_photos(12), "/TRAIN@Test_LoraBot anime zuri", group=group)
    await anna.sees(lambda message: has_action("agree:", message), group=group)
    assert len(house.telegram.calls("getFile")) == 1
    assert len(anna.received(group)) == 2, "the count and the question"


async def test_an_album_that_the_bot_was_not_sent_is_asked_for_once_more(
    house: House, anna: Person, group: Group
) -> None:
    album = anna.sends_album([photo(number) for number in range(4)], group=group)
    anna.says("/train anime zuri", group=group, reply_to=album[3])
    answer = await anna.sees("the whole album once more", group=group)
    assert house.telegram.calls("getFile") == []
    anna.sends_album([photo(number) for number in range(2)], group=group, reply_to=answer)
    await anna.sees("2 good pictures", group=group)


async def test_admins_moderate_their_group_and_no_other(
    house: House, anna: Person, boris: Person, group: Group
) -> None:
    job = await a_job(anna, house.queue, group)
    boris.says("/queue pause", group=group)
    await boris.sees("moderator", group=group)
    group.takes_in(boris, "administrator")
    elsewhere = house.telegram.group(boris)
    elsewhere.takes_in(boris, "creator")
    boris.says(f"/queue hold {job.id}", group=elsewhere)
    await boris.sees(lambda message: message.sender.is_bot, group=elsewhere)
    assert (await house.queue.jobs.get(job.id)).state is JobState.QUEUED

    boris.says("/queue pause", group=group)
    await boris.sees(lambda message: has_action("queue:resume", message), group=group)
    assert await house.queue.jobs.claim("tester") is None
    boris.says("/queue resume", group=group)
    boris.says(f"/queue hold {job.id}", group=group)
    await house.telegram.state.until(lambda: any("On hold" in message.text for message in anna.received(group)))
    boris.says(f"/queue release {job.id}", group=group)
    boris.says(f"/queue front {job.id}", group=group)
    boris.says("/queue", group=group)
    await boris.sees(lambda message: job.id in message.text and "Anna" in message.text, group=group)
    card = await anna.sees(lambda message: has_action("cancel:", message), group=group)
    await boris.answered(boris.presses(card, "Cancel"))
    await anna.sees("zuri was cancelled", group=group)
    boris.says("/queue log", group=group)
    log = await boris.sees(lambda message: "Boris" in message.text and "hold" in message.text, group=group)
    assert "in Painters" in log.text, "a group is called by its name"


async def test_a_group_does_not_hear_of_what_a_member_does_in_private(house: House, anna: Person, group: Group) -> None:
    job = await a_job(anna, house.queue)
    for asked in ("/jobs", "/status", "/cancel"):
        anna.says(asked, group=group)
    refused = "None of those jobs of yours was asked for in this chat"
    await house.telegram.state.until(
        lambda: sum(message.text.startswith(refused) for message in anna.received(group)) == 3
    )
    assert (await house.queue.jobs.get(job.id)).state is JobState.QUEUED
    anna.says("/jobs")
    await anna.sees(job.id)


async def test_an_anonymous_admin_moderates_but_owns_nothing(house: House, anna: Person, group: Group) -> None:
    anna.says("/queue pause", group=group, anonymously=True)
    await anna.sees(lambda message: has_action("queue:resume", message), group=group)
    anna.says("/train anime zuri", group=group, anonymously=True)
    await anna.sees("while you stay anonymous", group=group)


async def test_who_writes_as_a_channel_owns_nothing_and_moderates_nothing(
    house: House, anna: Person, boris: Person, group: Group
) -> None:
    """Telegram names the same user for everybody who does, so what is one's would be everybody's."""
    group.takes_in(boris, "administrator")
    hers, his = Chat(-1009990001, "channel", "Anna paints"), Chat(-1009990002, "channel", "Boris draws")
    (greeting,) = anna.received(group)
    zip_of_hers = anna.sends_file("zuri.zip", zip_of_photos(12), group=group, reply_to=greeting, channel=hers)
    for said in (
        zip_of_hers,
        anna.says("/train anime zuri", group=group, channel=hers),
        anna.sends_file("a.zip", zip_of_photos(12), "/train anime zuri", group=group, channel=hers),
        boris.says("/train anime zuri", group=group, channel=his, reply_to=zip_of_hers),
        boris.says("/clear", group=group, channel=his),
        boris.says("/queue pause", group=group, channel=his),
    ):
        answer = await anna.sees(lambda message, of=said: message.reply_to == of.id, group=group)  # type: ignore[misc]
        assert "write as a channel" in answer.text
    assert await house.queue.drafts.get(f"telegram:{AS_CHANNEL.id}", Address("telegram", str(group.chat.id))) is None
    assert not await house.queue.jobs.paused(f"telegram:{group.chat.id}")
    anna.says("/presets", group=group, channel=hers)
    await anna.sees("Anime character", group=group)
    refused = [message.reply_to for message in anna.received(group) if "write as a channel" in message.text]
    assert len(refused) == len(set(refused)), "each is refused once"


async def test_a_topic_of_a_forum_is_answered_in_the_topic(house: House, anna: Person) -> None:
    group = house.telegram.group(anna)
    thread = group.opens_topic()
    anna.says("/start", group=group, thread=thread)
    hello = await anna.sees("Reply to this message", group=group)
    assert hello.thread == thread
    anna.sends_file("zuri.zip", zip_of_photos(12), "/train anime zuri", group=group, thread=thread)
    question = await anna.sees(lambda message: has_action("agree:", message), group=group)
    anna.presses(question, question.labels[0])
    await house.telegram.state.until(lambda: has_action("start:", question))
    anna.presses(question, "Start")
    await anna.sees(lambda message: has_action("cancel:", message), group=group)
    assert {message.thread for message in anna.received(group)} == {thread}
    group.chat.topics.clear()  # somebody deletes the topic
    await finish(await claimed(house.queue), house.queue)
    result = await anna.sees(lambda message: has_action("again:", message), group=group)
    assert result.thread is None, "the group is still there"


async def test_a_group_that_becomes_a_supergroup_keeps_its_photos_its_pause_and_its_jobs(
    house: House, anna: Person, boris: Person
) -> None:
    group = house.telegram.group(anna, boris, supergroup=False)
    group.takes_in(boris, "administrator")
    anna.says("/start", group=group)
    await anna.sees("Reply to this message", group=group)
    job = await a_job(anna, house.queue, group)
    count = await sends_photos(anna, 12, first=20, group=group)
    boris.says("/queue pause", group=group)
    await boris.sees(lambda message: has_action("queue:resume", message), group=group)

    new = group.becomes_supergroup(anna)
    anna.says("/train anime zuri", group=new)
    await anna.sees(asks_to_go_on, group=new)
    press = await anna.answered(anna.presses(count, "Clear"))  # of the chat that is no more
    assert not press.alert
    await anna.sees("thrown away", group=new)
    assert await house.queue.jobs.claim("tester") is None
    boris.says("/queue resume", group=new)
    lease = await claimed(house.queue)
    assert lease.job.id == job.id
    await show(lease, house.queue, 50)
    await anna.sees("50 / 100", group=new)
    boris.says(f"/queue cancel {job.id}", group=new)
    await boris.sees("I'm stopping zuri", group=new)


async def test_photos_on_their_way_while_their_group_moves_arrive_in_its_new_chat(house: House, anna: Person) -> None:
    group = house.telegram.group(anna, supergroup=False)
    anna.says("/start", group=group)
    greeting = await anna.sees("Reply to this message", group=group)
    house.telegram.downloads_open.clear()
    anna.sends_file("zuri.zip", zip_of_photos(12), group=group, reply_to=greeting)
    await anna.sees("looking", group=group)
    new = group.becomes_supergroup(anna)
    anna.says("/help", group=new)
    await anna.sees("/train preset:anime", group=new)
    house.telegram.downloads_open.set()
    await anna.sees("12 good pictures", group=new)
    anna.says("/train anime zuri", group=new)
    await anna.sees(asks_to_go_on, group=new)


async def test_a_group_whose_move_nobody_told_of_gets_its_result(house: House, anna: Person) -> None:
    group = house.telegram.group(anna, supergroup=False)
    await waits_in_line(house.queue, anna, group)
    new = group.becomes_supergroup(anna, told=False)
    await finish(await claimed(house.queue), house.queue)
    await anna.sees(lambda message: has_action("again:", message), group=new)
    await anna.sees("Done", group=new)


async def test_a_large_file_in_a_group_gets_its_link_in_private(house: House, anna: Person, group: Group) -> None:
    large = Item(b"x", "large.zip", "document", "application/zip", size=21 * 1024 * 1024)
    anna.sends(large, "/train@test_lorabot anime zuri", group=group)
    await anna.sees("I've sent you a link in private", group=group)
    page = await anna.sees("large.zip is larger")
    assert "/send/" in page.text
    assert not any("/send/" in message.text for message in anna.received(group))


async def test_who_never_opened_a_chat_is_asked_to(house: House, anna: Person, group: Group) -> None:
    anna.chat.closed = "bot can't initiate conversation with a user"
    large = Item(b"x", "large.zip", "document", "application/zip", size=21 * 1024 * 1024)
    anna.sends(large, "/train@test_lorabot anime zuri", group=group)
    await anna.sees("Please open t.me/test_lorabot", group=group)


async def test_a_group_that_takes_no_messages_is_told_of_in_private(house: House, anna: Person, group: Group) -> None:
    group.chat.denied.add("text messages")
    anna.says("/help", group=group)
    await anna.sees("I may not write in that group")


async def test_who_waited_for_photos_in_a_group_that_takes_no_messages_is_not_left_waiting(
    house: House, anna: Person, group: Group
) -> None:
    house.telegram.downloads_open.clear()
    group.chat.denied.add("text messages")
    tries = len(group.calls())
    anna.sends_file("zuri.zip", zip_of_photos(12), group=group, reply_to=anna.received(group)[-1])
    anna.says("/train@test_lorabot anime zuri", group=group)
    await house.telegram.state.until(lambda: len(group.calls()) > tries)  # the count could not be shown
    house.telegram.downloads_open.set()
    await anna.sees("I may not write in that group")
    assert await images_of(house.queue, anna, group) == 12
    group.chat.denied.clear()
    anna.says("/train@test_lorabot anime zuri", group=group)
    await anna.sees(asks_to_go_on, group=group)


async def test_a_group_that_takes_no_photos_gets_the_lora(house: House, anna: Person, group: Group) -> None:
    await waits_in_line(house.queue, anna, group)
    group.chat.denied.add("photos")
    lease = await claimed(house.queue)
    await show(lease, house.queue, 10)
    await finish(lease, house.queue)
    result = await anna.sees(lambda message: has_action("again:", message), group=group)
    assert result.file is not None
    assert "This group doesn't let me send photos" in result.text


async def test_a_group_that_takes_no_files_gets_a_link(house: House, anna: Person, group: Group) -> None:
    await waits_in_line(house.queue, anna, group)
    group.chat.denied.add("documents")
    await finish(await claimed(house.queue), house.queue)
    result = await anna.sees("This chat doesn't let me send the file", group=group)
    assert f"{house.url}/files/" in result.text


async def test_a_group_that_threw_the_bot_out_is_left_alone(house: House, anna: Person, group: Group) -> None:
    await waits_in_line(house.queue, anna, group)
    group.throws_bot_out(anna)
    await finish(await claimed(house.queue), house.queue)
    result = await anna.sees(lambda message: has_action("again:", message))
    assert result.text.startswith("(The group doesn't let me write any more")
    tries = len(group.calls())
    await asyncio.sleep(0.5)
    assert len(group.calls()) == tries


async def test_a_result_that_nobody_can_be_given_is_given_up(house: House, anna: Person, group: Group) -> None:
    await waits_in_line(house.queue, anna, group)
    group.throws_bot_out(anna)
    anna.chat.closed = "bot can't initiate conversation with a user"
    await finish(await claimed(house.queue), house.queue)
    await given_up(house.queue, f"telegram:{anna.member.id}")
