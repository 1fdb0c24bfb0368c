"""A person at the chat page of the whole house: real bot, real queue, real trainer."""

from pathlib import Path

import pytest
from playwright.async_api import expect
from safetensors import safe_open

from tests.chaos.house import PRESET, looking_in, up
from tests.e2e.chat import Bot, running_browser, visiting
from tests.house import free_port

pytestmark = pytest.mark.slow
TRAINED_S = 150


async def test_a_person_sends_a_bad_file_trains_downloads_the_lora_and_cancels_another(tmp_path: Path) -> None:
    with up(tmp_path, free_port()) as house:
        await house.answers()
        async with (
            looking_in(tmp_path) as queue,
            running_browser() as browser,
            visiting(browser, Bot(house.url, queue), viewport={"width": 1000, "height": 900}) as visitor,
        ):
            page = visitor.page
            await visitor.drop("holiday.rar", b"Rar!\x1a\x07\x00 not a zip", "application/octet-stream")
            await expect(page.locator(".line.lorabot:not(.busy) .text")).to_contain_text("holiday.rar")
            await visitor.send_photos(12)

            await visitor.say(f"/train preset:{PRESET} trigger:zuri")
            card = page.locator(".card").first
            await expect(card).to_have_attribute("data-state", "succeeded", timeout=TRAINED_S * 1000)
            result = page.locator(".result")
            await expect(result.locator(".figures img")).to_have_count(2)
            async with page.expect_download() as downloading:
                await result.get_by_role("link", name=".safetensors").click()
            await (await downloading.value).save_as(tmp_path / "lora")
            with safe_open(tmp_path / "lora", "pt") as lora:
                assert lora.metadata()["modelspec.trigger_phrase"] == "zuri"
                assert any(name.endswith("lora_up.weight") for name in lora.keys())  # noqa: SIM118

            await visitor.send_photos(12)
            await visitor.say(f"/train preset:{PRESET} trigger:pomo")
            second = page.locator(".card").nth(1)
            await expect(second).to_have_attribute("data-state", "running")
            await second.locator(".button.danger").click()
            await page.locator("#confirm [value=yes]").click()
            await expect(second).to_have_attribute("data-state", "cancelled")
