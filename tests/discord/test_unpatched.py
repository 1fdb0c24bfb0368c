"""What people get wrong on Discord, once more: against a ``lorabot bot`` process as an operator starts it."""

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.bot.house import INTAKE, House, finish, show, store_locked
from tests.discord import test_commands, test_moderation, test_training, test_trouble
from tests.discord.conftest import MODERATOR_ROLE, Shared, a_queue
from tests.discord.flow import a_running_job, last
from tests.discord.server import Channel, DiscordServer, Person
from tests.house import free_port, started

pytestmark = pytest.mark.slow

test_a_bad_file = test_trouble.test_a_bad_file_is_named_and_the_way_on_is_shown
test_the_good_ones_among_bad_files = test_trouble.test_the_good_ones_among_bad_files_are_kept
test_one_broken_picture = test_trouble.test_one_broken_picture_among_good_ones_is_named_and_the_rest_go_on
test_too_few_photos = test_training.test_too_few_photos_bring_a_button_for_more
test_pictures_beside_a_video = test_trouble.test_pictures_beside_a_video_are_taken_and_the_video_is_named
test_a_wrong_word = test_trouble.test_a_wrong_word_is_said_before_anything_is_downloaded
test_the_button_of_another_person = test_trouble.test_the_button_of_another_persons_proposal_is_theirs
test_a_second_job = test_trouble.test_a_second_job_is_refused_while_the_first_waits
test_the_job_of_somebody_else = test_trouble.test_nobody_cancels_the_job_of_somebody_else
test_a_photo_while_a_job_is_set_up = test_trouble.test_photos_that_come_while_a_job_is_set_up_are_asked_about
test_missing_permissions = test_trouble.test_a_channel_where_the_bot_may_not_write_is_named_before_anything_starts
test_a_channel_that_is_shut = test_trouble.test_a_channel_that_is_shut_meanwhile_sends_its_news_to_the_asker
test_a_deleted_channel = test_trouble.test_a_deleted_channel_sends_its_news_to_the_asker
test_closed_direct_messages = test_trouble.test_direct_messages_that_were_closed_are_given_up
test_a_deleted_card = test_trouble.test_a_card_that_somebody_deleted_is_shown_anew
test_a_job_that_is_gone = test_trouble.test_a_press_on_a_job_that_is_gone_is_answered
test_the_cards_buttons = test_commands.test_the_cards_buttons_are_for_the_one_who_asked
test_a_members_queue_command = test_moderation.test_a_member_who_gets_at_the_command_is_refused


class Apart(Shared):
    """A bot in a process of its own."""

    async def start(self) -> House:
        if self.house is None:
            port = free_port()
            settings = {
                "LORABOT_DATA_DIR": str(self.folder / "data"),
                "LORABOT_DATABASE_URL": f"sqlite:///{self.folder / 'lorabot.sqlite3'}",
                "LORABOT_REDIS_URL": self.valkey.url,
                "LORABOT_BLOB_URL": str(self.folder / "blobs"),
                "LORABOT_WEB__PORT": str(port),
                "LORABOT_INTAKE__MAX_FILE_BYTES": str(INTAKE.max_file_bytes),
                "LORABOT_DISCORD__TOKEN": self.server.token,
                "LORABOT_DISCORD__API_URL": self.server.api_url,
                "LORABOT_DISCORD__GATEWAY_URL": self.server.gateway_url,
                "LORABOT_DISCORD__MODERATOR_ROLES": str(MODERATOR_ROLE),
            }
            self._stack.enter_context(started("bot", cwd=self.folder, **settings))
            await self.server.gateway.until_connected(90)
            self.house = House(f"http://127.0.0.1:{port}", self.queue, self.folder)
        return self.house


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Apart]:
    folder = tmp_path_factory.mktemp("discord-apart")
    server = DiscordServer()
    server.patience_s = 60
    async with server.running(), a_queue(folder) as (queue, valkey):
        everything = Apart(server, queue, folder, valkey)
        yield everything
        await everything.stop()
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def test_a_job_goes_on_while_valkey_and_then_the_database_are_away(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel, shared: Apart
) -> None:
    card, lease = await a_running_job(anna, bot.queue)
    await shared.valkey.stop()
    await show(lease, bot.queue, 20)
    await discord.until(lambda: "20 %" in card.text)
    await shared.valkey.start()
    async with store_locked(bot.folder / "lorabot.sqlite3"):
        told = await anna.answered(await anna.press(card, "Cancel"))
        assert "can't reach my database" in told.text
    await finish(lease, bot.queue)
    await discord.until(lambda: "is done" in last(discord, channel).text)
    await discord.until(lambda: "Done" in card.text)
