"""The upload page in a real browser: what somebody from another chat sees who follows its link."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FilePayload, expect

from lorabot.bot.config import WebConfig
from lorabot.bot.signing import Signer
from lorabot.bot.web.links import Links
from lorabot.queue.model import Address
from tests.e2e.chat import SECRET, Bot, Visitor, picture, running_bot, running_browser, zip_of_photos

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
ANN, THERE = "discord:1", Address("discord", "2/3")
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest_asyncio.fixture(loop_scope="module")
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with running_bot(tmp_path / "bot") as bot:
        yield bot


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


async def link_to(bot: Bot, language: str = "en") -> str:
    links = Links(bot.queue, Signer(SECRET.get_secret_value().encode()), WebConfig())
    links.listens_at(bot.url)
    return await links.upload_page(ANN, THERE, language)


def photos(count: int) -> list[FilePayload]:
    return [FilePayload(name=f"photo-{seed}.png", mimeType="image/png", buffer=picture(seed)) for seed in range(count)]


async def test_photos_are_dropped_watched_and_done(bot: Bot, browser: Browser) -> None:
    context = await browser.new_context(viewport={"width": 1100, "height": 800})
    visitor = Visitor(await context.new_page(), bot.url)
    page = visitor.page
    await page.goto(await link_to(bot))
    await expect(page.locator("h1").first).to_have_text("Send your photos")
    await expect(page.locator("#where")).to_contain_text("Discord")
    await expect(page.locator("#done")).to_be_disabled()
    await visitor.drop("zuri.zip", zip_of_photos(8), "application/zip")
    await expect(page.locator("#tray .sent")).to_have_count(1)
    await page.set_input_files("#files", photos(3))
    await expect(page.locator("#tray .sent")).to_have_count(4)
    await expect(page.locator("#count")).to_have_text("Sent: 4")
    assert await visitor.overflow() == 0
    await page.locator("#done").click()
    await expect(page.locator("#over")).to_contain_text("Go back to Discord")
    assert visitor.troubles == []
    await page.reload()
    await expect(page.locator("#over")).to_contain_text("This link has been used")
    await context.close()


async def test_a_file_that_is_refused_says_why_and_the_others_arrive(bot: Bot, browser: Browser) -> None:
    context = await browser.new_context(**PHONE)  # type: ignore[arg-type]
    visitor = Visitor(await context.new_page(), bot.url)
    page = visitor.page
    await page.goto(await link_to(bot, "zh-CN"))
    await expect(page.locator("h1").first).to_have_text("发送照片")
    large = FilePayload(name="大.zip", mimeType="application/zip", buffer=bytes(1_200_000))
    await page.set_input_files("#files", [*photos(2), large])
    await expect(page.locator("#tray .sent")).to_have_count(2)
    await expect(page.locator("#tray .failed small")).to_contain_text("最大只收")
    await expect(page.locator("#count")).to_have_text("已发送：2 个 · 未发送：1 个")
    assert await visitor.overflow() == 0
    await expect(page.locator("#tray .failed button")).to_have_count(1)  # it is as large the next time
    await page.locator("#tray .failed button").tap()
    await expect(page.locator("#count")).to_have_text("已发送：2 个")
    await page.locator("#done").tap()
    await expect(page.locator("#over")).to_contain_text("已收到")
    assert visitor.troubles == []
    await context.close()


async def test_a_link_that_is_none_says_so_on_the_page(bot: Bot, browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{bot.url}/send/nothing")
    await expect(page.locator("#over")).to_contain_text("not one of mine")
    await expect(page.locator("#sending")).to_be_hidden()
    await context.close()
