"""The chat page in a real browser, before the real bot with the real queue."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Route, WebSocketRoute, expect
from pydantic import SecretStr

from lorabot.queue.model import Stage
from tests.e2e.chat import Bot, Visitor, Worker, picture, running_bot, running_browser, visiting

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest_asyncio.fixture(loop_scope="module")
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with running_bot(tmp_path / "bot") as bot:
        yield bot


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


async def loaded(images: Locator) -> bool:
    """Have all these pictures arrived and been decoded?"""
    await images.last.scroll_into_view_if_needed()
    widths: list[int] = await images.evaluate_all(
        "(all) => Promise.all(all.map((image) => image.decode().then(() => image.naturalWidth)))"
    )
    return bool(widths) and min(widths) > 0


async def test_a_newcomer_trains_with_the_keyboard_and_downloads_the_file(
    bot: Bot, browser: Browser, tmp_path: Path
) -> None:
    async with visiting(browser, bot, viewport={"width": 1100, "height": 800}) as visitor:
        page = visitor.page
        await expect(page.locator("#empty")).to_be_visible()
        await visitor.send_photos()
        await expect(page.locator("#empty")).to_be_hidden()

        box, popup = page.locator("#say"), page.locator("#suggestions")
        await expect(box).to_be_focused()
        await page.keyboard.type("/tr")
        await expect(popup.get_by_role("option", selected=True)).to_contain_text("/train")
        await page.keyboard.press("Tab")
        await expect(box).to_have_value("/train ")
        await expect(popup.get_by_role("option").first).to_contain_text("preset:")
        await page.keyboard.type("pre")
        await expect(popup.get_by_role("option", selected=True)).to_contain_text("preset:")
        await page.keyboard.press("Enter")
        await expect(popup.get_by_role("option")).to_have_count(8)
        await page.keyboard.type("ani")
        await expect(popup.get_by_role("option", selected=True)).to_contain_text("Anime")
        await page.keyboard.press("Enter")
        await expect(box).to_have_value("/train preset:anime ")
        await page.keyboard.type("trigger:zuri")
        await page.keyboard.press("Enter")
        await expect(box).to_have_value("")

        worker = await Worker.claim(bot.queue)
        card = page.locator(".card")
        await worker.begin(Stage.CAPTIONING)
        await expect(card).to_have_attribute("data-state", "running")
        await expect(card.locator(".stage")).not_to_be_empty()
        await worker.train(50, 100)
        await expect(card.locator("progress")).to_have_js_property("value", 50)
        await expect(card.locator(".numbers")).to_contain_text("50")
        await expect(card.locator("path.train")).to_have_attribute("d", re.compile("L"))
        await expect(card.locator("path.dots")).to_have_attribute("d", re.compile("h"))
        await expect(card.locator(".contact figure")).to_have_count(2)
        await expect(card.locator(".contact img")).to_have_count(4)
        assert await loaded(card.locator(".contact img"))

        lora = bytes(range(256)) * 900
        await worker.succeed(lora)
        result = page.locator(".result")
        await expect(result.locator(".figures img")).to_have_count(2)
        assert await loaded(result.locator(".figures img"))
        await expect(card).to_have_attribute("data-state", "succeeded")
        async with page.expect_download() as downloading:
            await result.get_by_role("link", name=".safetensors").click()
        download = await downloading.value
        await download.save_as(tmp_path / "lora")
        assert download.suggested_filename == f"{worker.lease.job.name}.safetensors"
        assert (tmp_path / "lora").read_bytes() == lora

        await result.locator(".figures button").first.focus()
        await page.keyboard.press("Enter")
        viewer = page.locator("#viewer")
        await expect(viewer).to_be_visible()
        first = await viewer.locator("img").get_attribute("alt")
        await page.keyboard.press("ArrowRight")
        await expect(viewer.locator("img")).not_to_have_attribute("alt", first or "")
        await page.keyboard.press("Escape")
        await expect(viewer).to_be_hidden()

        before = await visitor.texts()
        await page.reload()
        await expect(page.locator(".result .figures img")).to_have_count(2)
        assert await visitor.texts() == before
        assert await loaded(page.locator(".result .figures img"))


async def test_a_file_that_is_no_picture_is_named_and_the_good_ones_stay(bot: Bot, browser: Browser) -> None:
    async with visiting(browser, bot) as visitor:
        await visitor.send_photos()
        await visitor.drop("broken.zip", b"this is no zip", "application/zip")
        answer = visitor.page.locator(".line.lorabot:not(.busy)").last
        await expect(answer.locator(".text")).to_contain_text("broken.zip")
        await expect(visitor.page.locator("#tray")).to_be_hidden()


async def test_a_file_over_the_limit_is_refused_before_it_is_sent(bot: Bot, browser: Browser) -> None:
    async with visiting(browser, bot) as visitor:
        await visitor.drop("huge.zip", bytes(1_000_001), "application/zip")
        upload = visitor.page.locator("#tray li.failed")
        await expect(upload).to_contain_text("huge.zip")
        await expect(upload.get_by_role("alert")).to_contain_text("1 MB")
        await upload.get_by_role("button").last.click()
        await expect(visitor.page.locator("#tray")).to_be_hidden()
        await expect(visitor.page.locator("#empty")).to_be_visible()


async def test_an_upload_can_be_cancelled(bot: Bot, browser: Browser) -> None:
    async with visiting(browser, bot) as visitor:
        sent, gone = asyncio.Event(), asyncio.Event()

        async def stall(route: Route) -> None:
            sent.set()
            await gone.wait()
            await route.abort()

        await visitor.page.route("**/api/uploads*", stall)
        await visitor.drop("slow.png", picture(3), "image/png")
        async with asyncio.timeout(30):
            await sent.wait()
        await visitor.page.locator("#tray button").click()
        await expect(visitor.page.locator("#tray")).to_be_hidden()
        gone.set()
        assert await visitor.texts() == []


async def test_a_training_is_cancelled_after_a_question(bot: Bot, browser: Browser) -> None:
    async with visiting(browser, bot) as visitor:
        page = visitor.page
        await visitor.send_photos()
        await visitor.say("/train preset:anime trigger:zuri")
        worker = await Worker.claim(bot.queue)
        await worker.train(20, 100)
        cancel = page.locator(".card .button.danger")
        await cancel.click()
        await page.keyboard.press("Escape")
        await expect(page.locator("#confirm")).to_be_hidden()
        await worker.train(40, 100)

        await expect(page.locator(".card progress")).to_have_js_property("value", 40)
        await cancel.click()
        await page.locator("#confirm button[value=yes]").click()
        await worker.stop_when_told()
        await expect(page.locator(".card")).to_have_attribute("data-state", "cancelled")
        await expect(cancel).to_have_count(0)


async def test_the_picker_starts_a_training_without_typing_a_command(bot: Bot, browser: Browser) -> None:
    async with visiting(browser, bot) as visitor:
        page = visitor.page
        await page.locator("#open-picker").focus()
        await page.keyboard.press("Enter")
        choices = page.get_by_role("dialog").get_by_role("radio")
        await expect(choices).to_have_count(8)
        await expect(choices.first).to_be_focused()
        await page.keyboard.press("ArrowDown")
        command = f"{(await choices.nth(1).get_attribute('value') or '').strip()} trigger:zuri"
        await page.keyboard.press("Tab")
        await page.keyboard.type("zuri")
        await page.keyboard.press("Enter")
        await expect(page.locator(".line.you:not(.pending) .text")).to_have_text(command)
        await expect(page.locator(".line.lorabot")).to_have_count(1)


async def test_a_tab_that_is_faster_than_the_suggestions_still_completes(bot: Bot, browser: Browser) -> None:
    async with visiting(browser, bot) as visitor:
        page, box = visitor.page, visitor.page.locator("#say")
        await expect(box).to_be_focused()
        await page.keyboard.type("/tr")
        await page.keyboard.press("Tab")
        await expect(box).to_have_value("/train ")
        await page.keyboard.type("trigger:zuri")
        await expect(page.locator("#suggestions")).to_be_hidden()
        await page.keyboard.press("Enter")
        await expect(page.locator(".line.you .text")).to_have_text("/train trigger:zuri")
        await page.keyboard.press("Tab")
        await expect(box).not_to_be_focused()


async def test_a_message_whose_receipt_was_lost_is_there_once(bot: Bot, browser: Browser) -> None:
    async with visiting(browser, bot) as visitor:
        page = visitor.page
        sockets: list[WebSocketRoute] = []
        open_again = asyncio.Event()

        async def deaf(socket: WebSocketRoute) -> None:
            """The page's messages arrive, but it hears nothing after the welcome; later on, nobody answers."""
            first = not sockets
            sockets.append(socket)
            if not first and not open_again.is_set():
                await socket.close(code=1012)
                return
            server = socket.connect_to_server()
            if first:
                server.on_message(lambda message: socket.send(message) if b"welcome" in as_bytes(message) else None)

        await page.route_web_socket("**/ws", deaf)
        await page.reload()
        await expect(page.locator("body[data-connection=open]")).to_be_visible()
        await visitor.say("/help")
        await expect(page.locator(".line.you.pending")).to_be_visible()
        await sockets[0].close(code=1012)
        await expect(page.locator("#link")).to_be_visible()
        await visitor.say("/presets")
        await expect(page.locator(".line.you.pending")).to_have_count(2)
        open_again.set()
        await expect(page.locator(".line.you:not(.pending) .text")).to_have_text(["/help", "/presets"])
        await expect(page.locator(".line.you.pending")).to_have_count(0)
        await expect(page.locator(".line.lorabot")).to_have_count(2)
        visitor.troubles.clear()
        await page.reload()
        await expect(page.locator(".line.you .text")).to_have_text(["/help", "/presets"])


def as_bytes(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_shows_everything_within_its_width(bot: Bot, browser: Browser, scheme: str) -> None:
    async with visiting(browser, bot, color_scheme=scheme, **PHONE) as visitor:
        page = visitor.page
        assert await visitor.overflow() <= 0
        assert await contrast(visitor, "#empty p") >= 4.5
        await visitor.send_photos()
        await page.locator("#say").fill("/train preset:")
        await expect(page.locator("#suggestions li")).to_have_count(8)
        assert await visitor.overflow() <= 0
        await visitor.say("/train preset:anime trigger:zuri")
        worker = await Worker.claim(bot.queue)
        await worker.train(60, 100)
        await expect(page.locator(".card .contact img")).to_have_count(4)
        assert await visitor.overflow() <= 0
        assert await contrast(visitor, ".card .numbers") >= 4.5
        await worker.succeed(b"weights")
        await expect(page.locator(".result .button.primary").first).to_be_visible()
        assert await visitor.overflow() <= 0
        assert await contrast(visitor, ".result .text") >= 4.5
        dark = await luminance(visitor, "html", "backgroundColor") < 0.2
        assert dark == (scheme == "dark")


async def test_a_chinese_browser_gets_a_chinese_page_and_may_choose_another(bot: Bot, browser: Browser) -> None:
    async with visiting(browser, bot, locale="zh-CN") as visitor:
        page = visitor.page
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        chinese = await page.locator("#empty h2").text_content()
        async with page.expect_navigation():
            await page.locator("#language").select_option("en")
        await expect(page.locator("body:not(.loading)[data-connection=open]")).to_be_visible()
        await expect(page.locator("html")).to_have_attribute("lang", "en")
        await expect(page.locator("#empty h2")).not_to_have_text(chinese or "")
        await visitor.say("/help")
        await expect(page.locator(".line.lorabot .text")).to_contain_text("/train")


async def test_what_is_typed_while_the_page_loads_stays(bot: Bot, browser: Browser) -> None:
    async with visiting(browser, bot) as visitor:
        page, typed = visitor.page, asyncio.Event()

        async def wait(route: Route) -> None:
            await typed.wait()
            await route.continue_()

        await page.route("**/api/texts*", wait)
        await page.reload(wait_until="domcontentloaded")
        # Before its style has come the box is there to be typed into.
        await page.locator("#say").evaluate("(box) => { box.value = '/help'; }")
        typed.set()
        await expect(page.locator("body:not(.loading)[data-connection=open]")).to_be_visible()
        await page.locator("#say").press("Enter")
        await expect(page.locator(".line.lorabot .text")).to_contain_text("/train")


async def test_a_password_is_asked_for_before_the_conversation_opens(browser: Browser, tmp_path: Path) -> None:
    async with running_bot(tmp_path, SecretStr("open sesame")) as bot, await browser.new_page() as page:
        await page.goto(bot.url)
        for password in ("let me in", "open sesame"):
            await expect(page.locator("#password")).to_be_focused()
            await expect(page.get_by_role("alert")).to_have_text("" if password == "let me in" else re.compile("again"))
            await page.keyboard.type(password)
            await page.keyboard.press("Enter")
        await expect(page.locator("body[data-connection=open] #empty")).to_be_visible()


async def luminance(visitor: Visitor, selector: str, part: str) -> float:
    """Relative luminance (WCAG 2) of the text or the background of the first element that ``selector`` finds."""
    channels: list[float] = await visitor.page.locator(selector).first.evaluate(
        """(node, part) => {
            let colour = getComputedStyle(node)[part];
            while (part === "backgroundColor" && colour === "rgba(0, 0, 0, 0)" && node.parentElement) {
                node = node.parentElement;
                colour = getComputedStyle(node)[part];
            }
            return colour.match(/[\\d.]+/g).slice(0, 3).map((channel) => channel / 255);
        }""",
        part,
    )
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


async def contrast(visitor: Visitor, selector: str) -> float:
    """Contrast ratio (WCAG 2) of an element's text; AA asks for 4.5."""
    text = await luminance(visitor, selector, "color")
    ground = await luminance(visitor, selector, "backgroundColor")
    return (max(text, ground) + 0.05) / (min(text, ground) + 0.05)
