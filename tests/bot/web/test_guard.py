"""Who may come in, from where, and who sees what."""

import asyncio
import time
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from lorabot.bot.config import WebConfig
from lorabot.bot.reply import File
from lorabot.bot.signing import BadToken, ExpiredToken, Signer
from lorabot.bot.web.guard import Exposed, refuse_exposure
from lorabot.bot.web.links import Links
from lorabot.bot.web.session import COOKIE
from lorabot.queue import Queue
from tests.bot.client import ChatClient, ChatError
from tests.bot.house import SECRET, WEB, House, eventually, running_bot
from tests.bot.pictures import zip_of_photos

PASSWORD = "open sesame"
GUARDED = WEB.model_copy(update={"password": SecretStr(PASSWORD), "login_attempts": 3})


@pytest.mark.parametrize(
    "config",
    [
        WebConfig(host="0.0.0.0"),
        WebConfig(host="::"),
        WebConfig(host="192.168.1.5"),
        WebConfig(host="chat.example.org"),
        WebConfig(public_url="https://chat.example.org"),
    ],
)
def test_a_chat_that_others_could_reach_does_not_start_without_a_password(
    config: WebConfig,
) -> None:
    with pytest.raises(Exposed, match="web-needs-password"):
        refuse_exposure(config)
    refuse_exposure(config.model_copy(update={"password": SecretStr("x")}))


async def test_run_bot_itself_refuses_to_start_exposed(queue: Queue, tmp_path: Path) -> None:
    with pytest.raises(Exposed):
        async with running_bot(queue, tmp_path, web=WebConfig(host="0.0.0.0", port=0)):
            pass


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1", "localhost"])
def test_on_this_machine_alone_no_password_is_needed(host: str) -> None:
    refuse_exposure(WebConfig(host=host))


async def test_a_password_stands_before_everything(queue: Queue, tmp_path: Path) -> None:
    async with running_bot(queue, tmp_path, web=GUARDED) as house, aiohttp.ClientSession() as http:
        async with http.get(house.url + "/", allow_redirects=False) as page:
            assert (page.status, page.headers["Location"]) == (303, "/login")
            assert COOKIE not in page.cookies
        async with http.post(house.url + "/api/uploads?name=a.png", data=b"x") as refused:
            assert refused.status == 401
        async with http.ws_connect(house.url + "/ws") as socket:
            assert (await socket.receive()).data == 4401
        async with http.get(house.url + "/login") as login:
            assert login.status == 200
        async with http.get(house.url + "/api/texts") as texts:
            assert (await texts.json())["texts"]["page-title"] == "lorabot"
        async with ChatClient.open(house.url, password=PASSWORD) as chat:
            assert "/train" in (await chat.ask("/help")).text


async def test_wrong_passwords_have_to_wait_and_the_right_one_too(queue: Queue, tmp_path: Path) -> None:
    async with running_bot(queue, tmp_path, web=GUARDED) as house, aiohttp.ClientSession() as http:
        tried = []
        for password in ("a", "b", "c", PASSWORD):
            async with http.post(house.url + "/login", data={"password": password}, allow_redirects=False) as answer:
                tried.append(answer.headers["Location"])
        wait = "/login?error=wait&minutes=1"
        assert tried == ["/login?error=wrong", "/login?error=wrong", wait, wait]


async def test_how_long_to_wait_is_said_as_it_is(queue: Queue, tmp_path: Path) -> None:
    strict = GUARDED.model_copy(update={"login_attempts": 1, "login_wait_s": 200})
    async with (
        running_bot(queue, tmp_path, web=strict) as house,
        aiohttp.ClientSession() as http,
        http.post(house.url + "/login", data={"password": "x"}, allow_redirects=False) as answer,
    ):
        assert answer.headers["Location"] == "/login?error=wait&minutes=4"


async def test_the_wait_for_wrong_passwords_ends(queue: Queue, tmp_path: Path) -> None:
    quick = GUARDED.model_copy(update={"login_attempts": 1, "login_wait_s": 0.2})
    async with running_bot(queue, tmp_path, web=quick) as house, aiohttp.ClientSession() as http:
        async with http.post(house.url + "/login", data={"password": "x"}, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/login?error=wait&minutes=1"
        await asyncio.sleep(0.25)
        async with http.post(house.url + "/login", data={"password": PASSWORD}, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/"


async def test_behind_a_trusted_proxy_who_guesses_locks_nobody_else_out(queue: Queue, tmp_path: Path) -> None:
    proxied = GUARDED.model_copy(update={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
    async with running_bot(queue, tmp_path, web=proxied) as house, aiohttp.ClientSession() as http:
        assert await tried(http, house, *[("203.0.113.7", "guess")] * 3) == ["wrong", "wrong", "wait"]
        made_up = [(f"198.51.100.{number}, 203.0.113.7", PASSWORD) for number in range(3)]
        assert await tried(http, house, *made_up) == ["wait"] * 3
        assert await tried(http, house, ("203.0.113.8", PASSWORD)) == [""]


async def test_a_proxy_that_is_not_trusted_is_one_visitor_whoever_it_names_and_the_log_says_so(
    queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_bot(queue, tmp_path, web=GUARDED) as house, aiohttp.ClientSession() as http:
        guesses = [(f"203.0.113.{number}", "guess") for number in range(3)]
        assert await tried(http, house, *guesses) == ["wrong", "wrong", "wait"]
        assert await tried(http, house, ("203.0.113.9", PASSWORD)) == ["wait"]
    warnings = [record.message for record in caplog.records if "LORABOT_WEB__TRUSTED_PROXIES" in record.message]
    assert len(warnings) == 1
    assert warnings[0].startswith("127.0.0.1 ")


async def tried(http: aiohttp.ClientSession, house: House, *tries: tuple[str, str]) -> list[str]:
    """What became of each password that came from an address, as a proxy says: ``wrong``, ``wait``, or let in."""
    became = []
    for address, password in tries:
        async with http.post(
            house.url + "/login",
            data={"password": password},
            headers={"X-Forwarded-For": address},
            allow_redirects=False,
        ) as answer:
            became.append(answer.headers["Location"].removeprefix("/").removeprefix("login?error=").partition("&")[0])
    return became


async def test_a_new_password_ends_the_sessions_of_the_old_one(queue: Queue, tmp_path: Path) -> None:
    async with running_bot(queue, tmp_path, web=GUARDED) as house, ChatClient.open(house.url, password=PASSWORD) as old:
        await old.ask("/help")
        cookies = {cookie.key: cookie.value for cookie in old.http.cookie_jar}
        conversation = dict(old.lines)
    changed = GUARDED.model_copy(update={"password": SecretStr("another one")})
    async with running_bot(queue, tmp_path, web=changed) as house:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, cookies=cookies) as http:
            async with http.get(house.url + "/", allow_redirects=False) as page:
                assert page.headers["Location"] == "/login"
            await http.post(house.url + "/login", data={"password": "another one"})
            chat = ChatClient(http, house.url, "en")
            await chat.connect()
            assert chat.lines.keys() == conversation.keys()
            await chat.disconnect()


async def test_a_changed_or_foreign_cookie_is_no_session(house: House, chat: ChatClient) -> None:
    cookie = next(cookie.value for cookie in chat.http.cookie_jar if cookie.key == COOKIE)
    foreign = Signer(b"another installation").sign("web session", {"c": "abc", "p": ""}, time.time() + 100)
    for bad in (cookie[:-4] + "AAAA", foreign, "", "é"):
        async with (
            aiohttp.ClientSession(headers={"Cookie": f"{COOKIE}={bad}"}) as http,
            http.post(house.url + "/api/uploads?name=a.png", data=b"x") as refused,
        ):
            assert refused.status == 401


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(house: House) -> None:
    async with aiohttp.ClientSession() as http, http.get(house.url + "/") as page:
        cookie = page.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


async def test_two_visitors_see_nothing_of_each_other(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    async with ChatClient.open(house.url) as other:
        assert other.lines == {}
        assert "no jobs yet" in (await other.ask("/jobs")).text
        assert "no photos" in (await other.ask("/train anime kavo")).text
        assert "no photos to throw away" in (await other.ask("/clear")).text
        assert len(other.lines) == 6


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "169.254.169.254"])
async def test_a_site_whose_name_points_here_gets_nothing(house: House, host: str) -> None:
    async with aiohttp.ClientSession(headers={"Host": host}) as http, http.get(house.url + "/") as page:
        assert page.status == 421
        assert COOKIE not in page.cookies
        assert "the address it printed when it started" in await page.text()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_site_can_neither_upload_nor_open_a_socket(
    chat: ChatClient, house: House, headers: dict[str, str]
) -> None:
    async with chat.http.post(house.url + "/api/uploads?name=a.png", data=b"x", headers=headers) as refused:
        assert refused.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await chat.http.ws_connect(house.url + "/ws", headers=headers)
    assert caught.value.status == 403


async def test_the_page_of_ones_own_may_upload(chat: ChatClient, house: House) -> None:
    headers = {"Origin": house.url, "Sec-Fetch-Site": "same-origin"}
    async with chat.http.post(house.url + "/api/uploads?name=a.png", data=b"x", headers=headers) as taken:
        assert taken.status == 200


async def test_every_answer_forbids_inline_scripts_sniffing_and_framing(house: House) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("/", "/login", "/static/index.html", "/api/texts", "/nothing"):
            async with http.get(house.url + path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "script-src 'self'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_link_to_a_file_works_without_a_cookie_until_it_expires(house: House, queue: Queue) -> None:
    await queue.blobs.put("jobs/abc/1/zuri.safetensors", b"weights")
    signer = Signer(SECRET.get_secret_value().encode())
    file = File("jobs/abc/1/zuri.safetensors", "zü ri.safetensors", "application/octet-stream", 7)
    good, old = (Links(queue, signer, WEB.model_copy(update={"link_hours": hours})).link(file) for hours in (1, -1))
    async with aiohttp.ClientSession() as http:
        async with http.get(house.url + good) as answer:
            assert await answer.read() == b"weights"
            assert answer.headers["Content-Length"] == "7"
            assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''z%C3%BC%20ri.safetensors"
            assert "sandbox" in answer.headers["Content-Security-Policy"]
        async with http.get(house.url + old) as answer:
            assert answer.status == 410
            assert "has expired" in (await answer.json())["error"]
        async with http.get(house.url + good[:-3] + "xyz") as answer:
            assert answer.status == 404
        await queue.blobs.delete(file.key)
        async with http.get(house.url + good) as answer:
            assert answer.status == 404


@pytest.mark.parametrize("path", ["/nowhere", "/api/nothing", "/favicon.ico"])
@pytest.mark.parametrize(("language", "says"), [("en", "nothing at this address"), ("zh-CN", "什么也没有")])
async def test_an_address_with_nothing_behind_it_says_so(house: House, path: str, language: str, says: str) -> None:
    headers = {"Accept": "text/html", "Accept-Language": language}
    async with aiohttp.ClientSession() as http, http.get(house.url + path, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")
        assert says in await answer.text()


async def test_only_pictures_are_shown_in_place(house: House, queue: Queue) -> None:
    signer = Signer(SECRET.get_secret_value().encode())
    links = Links(queue, signer, WebConfig())
    await queue.blobs.put("jobs/abc/1/page.html", b"<script>alert(1)</script>")
    await queue.blobs.put("jobs/abc/1/plot.png", b"x")
    async with aiohttp.ClientSession() as http:
        async with http.get(
            house.url + links.link(File("jobs/abc/1/page.html", "page.html", "text/html", 1))
        ) as answer:
            assert answer.headers["Content-Disposition"].startswith("attachment")
        async with http.get(house.url + links.link(File("jobs/abc/1/plot.png", "plot.png", "image/png", 1))) as answer:
            assert answer.headers["Content-Disposition"].startswith("inline")


def test_a_token_is_good_for_one_purpose_and_one_secret_only() -> None:
    signer = Signer(b"a secret of sixteen")
    token = signer.sign("door", {"who": "me"}, time.time() + 60)
    assert signer.read("door", token) == {"who": "me"}
    for purpose, reader in (("window", signer), ("door", Signer(b"another sixteen bytes"))):
        with pytest.raises(BadToken):
            reader.read(purpose, token)
    with pytest.raises(ExpiredToken):
        signer.read("door", signer.sign("door", {}, time.time() - 1))
    for text in ("", "x", "ü", "a" * 10_000, token[:-1], token + "A"):
        with pytest.raises(BadToken):
            signer.read("door", text)


async def test_a_conversation_may_not_be_open_in_endless_tabs(queue: Queue, tmp_path: Path) -> None:
    few = WEB.model_copy(update={"sockets_per_conversation": 2})
    async with running_bot(queue, tmp_path, web=few) as house, ChatClient.open(house.url) as chat:
        second = ChatClient(chat.http, house.url, "en")
        await second.connect()
        with pytest.raises(ChatError, match="4429"):
            await ChatClient(chat.http, house.url, "en").connect()
        await second.disconnect()


async def test_an_upload_cut_off_on_its_way_leaves_nothing_behind(chat: ChatClient, house: House) -> None:
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in chat.http.cookie_jar)
    host, port = house.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/uploads?name=cut.zip HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n"
    writer.write(head.encode() + b"Content-Length: 900000\r\n\r\n" + bytes(300_000))
    await writer.drain()
    folder = house.folder / "bot" / "uploads"
    await eventually(lambda: any(folder.glob("*.part")))
    writer.close()
    await eventually(lambda: not any(folder.iterdir()))
    assert chat.lines == {}
