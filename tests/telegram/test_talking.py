"""Words and buttons in a private chat: every command, every wrong one, every old button."""

import pytest

from lorabot.queue.model import Address, JobState
from tests.bot.house import claimed, finish
from tests.bot.pictures import zip_of_photos
from tests.telegram.flow import a_job, comes_to_confirm, has_action, sends_photos
from tests.telegram.house import OPERATOR, House
from tests.telegram.server import Item, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_presets_privacy_jobs_and_help_are_answered(house: House, anna: Person) -> None:
    anna.says("/help")
    await anna.sees("/train preset:anime trigger:zuri")
    anna.says("/presets")
    await anna.sees("Anime character")
    anna.says("/privacy")
    privacy = await anna.sees(lambda message: has_action("forgetme", message))
    assert "30" in privacy.text
    anna.says("/jobs")
    await anna.sees("You have no jobs yet")


async def test_words_in_backticks_become_code(house: House, anna: Person) -> None:
    anna.says("/prests <b>&")
    answer = await anna.sees("Did you mean")
    assert "/prests" in answer.text
    assert answer.entities == [], "a command that stands alone can be touched"
    anna.says("/help")
    listed = await anna.sees("/train preset:anime trigger:zuri")
    assert [entity["type"] for entity in listed.entities] == ["code"]


async def test_a_person_with_too_few_photos_is_told_to_send_more(house: House, anna: Person) -> None:
    anna.says("/train anime zuri")
    await anna.sees("There are no photos to train on yet")
    count = await sends_photos(anna, 2)
    press = await anna.answered(anna.presses(count, "Train"))
    assert press.alert
    assert "There are 2 photos so far" in press.text
    anna.says("/clear")
    await anna.sees("All 2 photos")
    anna.says("/train")
    await anna.state.until(lambda: "no photos to train on" in anna.received()[-1].text)


async def test_a_wrong_word_is_asked_for_again_until_it_is_right(house: House, anna: Person) -> None:
    await sends_photos(anna)
    anna.says("/train anime name:the-longest-name-that-a-file-may-have-00 seed:2147483646")
    question = await anna.sees("Pick one, or just type your own")
    anna.says("my cat")
    await anna.sees("is more than one word")
    anna.says("Zuri")
    consent = await anna.sees(lambda message: has_action("agree:", message))
    await anna.answered(anna.presses(consent, "I agree"))
    await anna.sees("the-longest-name-that-a-file-may-have-00, Anime character")
    await house.telegram.state.until(lambda: question.labels == [])


async def test_chinese_people_are_answered_in_chinese_and_others_in_the_houses_language(
    house: House,
) -> None:
    telegram = house.telegram
    li, hans, nobody = telegram.person("Li", "zh-hans"), telegram.person("Hans", "de"), telegram.person("X", None)
    for person, words in ((li, "我用你的照片训练图像 LoRA"), (hans, "I train image LoRAs"), (nobody, "I train")):
        person.says("/start")
        await person.sees(words)
    li.says("/训练")
    await li.sees("还没有可以训练的照片")


async def test_the_app_shows_the_commands_in_both_languages(house: House) -> None:
    state = house.telegram.state
    await state.until(lambda: len(state.commands) == 9)
    private = {command["command"]: command["description"] for command in state.commands["all_private_chats", "zh"]}
    assert {"train", "jobs", "cancel", "presets", "clear", "privacy", "forgetme", "help"} == set(private)
    assert private["jobs"] == "我的任务"
    group = {command["command"] for command in state.commands["all_group_chats", ""]}
    admins = {command["command"] for command in state.commands["all_chat_administrators", ""]}
    assert admins - group == {"queue"}


async def test_a_second_press_of_start_starts_nothing(house: House, anna: Person) -> None:
    await sends_photos(anna)
    confirm = await comes_to_confirm(anna)
    start = str(confirm.button("Start")["callback_data"])
    await anna.answered(anna.presses(confirm, "Start"))
    await anna.sees(lambda message: has_action("cancel:", message))
    again = await anna.answered(anna.sends_press(confirm, start))
    assert again.alert
    assert len(await house.queue.jobs.of(f"telegram:{anna.member.id}", 10)) == 1


async def test_no_drops_the_proposal_and_keeps_the_photos(house: House, anna: Person) -> None:
    count = await sends_photos(anna)
    confirm = await comes_to_confirm(anna)
    anna.presses(confirm, confirm.labels[-1])
    await house.telegram.state.until(lambda: confirm.labels == [])
    assert count.labels == ["Train", "Clear"]


async def test_a_job_is_cancelled_by_its_button(house: House, anna: Person) -> None:
    job = await a_job(anna, house.queue)
    card = await anna.sees(lambda message: has_action("cancel:", message))
    press = await anna.answered(anna.presses(card, "Cancel"))
    assert press.text is not None
    assert press.text.startswith("zuri is cancelled.\nYour 12 photos are still here: /train takes them")
    await anna.sees("Cancelled")
    assert (await house.queue.jobs.get(job.id)).state is JobState.CANCELLED
    await house.telegram.state.until(lambda: card.labels == [])
    late = await anna.answered(anna.sends_press(card, f"cancel:{job.id}"))
    assert late.text


async def test_details_are_told_in_a_message_of_their_own(house: House, anna: Person) -> None:
    await a_job(anna, house.queue)
    card = await anna.sees(lambda message: has_action("details:", message))
    await anna.answered(anna.presses(card, "Details"))
    details = await anna.sees("seed")
    assert details is not card


async def test_train_again_proposes_the_same_with_more(house: House, anna: Person) -> None:
    await a_job(anna, house.queue)
    await finish(await claimed(house.queue), house.queue)
    result = await anna.sees(lambda message: has_action("again:", message))
    anna.presses(result, "stronger")
    confirm = await anna.sees(lambda message: has_action("start:", message))
    anna.presses(confirm, "Start")
    await anna.sees(lambda message: has_action("cancel:", message))
    assert [job.name for job in await house.queue.jobs.of(f"telegram:{anna.member.id}", 5)] == ["zuri-2", "zuri"]
    assert result.labels, "the result keeps its buttons"


async def test_buttons_that_mean_nothing_any_more_say_so(house: House, anna: Person) -> None:
    anna.says("/start")
    message = await anna.sees("I train image LoRAs")
    gone = ("start:abcdefghij", "cancel:nonsense", "details:gone", "again:gone:stronger")
    for data in (*gone, "what is this", "pick:nothing", "::"):
        press = await anna.answered(anna.sends_press(message, data))
        assert press.text or len(anna.received()) > 1, data


async def test_forgetme_asks_first_and_then_deletes_all(house: House, anna: Person) -> None:
    await sends_photos(anna, 3)
    anna.says("/forgetme")
    sure = await anna.sees(lambda message: has_action("forgetme:yes", message))
    anna.presses(sure, sure.labels[0])
    await house.telegram.state.until(lambda: sure.labels == [])
    anna.says("/train anime zuri")
    await anna.sees("There are no photos to train on yet")


async def test_after_forgetme_no_button_of_before_is_left_and_the_same_files_may_come_again(
    house: House, anna: Person
) -> None:
    large = Item(b"x", "large.zip", "document", "application/zip", size=21 * 1024 * 1024)
    anna.sends(large)
    page = await anna.sees("/send/")
    zip_of_hers = anna.sends_file("zuri.zip", zip_of_photos(12))
    count = await anna.sees("12 good pictures")
    anna.says("/train anime")
    question = await anna.sees("Which word shall call it up?")
    anna.says("/forgetme")
    sure = await anna.sees(lambda message: has_action("forgetme:yes", message))
    assert count.labels, "nothing is deleted yet"
    assert question.labels
    anna.presses(sure, sure.labels[0])
    await house.telegram.state.until(lambda: sure.labels == [])
    assert (count.labels, question.labels) == ([], [])
    anna.sends(large)
    await anna.sees(lambda message: "/send/" in message.text and message.id > page.id)
    anna.says("/train anime zuri", reply_to=zip_of_hers)
    await anna.sees(lambda message: has_action("agree:", message))


async def test_a_file_whose_draft_grew_too_old_can_be_trained_on_by_a_reply(house: House, anna: Person) -> None:
    sent = anna.sends_file("zuri.zip", zip_of_photos(12))
    await anna.sees("12 good pictures")
    await house.queue.drafts.clear(f"telegram:{anna.member.id}", Address("telegram", str(anna.chat.id)))
    anna.says("/train anime zuri", reply_to=sent)
    await anna.sees(lambda message: has_action("agree:", message))


async def test_an_operator_runs_the_whole_queue_from_a_private_chat(house: House, anna: Person) -> None:
    job = await a_job(anna, house.queue)
    olga = house.telegram.person("Olga", number=OPERATOR)
    olga.says("/queue")
    shown = await olga.sees(job.id)
    assert "Anna" in shown.text, "people have names, not numbers"
    olga.says("/queue pause")
    paused = await olga.sees(lambda message: has_action("queue:resume", message))
    assert await house.queue.jobs.claim("tester") is None
    olga.presses(paused, paused.labels[0])
    await house.telegram.state.until(lambda: paused.labels == [])
    olga.says(f"/queue cancel {job.id}")
    await olga.sees("zuri is cancelled")
    await anna.sees("zuri was cancelled")


async def test_a_member_runs_no_queue(house: House, anna: Person) -> None:
    anna.says("/queue pause")
    await anna.sees("moderator")
    assert not await house.queue.jobs.paused()
