"""The Discord of our tests keeps Discord's rules: what it lets through is worth something."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.discord.server import Attachment, Channel, DiscordServer, Interaction, Permission, Person
from tests.discord.server.wire import Json

TEXT = {"type": 10, "content": "hello"}
V2 = 1 << 15


class Bot:
    """A bot that sends whatever a test wants."""

    def __init__(self, server: DiscordServer, http: aiohttp.ClientSession, channel: Channel) -> None:
        self.server = server
        self.http = http
        self.channel = channel

    async def code(self, method: str, path: str, body: object = None, files: dict[str, bytes] | None = None) -> int:
        """Discord's error code of the answer; 0 where there is none."""
        return int((await self.answer(method, path, body, files)).get("code", 0))

    async def answer(self, method: str, path: str, body: object = None, files: dict[str, bytes] | None = None) -> Json:
        headers = {"Authorization": f"Bot {self.server.token}"}
        form: aiohttp.FormData | None = None
        if files is not None:
            form = aiohttp.FormData(quote_fields=False)
            form.add_field("payload_json", json.dumps(body))
            for number, (name, data) in enumerate(files.items()):
                form.add_field(f"files[{number}]", data, filename=name)
        url = self.server.api_url + path
        async with self.http.request(
            method, url, json=body if form is None else None, data=form, headers=headers
        ) as response:
            if response.status == 204:
                return {}
            found = await response.json()
            return found if isinstance(found, dict) else {}

    async def post(self, body: Json, files: dict[str, bytes] | None = None) -> int:
        return await self.code("POST", f"/channels/{self.channel.id}/messages", body, files)

    async def reply(self, to: Interaction, kind: int, **data: object) -> int:
        return await self.code("POST", f"/interactions/{to.id}/{to.token}/callback", {"type": kind, "data": data})


@pytest_asyncio.fixture(loop_scope="session")
async def raw() -> AsyncIterator[Bot]:
    """A server of its own with a bot that has identified; its violations are what the tests look for."""
    server = DiscordServer()
    async with (
        server.running(),
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.gateway_url}?v=10&encoding=json") as socket,
    ):
        channel = server.channel(server.guild())
        await socket.send_json({"op": 2, "d": {"token": server.token, "intents": 1}})
        await server.gateway.until_connected()
        train = {"name": "train", "description": "x", "options": [{"type": 11, "name": "images", "description": "x"}]}
        bot = Bot(server, http, channel)
        assert await bot.code("PUT", f"/applications/{server.me.id}/commands", [train]) == 0
        yield bot


def v2(*components: Json) -> Json:
    return {"flags": V2, "components": list(components)}


def link(url: str) -> Json:
    return {"type": 1, "components": [{"type": 2, "style": 5, "label": "Go", "url": url}]}


def button(**parts: object) -> Json:
    return {"type": 1, "components": [{"type": 2, "style": 1, "label": "Go", "custom_id": "go", **parts}]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"content": "x" * 2000}, 0),
        ({"content": "x" * 2001}, 50035),
        ({"content": ""}, 50006),
        ({"embeds": [{"description": "x" * 4096}]}, 0),
        ({"embeds": [{"description": "x" * 4097}]}, 50035),
        ({"embeds": [{"description": "x" * 3001}, {"description": "x" * 3000}]}, 50035),
        ({"content": "x", "components": [TEXT]}, 50035),
        (v2(TEXT, button()), 0),
        (v2(TEXT) | {"content": "and this"}, 50035),
        (v2({"type": 10, "content": "x" * 4001}), 50035),
        (v2({"type": 10, "content": " "}), 50035),
        (v2(*[TEXT] * 41), 50035),
        (v2(button(label="x" * 81)), 50035),
        (v2(button(custom_id="x" * 101)), 50035),
        (v2(button(), button()), 50035),
        (v2(link("https://example.org/x")), 0),
        (v2(link("http://gpu-box:8080/x")), 50035),
        (v2({"type": 12, "items": [{"media": {"url": "attachment://gone.png"}}]}), 50035),
        (v2({"type": 17, "components": []}), 50035),
        ({"content": "x", "nonce": "x" * 26}, 50035),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, 50035),
    ],
)
async def test_messages_over_a_limit_are_refused(raw: Bot, body: Json, code: int) -> None:
    assert await raw.post(body) == code
    assert bool(raw.server.violations) == bool(code)


async def test_interactions_are_answered_once_in_time_and_as_their_kind_allows(raw: Bot) -> None:
    anna = Person.at(raw.server, raw.channel)
    late = await anna.slash("train")
    raw.server.clock.advance(3.1)
    assert await raw.reply(late, 5) == 10062
    heard = await anna.slash("train")
    assert await raw.reply(heard, 8, choices=[]) == 50035, "that is for autocompletion"
    assert await raw.reply(heard, 5, flags=64) == 0
    assert await raw.reply(heard, 4, content="again") == 40060
    webhook = f"/webhooks/{raw.server.me.id}/{heard.token}"
    assert await raw.code("PATCH", f"{webhook}/messages/@original", {"content": "here"}) == 0
    assert heard.replies[0].seen_by is anna.user
    assert await raw.code("PATCH", f"/channels/{raw.channel.id}/messages/{heard.replies[0].id}", {"content": "x"}) == (
        10008
    ), "what one person sees is out of the token's reach only"
    raw.server.clock.advance(15 * 60)
    assert await raw.code("PATCH", f"{webhook}/messages/@original", {"content": "late"}) == 50027
    assert raw.server.missed() == [late]


async def test_forms_keep_their_limits(raw: Bot) -> None:
    anna = Person.at(raw.server, raw.channel)
    upload = {"type": 18, "label": "Photos", "component": {"type": 19, "custom_id": "f", "max_values": 10}}
    form = {"title": "Train", "custom_id": "form", "components": [upload]}
    assert await raw.reply(await anna.slash("train"), 9, **form | {"title": "x" * 46}) == 50035
    assert await raw.reply(await anna.slash("train"), 9, **form | {"components": [upload] * 6}) == 50035
    over = {**upload, "component": {"type": 19, "custom_id": "f", "max_values": 11}}
    assert await raw.reply(await anna.slash("train"), 9, **form | {"components": [over]}) == 50035
    opened = await anna.slash("train")
    assert await raw.reply(opened, 9, **form) == 0
    sent = await anna.submit(opened, Attachment("a.jpg", b"a"))
    assert await raw.reply(sent, 9, **form) == 50035, "a form does not open another"
    assert await raw.reply(sent, 5, flags=64) == 0


async def test_sizes_permissions_and_closed_doors(raw: Bot) -> None:
    server, channel = raw.server, raw.channel
    attachments = {"attachments": [{"id": 0, "filename": "a.bin"}]}
    assert await raw.post({"content": "x", **attachments}, {"a.bin": bytes(11 * 1024 * 1024)}) == 40005
    channel.forbid(server.me, Permission.ATTACH_FILES)
    assert await raw.post({"content": "x", **attachments}, {"a.bin": b"a"}) == 50013
    channel.forbid(server.me, Permission.SEND_MESSAGES)
    assert await raw.post({"content": "x"}) == 50013
    channel.forbid(server.me, Permission.VIEW_CHANNEL)
    assert await raw.post({"content": "x"}) == 50001
    anna = Person.at(server, channel)
    anna.user.takes_dms = False
    alone = anna.in_dms().channel
    assert await raw.code("POST", f"/channels/{alone.id}/messages", {"content": "x"}) == 50007
    await server.delete_channel(channel)
    assert await raw.post({"content": "x"}) == 10003


async def test_old_messages_are_hardly_edited_and_old_links_are_dead(raw: Bot) -> None:
    attachments = {"attachments": [{"id": 0, "filename": "a.png"}]}
    sent = await raw.answer(
        "POST", f"/channels/{raw.channel.id}/messages", {"content": "x", **attachments}, {"a.png": b"picture"}
    )
    path, link = f"/channels/{raw.channel.id}/messages/{sent['id']}", sent["attachments"][0]["url"]
    async with raw.http.get(link) as response:
        assert await response.read() == b"picture"
    raw.server.clock.advance(3601)
    assert [await raw.code("PATCH", path, {"content": f"edit {number}"}) for number in range(4)] == [0, 0, 0, 30046]
    raw.server.clock.advance(24 * 3600)
    async with raw.http.get(link) as response:
        assert response.status == 404
    async with raw.http.get(link.replace("hm=", "hm=0")) as response:
        assert response.status == 404


async def test_the_same_nonce_is_the_same_message(raw: Bot) -> None:
    path = f"/channels/{raw.channel.id}/messages"
    body = {"content": "once", "nonce": "n1", "enforce_nonce": True}
    first, second = await raw.answer("POST", path, body), await raw.answer("POST", path, body)
    assert first["id"] == second["id"]
    raw.server.clock.advance(600)
    assert (await raw.answer("POST", path, body))["id"] != first["id"]


async def test_too_many_requests_are_told_to_wait(raw: Bot) -> None:
    answers = [await raw.answer("POST", f"/channels/{raw.channel.id}/messages", {"content": "x"}) for _ in range(6)]
    assert [answer for answer in answers if "retry_after" in answer] == answers[5:]


async def test_commands_that_break_a_rule_are_refused_and_a_day_has_two_hundred(raw: Bot) -> None:
    path = f"/applications/{raw.server.me.id}/commands"

    async def put(*commands: Json) -> int:
        return await raw.code("PUT", path, list(commands))

    def command(**parts: object) -> Json:
        return {"name": "x", "description": "x", **parts}

    raw.server.rest.limits.buckets.clear()
    assert await put(command(name="Train")) == 50035
    raw.server.rest.limits.buckets.clear()
    assert await put(command(description="x" * 101)) == 50035
    raw.server.rest.limits.buckets.clear()
    assert await put(command(name_localizations={"zh": "训练"})) == 50035, "it is zh-CN"
    raw.server.rest.limits.buckets.clear()
    for batch in range(2):
        made = [command(name=f"c{batch}-{number}") for number in range(99)]
        assert await put(*made) == 0
    raw.server.rest.limits.buckets.clear()
    assert await put(*[command(name=f"more-{number}") for number in range(3)]) == 30034


async def test_privileged_intents_and_wrong_tokens_are_shut_out(raw: Bot) -> None:
    for data, code in (
        ({"token": "wrong", "intents": 1}, 4004),
        ({"token": raw.server.token, "intents": 1 << 15}, 4014),
    ):
        async with raw.http.ws_connect(f"{raw.server.gateway_url}?v=10&encoding=json") as socket:
            await socket.receive()
            await socket.send_json({"op": 2, "d": data})
            await socket.receive()
            assert socket.close_code == code


async def test_what_is_not_part_of_it_fails_the_test(raw: Bot) -> None:
    await raw.code("GET", f"/guilds/{raw.channel.id}/audit-logs")
    with pytest.raises(AssertionError, match="not part of this server"):
        raw.server.judge()
