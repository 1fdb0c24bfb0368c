"""The upload page: a signed link that lets one person send files to one conversation elsewhere, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from lorabot.bot.intake.service import Intaken
from lorabot.bot.intake.spool import Upload
from lorabot.bot.parts import Parts
from lorabot.queue import Queue
from lorabot.queue.model import Address
from tests.bot.house import WEB, House, running_bot
from tests.bot.pictures import photo, zip_of_photos
from tests.bot.platform import Platform

ANN, THERE = "fake:ann", Address("fake", "town/square")


class Told(Platform):
    """A platform that hears of uploads."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts = parts
        self.found: list[tuple[Upload, int]] = []

    async def run(self, stop: asyncio.Event) -> None:
        self.parts.intake.on(self.platform, self._announce)
        await super().run(stop)

    async def _announce(self, upload: Upload, intaken: Intaken, final: bool) -> None:
        if final:
            self.found.append((upload, intaken.draft))
            await self._tell()


@asynccontextmanager
async def running(queue: Queue, folder: Path, **web: object) -> AsyncIterator[tuple[House, Told]]:
    made: list[Told] = []

    def make(parts: Parts) -> Told:
        made.append(Told(parts))
        return made[-1]

    config = WEB.model_copy(update=web)
    async with running_bot(queue, folder, web=config, front_ends=[make]) as house:
        yield house, made[0]


def api(link: str) -> str:
    return link.replace("/send/", "/api/send/")


async def test_files_of_the_page_reach_the_conversation_it_was_made_for(queue: Queue, tmp_path: Path) -> None:
    async with running(queue, tmp_path) as (house, told), aiohttp.ClientSession() as http:
        link = await told.parts.links.upload_page(ANN, THERE, "zh-CN")
        assert link.startswith(f"{house.url}/send/")
        async with http.get(link) as page:
            assert page.status == 200
            assert "send.js" in await page.text()
        async with http.get(api(link)) as about:
            assert await about.json() == {
                "platform": "fake",
                "language": "zh-CN",
                "limits": {"file_bytes": 4_000_000},
            }
        query = {"name": "街.zip", "batch": "one", "of": "2"}
        async with http.post(api(link), params=query, data=zip_of_photos(3)) as answer:
            assert answer.status == 200
        async with http.post(api(link), params=query | {"name": "a.jpg"}, data=photo(9)) as answer:
            assert (await answer.json())["upload"]["name"] == "a.jpg"
        await told.until(lambda: len(told.found) == 2)
        uploads = [upload for upload, _ in told.found]
        assert {(one.owner, one.address, one.language, one.batch, one.of) for one in uploads} == {
            (ANN, str(THERE), "zh-CN", "one", 2)
        }
        draft = await queue.drafts.get(ANN, THERE)
        assert draft is not None
        assert len(draft.images) == 4


async def test_a_link_is_over_once_its_owner_is_done(queue: Queue, tmp_path: Path) -> None:
    async with running(queue, tmp_path) as (_, told), aiohttp.ClientSession() as http:
        link = await told.parts.links.upload_page(ANN, THERE, "zh-CN")
        other = await told.parts.links.upload_page(ANN, Address("fake", "town/hill"), "en")
        async with http.post(f"{api(link)}/done") as answer:
            assert answer.status == 200
        async with http.post(api(link), params={"name": "a.jpg"}, data=photo(1)) as answer:
            assert answer.status == 410
        async with http.get(api(link), headers={"Accept-Language": "en"}) as answer:
            assert answer.status == 410
            assert "这个链接已用过" in (await answer.json())["error"]
        async with http.post(api(other), params={"name": "a.jpg"}, data=photo(1)) as answer:
            assert answer.status == 200
        await told.until(lambda: len(told.found) == 1)


async def test_a_link_that_was_tampered_with_is_no_link(queue: Queue, tmp_path: Path) -> None:
    async with running(queue, tmp_path) as (_, told), aiohttp.ClientSession() as http:
        link = api(await told.parts.links.upload_page(ANN, THERE, "en"))
        for bad in (link[:-2] + "xy", f"{link}x", link.rpartition("/")[0] + "/none"):
            async with http.post(bad, params={"name": "a.jpg"}, data=photo(1)) as answer:
                assert answer.status == 404


async def test_what_is_too_large_is_refused_by_name_and_costs_nothing_that_was_there(
    queue: Queue, tmp_path: Path
) -> None:
    async with running(queue, tmp_path) as (_, told), aiohttp.ClientSession() as http:
        link = api(await told.parts.links.upload_page(ANN, THERE, "en"))
        async with http.post(link, params={"name": "a.jpg"}, data=photo(1)) as answer:
            assert answer.status == 200
        await told.until(lambda: len(told.found) == 1)
        async with http.post(link, params={"name": "big.zip"}, data=bytes(4_000_001)) as answer:
            assert answer.status == 413
            assert "big.zip is too large" in (await answer.json())["error"]
        draft = await queue.drafts.get(ANN, THERE)
        assert draft is not None
        assert len(draft.images) == 1


async def test_the_page_needs_neither_cookie_nor_password_and_opens_nothing_else(queue: Queue, tmp_path: Path) -> None:
    async with (
        running(queue, tmp_path, password=SecretStr("open sesame"), public_url="https://chat.example.org/") as made,
        aiohttp.ClientSession() as http,
    ):
        house, told = made
        link = await told.parts.links.upload_page(ANN, THERE, "en")
        assert link.startswith("https://chat.example.org/send/")
        here = link.replace("https://chat.example.org", house.url)
        async with http.get(here) as page:
            assert page.status == 200
            assert "Set-Cookie" not in page.headers
        async with http.post(api(here), params={"name": "a.jpg"}, data=photo(1)) as answer:
            assert answer.status == 200
        await told.until(lambda: len(told.found) == 1)
        async with http.post(f"{house.url}/api/uploads", params={"name": "a.jpg"}, data=photo(1)) as answer:
            assert answer.status == 401


async def test_a_page_of_another_site_cannot_use_the_link(queue: Queue, tmp_path: Path) -> None:
    async with running(queue, tmp_path) as (_, told), aiohttp.ClientSession() as http:
        link = api(await told.parts.links.upload_page(ANN, THERE, "en"))
        evil = {"Origin": "https://evil.example"}
        async with http.post(link, params={"name": "a.jpg"}, data=photo(1), headers=evil) as answer:
            assert answer.status == 403


async def test_files_that_come_while_the_platform_is_down_are_told_of_when_it_is_back(
    queue: Queue, tmp_path: Path
) -> None:
    class Late(Told):
        async def run(self, stop: asyncio.Event) -> None:
            await self.back.wait()
            await super().run(stop)

        back = asyncio.Event()

    made: list[Late] = []

    def make(parts: Parts) -> Late:
        made.append(Late(parts))
        return made[-1]

    async with running_bot(queue, tmp_path, front_ends=[make]), aiohttp.ClientSession() as http:
        link = api(await made[0].parts.links.upload_page(ANN, THERE, "en"))
        async with http.post(link, params={"name": "a.jpg"}, data=photo(1)) as answer:
            assert answer.status == 200
        assert await queue.drafts.get(ANN, THERE) is None
        made[0].back.set()
        await made[0].until(lambda: [draft for _, draft in made[0].found] == [1])


@pytest.mark.parametrize(("accept", "kind"), [("text/html,*/*", "text/html"), ("*/*", "application/json")])
async def test_a_bad_link_followed_in_a_browser_is_a_page(house: House, accept: str, kind: str) -> None:
    async with (
        aiohttp.ClientSession(headers={"Accept": accept}) as http,
        http.get(f"{house.url}/files/nonsense") as answer,
    ):
        assert answer.status == 404
        assert answer.content_type == kind
        assert "not one of mine" in await answer.text()
