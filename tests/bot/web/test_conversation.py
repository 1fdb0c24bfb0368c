"""A whole conversation in the web chat, as a person lives it: send, train, watch, take the file, come back."""

import asyncio
from pathlib import Path

import pytest

from lorabot.bot.web.wire import ShownLine
from lorabot.locale import Message
from lorabot.queue import Queue
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.model import Address, Progress, Stage
from tests.bot.client import ChatClient, ChatError
from tests.bot.house import PRESETS, WEB, House, claimed, finish, running_bot, show
from tests.bot.pictures import encoded, photo, picture, zip_of_photos, zipped


def is_card(line: ShownLine) -> bool:
    return line.card is not None


def is_result(line: ShownLine) -> bool:
    return line.kind == "result"


def settled(line: ShownLine) -> bool:
    return line.key is not None and line.key.startswith("found:") and not line.busy


async def test_a_whole_job_is_seen_from_the_zip_to_the_file(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    report = await chat.until(settled)
    assert "12 good pictures" in report.text
    assert len(report.images) == 8
    assert (await chat.fetch(report.images[0].url))[8:12] == b"WEBP"
    answer = await chat.ask("/train preset:anime trigger:zuri")
    assert "`zuri` will be trained with Anime character on 12 photos. You're next in line." in answer.text
    assert "first of its kind" in answer.text, "what it will take is said before it starts"
    assert "The LoRA file will have about 1.2 MB." in answer.text
    card = await chat.until(is_card)
    assert card.card is not None
    assert (card.card.state, card.card.position) == ("queued", 1)
    assert [button.action for button in card.buttons] == [f"cancel:{card.card.job}", f"details:{card.card.job}"]

    lease = await claimed(house.queue)
    await show(lease, house.queue, 30)
    card = await chat.until(lambda line: line.card is not None and line.card.step == 30)
    assert card.card is not None
    assert (card.card.state, card.card.stage_text, card.card.percent) == ("running", "Training", 30.0)
    assert (card.card.rate_text, card.card.eta_text) == ("4.0 steps/s", "20 s left")
    assert card.card.loss == ((0, 0.2), (30, 0.1))
    assert (await chat.fetch(card.card.samples[0].url)) == encoded(picture(30))

    await finish(lease, house.queue, b"the weights")
    result = await chat.until(is_result)
    assert "`zuri` is done" in result.text
    assert "0.2100 at first, 0.1200 after step 60, which is what you get" in result.text
    assert [image.alt for image in result.images] == [
        "Loss over the steps of the training",
        "Samples from before, during and after the training",
    ]
    assert [(file.name, file.size) for file in result.files] == [("zuri.safetensors", 11), ("report.md", 8)]
    assert await chat.fetch(result.files[0].url) == b"the weights"
    final = await chat.until(lambda line: line.card is not None and line.card.final)
    assert final.card is not None
    assert (final.card.state_text, final.buttons) == ("Done", ())


async def test_a_job_can_be_started_with_buttons_alone(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    report = await chat.until(settled)
    anime = next(button for button in report.buttons if button.label == "Anime character")
    which = await chat.answer(await chat.press(anime.action))
    assert "Which word shall call it up?" in which.text
    started = await chat.answer(await chat.press(which.buttons[0].action))
    assert f"`{which.buttons[0].label}` will be trained" in started.text
    assert (await claimed(house.queue)).job.trigger == which.buttons[0].label


async def test_a_job_holds_all_that_its_training_needs(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train preset:anime trigger:zuri name:my-zuri seed:7")
    job = (await claimed(house.queue)).job
    assert (job.name, job.trigger, job.base, job.seed, job.language) == ("my-zuri", "zuri", "demo", 7, "en")
    assert job.preset["id"] == "anime"
    assert job.vocabulary is not None
    dataset = await house.queue.drafts.dataset(job.dataset_id)
    assert len(dataset.images) == 12
    assert (await house.queue.blobs.get(dataset.images[0].key))[8:12] == b"WEBP"
    assert await house.queue.drafts.get(job.owner, job.address) is None


async def test_a_train_typed_while_photos_are_looked_through_waits_for_them(chat: ChatClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(chat.upload(zip_of_photos(4, first=10 * number), f"{number}.zip", batch="one"))
    assert "on 12 photos" in (await chat.ask("/train anime zuri")).text


async def test_photos_dropped_together_share_one_line_and_one_answer(chat: ChatClient) -> None:
    for number in range(3):
        await chat.upload(photo(number), f"photo-{number}.jpg", batch="drop-1")
    report = await chat.until(lambda line: settled(line) and "3 good pictures" in line.text)
    sent = [line for line in chat.lines.values() if line.kind == "upload"]
    assert [[file.name for file in line.files] for line in sent] == [["photo-0.jpg", "photo-1.jpg", "photo-2.jpg"]]
    assert len([line for line in chat.lines.values() if settled(line)]) == 1
    await chat.upload(photo(9), "later.jpg")
    later = await chat.until(lambda line: settled(line) and line.id > report.id)
    assert "there are 4 now" in later.text


async def test_an_answer_waits_for_all_files_that_were_announced(chat: ChatClient) -> None:
    await chat.upload(photo(1), "1.jpg", batch="drop", of=3)
    await chat.until(lambda line: line.author == "lorabot" and line.busy and bool(line.images))
    with pytest.raises(ChatError):
        await chat.upload(bytes(5_000_000), "big.zip", batch="drop", of=3)
    await chat.upload(photo(2), "2.jpg", batch="drop", of=3)
    await chat.until(lambda line: settled(line) and "2 good pictures" in line.text)
    assert len([line for line in chat.lines.values() if line.author == "lorabot"]) == 1


async def test_the_same_photo_sent_again_is_said_and_not_counted(chat: ChatClient) -> None:
    await chat.upload(photo(1), "one.jpg")
    first = await chat.until(settled)
    await chat.upload(photo(1), "again.jpg")
    again = await chat.until(lambda line: settled(line) and line.id > first.id)
    assert "`again.jpg`. It's the same as another one." in again.text
    assert "The picture you sent before is still here." in again.text


async def test_captions_that_are_sent_later_belong_to_the_photos_that_are_there(chat: ChatClient, queue: Queue) -> None:
    await chat.upload(zip_of_photos(6), "photos.zip")
    await chat.until(lambda line: "6 good pictures" in line.text)
    files = {"photo-00.jpg": photo(0), "photo-00.txt": b"zuri on a roof", "photo-01.jpg": photo(1)}
    await chat.upload(zipped(files), "captioned.zip")
    told = await chat.until(lambda line: "came with a caption of yours" in line.text)
    assert told.text.startswith("One good picture.\nLeft out: `photo-01.jpg`. It's the same as another one.")
    assert "there are 6 now" in told.text
    address = Address("web", chat.conversation)
    draft = await queue.drafts.get(str(address), address)
    assert draft is not None
    assert [image.caption for image in draft.images] == ["zuri on a roof", *[None] * 5]
    await chat.upload(zipped(files), "captioned.zip")
    again = await chat.until(lambda line: "nothing new to train on" in line.text)
    assert "Left out: `photo-00.jpg`, `photo-01.jpg`. They're the same as others." in again.text
    assert "The 6 pictures you sent before are still here." in again.text


async def test_clear_throws_the_photos_away(chat: ChatClient) -> None:
    await chat.upload(zip_of_photos(3), "photos.zip")
    assert "All 3 photos are thrown away" in (await chat.ask("/clear")).text
    assert "no photos to train on" in (await chat.ask("/train anime zuri")).text


async def test_a_cancel_stops_a_waiting_job_at_once_and_asks_a_running_one(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    cancelled = (await chat.ask("/cancel")).text
    assert cancelled.startswith("`zuri` is cancelled.\nYour 12 photos are still here: `/train` takes them")
    await chat.until(lambda line: line.card is not None and line.card.state == "cancelled")
    assert not any(is_result(line) for line in chat.lines.values())

    await chat.ask("/train anime kavo")
    lease = await claimed(house.queue)
    assert (await chat.ask("/cancel kavo")).text == "I'm stopping `kavo`."
    await chat.until(lambda line: line.card is not None and line.card.state_text == "Being cancelled")
    await lease.cancelled()
    result = await chat.until(lambda line: is_result(line) and "`kavo`" in line.text)
    assert "Your 12 photos are still here" in result.text


async def test_photos_that_others_have_taken_the_place_of_are_said_to_be_gone(chat: ChatClient, house: House) -> None:
    gone = "Its 12 photos are not here any more, because you have sent others since"
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    await chat.upload(zip_of_photos(3, first=12), "others.zip")
    await chat.until(lambda line: "3 good pictures" in line.text)
    cancelled = (await chat.ask("/cancel")).text
    assert cancelled.startswith(f"`zuri` is cancelled.\n{gone}")

    await chat.ask("/clear")
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime kavo")
    lease = await claimed(house.queue)
    await chat.upload(zip_of_photos(4, first=12), "others.zip")
    await chat.until(lambda line: "4 good pictures" in line.text)
    await lease.fail(Message("queue-crashed", {"id": lease.job.id}))
    result = await chat.until(lambda line: is_result(line) and "`kavo`" in line.text)
    assert gone in result.text


async def test_status_and_jobs_tell_how_it_goes(chat: ChatClient, house: House) -> None:
    assert "no jobs yet" in (await chat.ask("/jobs")).text
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    lease = await claimed(house.queue)
    await show(lease, house.queue, 40)
    status = await chat.ask("/status")
    assert "In training" in status.text
    assert "Step 40 of 100" in status.text
    assert "15 s left" in status.text
    jobs = await chat.ask("/jobs")
    assert f"`{lease.job.id}` zuri, Anime character: In training" in jobs.text
    assert [button.action for button in jobs.buttons] == [f"cancel:{lease.job.id}"]


async def test_a_waiting_card_moves_up_when_others_leave_the_line(chat: ChatClient, house: House) -> None:
    async with ChatClient.open(house.url) as first:
        await first.upload(zip_of_photos(12), "photos.zip")
        await first.ask("/train anime zuri")
        await chat.upload(zip_of_photos(12), "photos.zip")
        assert "number 2 in line" in (await chat.ask("/train anime kavo")).text
        await chat.until(lambda line: line.card is not None and line.card.position == 2)
        await first.ask("/cancel")
        await chat.until(lambda line: line.card is not None and line.card.position == 1)


async def test_two_tabs_show_the_same_at_the_same_time(chat: ChatClient, house: House) -> None:
    other = ChatClient(chat.http, house.url, "en")
    await other.connect()
    key = await chat.say("/presets")
    assert (await other.answer(key)).text == (await chat.answer(key)).text
    assert [line.text for line in other.lines.values() if line.author == "you"] == ["/presets"]
    await other.disconnect()


async def test_everything_is_there_again_after_a_reload(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    await chat.until(is_card)
    before = {line.id: (line.kind, line.text) for line in chat.lines.values()}
    await chat.disconnect()
    lease = await claimed(house.queue)
    await show(lease, house.queue, 50)
    await chat.connect()
    assert before.keys() <= chat.lines.keys()
    assert all((chat.lines[number].kind, chat.lines[number].text) == said for number, said in before.items())
    await chat.until(lambda line: line.card is not None and line.card.step == 50)


async def test_a_line_sent_again_after_a_lost_connection_is_taken_once(chat: ChatClient) -> None:
    for _ in range(3):
        await chat.say("/presets", "same-key")
    await chat.answer("same-key")
    await chat.ask("/help")
    assert [line.text for line in chat.lines.values() if line.author == "you"] == ["/presets", "/help"]
    assert len([line for line in chat.lines.values() if line.author == "lorabot"]) == 2


async def test_a_message_that_is_no_message_is_told_and_the_socket_lives_on(chat: ChatClient) -> None:
    for bad in ('{"type":"say","text":"x"}', "no json", '{"type":"nothing"}', '{"type":"say","text":"x","key":"re:1"}'):
        assert chat._socket is not None
        await chat._socket.send_str(bad)
    assert "/train" in (await chat.ask("/help")).text
    assert len(chat.errors) == 4


async def test_a_character_that_postgresql_knows_not_costs_nobody_a_line(chat: ChatClient) -> None:
    assert "/train" in (await chat.ask("/he\0lp")).text
    assert [line.text for line in chat.lines.values() if line.author == "you"] == ["/help"]
    assert "no jobs" in (await chat.answer(await chat.press("jobs\0"))).text


async def test_chinese_is_answered_in_chinese(house: House) -> None:
    async with ChatClient.open(house.url, language="zh-CN") as chat:
        await chat.upload(zip_of_photos(12), "照片.zip")
        assert "有 12 张可用的图片" in (await chat.until(settled)).text
        answer = await chat.ask("／训练 预设：“anime” 触发词：zuri")
        assert "共 12 张照片" in answer.text
        card = await chat.until(is_card)
        assert card.card is not None
        assert (card.card.title, card.card.state_text) == ("动漫角色", "下一个就是")


async def test_a_restarted_bot_keeps_the_conversation_the_draft_and_the_card(queue: Queue, tmp_path: Path) -> None:
    async with running_bot(queue, tmp_path) as house, ChatClient.open(house.url) as chat:
        await chat.upload(zip_of_photos(12), "photos.zip")
        await chat.ask("/train anime zuri")
        card = await chat.until(is_card)
        await chat.upload(zip_of_photos(3, first=40), "more.zip")
        await chat.until(lambda line: settled(line) and "3 good" in line.text)
        lease = await claimed(queue)
        cookies = {cookie.key: cookie.value for cookie in chat.http.cookie_jar}
        lines = dict(chat.lines)
    await finish(lease, queue)  # while nobody is there to deliver it
    async with running_bot(queue, tmp_path) as house, ChatClient.open(house.url) as chat:
        await chat.disconnect()
        chat.http.cookie_jar.clear()
        chat.http.cookie_jar.update_cookies(cookies)
        await chat.connect()
        assert lines.keys() <= chat.lines.keys()
        await chat.until(is_result)
        final = await chat.until(lambda line: line.card is not None and line.card.final)
        assert final.id == card.id
        assert "3 photos so far" in (await chat.ask("/train anime kavo")).text
    async with running_bot(queue, tmp_path) as house, ChatClient.open(house.url) as chat:
        await chat.disconnect()
        chat.http.cookie_jar.clear()
        chat.http.cookie_jar.update_cookies(cookies)
        await chat.connect()
        await chat.ask("/help")
        assert len([line for line in chat.lines.values() if is_result(line)]) == 1
        assert len([line for line in chat.lines.values() if is_card(line)]) == 1


async def test_a_stage_without_steps_shows_its_name_and_no_percentage(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    lease = await claimed(house.queue)
    await lease.beat(Progress(Stage.CAPTIONING))
    line = await chat.until(lambda line: line.card is not None and line.card.stage_text == "Describing the pictures")
    assert line.card is not None
    assert line.card.percent is None


async def test_the_chat_goes_on_while_valkey_is_away(chat: ChatClient, house: House, valkey: EmbeddedValkey) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.until(settled)
    await valkey.stop()
    assert "You're next in line" in (await chat.ask("/train anime zuri")).text
    lease = await claimed(house.queue)
    await show(lease, house.queue, 20)
    await chat.until(lambda line: line.card is not None and line.card.step == 20)
    await valkey.start()
    await finish(lease, house.queue)
    await chat.until(is_result)


async def test_a_flood_of_presses_is_held_back_and_the_chat_lives_on(chat: ChatClient, house: House) -> None:
    await asyncio.gather(*(chat.press("jobs") for _ in range(200)))
    await chat.until(lambda line: bool(chat.errors))
    assert "a lot at once" in chat.errors[0]
    async with ChatClient.open(house.url) as other:
        assert "/train" in (await other.ask("/help")).text


async def test_a_result_offers_to_train_again_for_longer_or_shorter(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    await finish(await claimed(house.queue), house.queue)
    result = await chat.until(is_result)
    assert [button.label for button in result.buttons] == ["Train again, stronger", "Train again, weaker"]
    confirm = await chat.answer(await chat.press(result.buttons[1].action))
    assert "Ready: `zuri-2`" in confirm.text
    assert "zuri-2` will be trained" in (await chat.answer(await chat.press(confirm.buttons[0].action))).text
    assert (await claimed(house.queue)).job.name == "zuri-2"


async def test_details_tell_more_than_the_card(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train preset:anime trigger:zuri seed:7")
    card = await chat.until(is_card)
    await show(await claimed(house.queue), house.queue, 40)
    details = next(button for button in card.buttons if button.label == "Details")
    text = (await chat.answer(await chat.press(details.action))).text
    assert "Trigger `zuri`, base model `demo`, seed 7, 12 photos." in text
    recipe = PRESETS.get("anime").recipe("demo")
    assert f"{recipe.views:,} views of {recipe.resolution} pixels" in text
    assert "Loss: 0.2000 at first, 0.1000 last." in text
    async with ChatClient.open(house.url) as other:
        assert "somebody else" in (await other.answer(await other.press(details.action))).text


async def test_details_of_a_job_that_is_done_name_the_loss_of_what_one_gets(chat: ChatClient, house: House) -> None:
    async def measured() -> str:
        card = await chat.until(is_card)
        text = (await chat.answer(await chat.press(f"details:{card.card.job if card.card else ''}"))).text
        return next(line for line in text.splitlines() if "Validation" in line)

    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    lease = await claimed(house.queue)
    progress = Progress(Stage.TRAINING, 90, 100, validation=((0, 0.21), (30, 0.0807), (60, 0.12)))
    await lease.beat(progress)
    assert await measured() == "Validation loss: 0.2100 at first, 0.0807 at its best so far."
    await finish(lease, house.queue)
    result = await chat.until(is_result)
    assert await measured() in result.text.splitlines()

    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime kavo")
    lease = await claimed(house.queue)
    await lease.beat(progress)
    await lease.cancelled()
    text = (await chat.answer(await chat.press(f"details:{lease.job.id}"))).text
    assert "0.0807 at its best." in text


async def test_who_runs_the_queue_on_the_web_is_a_setting(chat: ChatClient, house: House) -> None:
    refused = (await chat.ask("/queue pause")).text
    assert refused.startswith("Only moderators may do that")
    assert "`LORABOT_WEB__EVERYBODY_IS_OPERATOR=true`" in refused, "there is nobody to ask"
    assert not await house.queue.jobs.paused()
    assert await chat.complete("/que") == []
    web = WEB.model_copy(update={"everybody_is_operator": True})
    async with running_bot(house.queue, house.folder / "two", web=web) as two, ChatClient.open(two.url) as boss:
        await chat.upload(zip_of_photos(12), "photos.zip")
        await chat.ask("/train anime zuri")
        assert "Everything is paused" in (await boss.ask("/queue pause")).text
        assert await house.queue.jobs.paused()
        (job,) = await house.queue.jobs.unfinished()
        offers = [offer["label"] for offer in await boss.complete("/queue hold job:")]
        assert offers == [job.id]
        assert "is cancelled" in (await boss.ask(f"/queue cancel {job.id}")).text
        assert "was cancelled" in (await chat.until(is_result)).text
