"""What people get wrong on Telegram, once more: against a ``lorabot bot`` process as an operator starts it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from lorabot.queue import open_queue
from lorabot.queue.database import BUSY_TIMEOUT_MS
from lorabot.queue.embedded import EmbeddedValkey
from tests.bot.house import claimed, finish, show, store_locked
from tests.conftest import QUICK
from tests.house import free_port, started
from tests.telegram import test_delivering, test_groups, test_photos, test_talking, test_trouble
from tests.telegram.flow import asks, has_action
from tests.telegram.house import OPERATOR, House
from tests.telegram.server import Person, TelegramServer
from tests.telegram.server.flood import NO_RATES

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

Act = Callable[[House, Person], Awaitable[None]]


async def the_button_of_another_member(house: House, anna: Person) -> None:
    boris = house.telegram.person("Boris")
    await test_groups.test_the_buttons_of_one_member_are_not_for_another(
        house, anna, boris, await test_groups.greeted(house, anna, boris)
    )


# What these people wait for is mostly the bot, which lets a second pass between two messages to a chat.
AT_ONCE: Mapping[str, Act] = {
    "a wrong word": test_trouble.test_a_wrong_word_is_answered_with_what_to_do_instead,
    "one broken picture": test_trouble.test_one_broken_picture_among_good_ones_is_named_and_the_rest_goes_on,
    "a second job": test_trouble.test_a_second_job_is_refused_while_the_first_waits_and_its_photos_stay,
    "the job of somebody else": test_trouble.test_nobody_cancels_the_job_of_somebody_else,
    "a photo while a job is set up": test_photos.test_a_photo_that_comes_while_the_job_is_confirmed_is_asked_about,
    "photos behind a clear, typed": partial(test_photos.test_what_is_sent_right_behind_a_clear_stays, way="typed"),
    "photos behind a clear, pressed": partial(test_photos.test_what_is_sent_right_behind_a_clear_stays, way="pressed"),
    "too few photos": test_talking.test_a_person_with_too_few_photos_is_told_to_send_more,
    "buttons of jobs that are gone": test_talking.test_buttons_that_mean_nothing_any_more_say_so,
    "a member's queue command": test_talking.test_a_member_runs_no_queue,
    "the button of another member": the_button_of_another_member,
    **{
        f"{sentence}: {file}": partial(
            test_photos.test_a_file_of_no_use_is_named_with_the_reason, name=file, data=data, sentence=sentence
        )
        for file, data, sentence in test_photos.OF_NO_USE
    },
}
# These change the server, or take the next job in line.
test_a_video_in_an_album = test_photos.test_a_video_in_an_album_is_left_out_and_named
test_an_expired_path_and_a_cut_off_file = test_photos.test_a_file_that_is_cut_off_is_fetched_again
test_a_file_over_the_limit = test_photos.test_what_telegram_does_not_hand_out_goes_by_a_page
boris, group = test_groups.boris, test_groups.group
test_a_group_without_messages = test_groups.test_a_group_that_takes_no_messages_is_told_of_in_private
test_a_deleted_card = test_delivering.test_a_card_that_somebody_deleted_comes_again
test_a_blocked_bot = test_delivering.test_a_person_who_blocked_the_bot_gets_the_result_when_they_are_back
test_a_chat_that_is_gone = test_delivering.test_a_chat_that_is_gone_is_given_up


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> AsyncIterator[House]:
    """A bot in a process of its own, its queue and its Telegram."""
    folder = tmp_path_factory.mktemp("telegram")
    valkey = EmbeddedValkey(folder)
    await valkey.start()
    try:
        file = await asyncio.to_thread(shutil.copy, migrated_database, folder / "lorabot.sqlite3")
        async with (
            open_queue(QUICK, f"sqlite:///{file}", valkey.url, str(folder / "blobs")) as queue,
            TelegramServer(rates=NO_RATES).serving(judged=False) as telegram,
        ):
            telegram.state.patience_s = 60
            port = free_port()
            settings = {
                "LORABOT_DATA_DIR": str(folder / "data"),
                "LORABOT_DATABASE_URL": f"sqlite:///{file}",
                "LORABOT_REDIS_URL": valkey.url,
                "LORABOT_BLOB_URL": str(folder / "blobs"),
                "LORABOT_WEB__PORT": str(port),
                "LORABOT_TELEGRAM__TOKEN": telegram.token,
                "LORABOT_TELEGRAM__API_URL": telegram.url,
                "LORABOT_TELEGRAM__FILE_URL": telegram.file_url,
                "LORABOT_TELEGRAM__OPERATORS": str(OPERATOR),
            }
            with started("bot", cwd=folder, **settings):
                await telegram.state.until(lambda: telegram.state.polls > 0, 90)
                yield House(telegram, queue, folder, f"http://127.0.0.1:{port}")
    finally:
        await valkey.stop()


async def test_many_people_at_once_are_each_told_what_they_got_wrong(house: House) -> None:
    async def act(doing: str) -> None:
        try:
            await AT_ONCE[doing](house, house.telegram.person(doing))
        except Exception as error:
            error.add_note(doing)
            raise

    results = await asyncio.gather(*map(act, AT_ONCE), return_exceptions=True)
    if errors := [result for result in results if isinstance(result, Exception)]:
        raise ExceptionGroup("of all these people", errors)


async def test_a_job_goes_on_while_valkey_and_then_the_database_are_away(house: House, anna: Person) -> None:
    valkey = EmbeddedValkey(house.folder)
    await asks(house.queue, anna)
    lease = await claimed(house.queue)
    card = await anna.sees(lambda message: has_action("cancel:", message))
    await valkey.stop()
    await show(lease, house.queue, 20)
    await house.telegram.state.until(lambda: "20 %" in card.text)
    await valkey.start()
    async with store_locked(house.folder / "lorabot.sqlite3"):
        said = anna.says("/jobs")
        await asyncio.sleep(BUSY_TIMEOUT_MS / 1000 + 1)  # so long a writer waits before it takes the database for away
    await anna.sees(lambda message: message.id > said.id and "zuri" in message.text)
    await finish(lease, house.queue)
    await anna.sees(lambda message: has_action("again:", message))
    await house.telegram.state.until(lambda: "Done" in card.text)
