"""The HTTP side: routes, tokens, faults on demand, webhooks, and the verdict at the end."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.telegram.server.asking import Asking
from tests.telegram.server.flood import Rates
from tests.telegram.server.methods import Attached, Sending
from tests.telegram.server.people import Group, Person
from tests.telegram.server.refusal import Refusal, flooded
from tests.telegram.server.state import State
from tests.telegram.server.world import LOCAL_LIMITS, Call, Chat, Limits, Member

_CAMEL = re.compile(r"(?<!^)(?=[A-Z])")
_MOST_BODY = 60 * 1024 * 1024
_BLOCK = 64 * 1024


class TelegramServer:
    """A Bot API server. What Telegram would refuse is refused, and fails the test when the block ends."""

    def __init__(self, limits: Limits | None = None, rates: Rates | None = None, folder: Path | None = None) -> None:
        """With a ``folder`` it is one of one's own in ``--local`` mode, which hands out paths of files there."""
        standard = LOCAL_LIMITS if folder is not None else Limits()
        self.state = State(limits or standard, rates or Rates())
        self._asking = Asking(self.state, folder)
        self._sending = Sending(self.state)
        self._faults: dict[str, list[Refusal | str]] = {}
        self._lost: Counter[str] = Counter()
        self.answers_after_s: dict[str, float] = {}
        """By method: how long the answer takes when all is done already that was asked for."""
        self.behind: dict[str, str] = {}
        """Webhook addresses as the world sees them, and where they lead to: the proxy before the bot."""
        self.cut_off = 0
        """So many downloads from now on end in the middle."""
        self.expired = 0
        """So many downloads from now on find that their link is good no more."""
        self.downloads_open = asyncio.Event()
        """Cleared, all downloads hang in the middle until it is set."""
        self.downloads_open.set()
        self.url = ""

    @property
    def file_url(self) -> str:
        return f"{self.url}/file"

    @property
    def token(self) -> str:
        return self.state.token

    def person(self, name: str = "Anna", language: str | None = "en", number: int | None = None) -> Person:
        """Somebody new who has pressed Start."""
        return Person(self.state, Member(number or 300_000_000 + self.state.next_number(), name, language))

    def group(self, *people: Person, title: str = "Painters", supergroup: bool = True, privacy: bool = True) -> Group:
        """A group with the bot in it."""
        number = self.state.next_number()
        chat_id = -1_000_000_000_000 - number if supergroup else -number
        chat = Chat(chat_id, "supergroup" if supergroup else "group", title, privacy=privacy)
        self.state.chats[chat.id] = chat
        chat.members = {self.state.bot.id: "member"} | {person.member.id: "member" for person in people}
        return Group(self.state, chat)

    def fails_next(self, method: str, *faults: Refusal | str) -> None:
        """The next requests of ``method`` meet these, each once: a ``Refusal``, or ``"drop"`` to hang up.

        Nothing is done then; see ``loses_answers`` for the other way.
        """
        self._faults.setdefault(method, []).extend(faults)

    def loses_answers(self, method: str, times: int = 1) -> None:
        """So many of the next requests of ``method`` are carried out, and nobody hears of it."""
        self._lost[method] += times

    def heals(self, method: str) -> None:
        """What is left of ``fails_next`` and ``loses_answers`` does not happen."""
        self._faults.pop(method, None)
        self._lost.pop(method, None)

    def floods_next(self, method: str, seconds: int) -> None:
        """The next request of ``method`` is told to wait, as Telegram sometimes does for reasons of its own."""
        self.fails_next(method, flooded(seconds, fault=False))

    def calls(self, *methods: str) -> list[Call]:
        """The requests of these methods so far."""
        return [call for call in self.state.calls if not methods or call.method in methods]

    def advance(self, seconds: float) -> None:
        """Move the server's clock."""
        self.state.clock.advance(seconds)
        self.state.tell()

    @asynccontextmanager
    async def serving(self, *, judged: bool = True) -> AsyncIterator["TelegramServer"]:
        """Answer on loopback. At the end of a block that went well every rule must have been kept."""
        app = web.Application(client_max_size=_MOST_BODY)
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        app.router.add_get("/file/bot{token}/{path:.+}", self._hand_out)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        pushing = asyncio.create_task(self._push())
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            yield self
            if judged:
                self.judge()
        finally:
            pushing.cancel()
            await runner.cleanup()

    def judge(self) -> None:
        """Fail if the bot did anything that Telegram would refuse, or left a pressed button waiting."""
        waiting = [press for press in self.state.presses.values() if press.answered_at is None]
        told = [f"the press of {press.data!r} was never answered" for press in waiting]
        assert not self.state.violations + told, "\n".join([*self.state.violations, *told, self.state.story()])

    async def at_rest(self) -> None:
        """Wait until every pressed button is answered, if that is still to come."""
        with suppress(TimeoutError):
            await self.state.until(lambda: all(press.answered_at for press in self.state.presses.values()))

    def forget_people(self) -> None:
        """Make room for the next test: nobody is there, nothing is wrong, nothing fails."""
        state = self.state
        state.violations.clear()
        state.presses.clear()
        state.calls.clear()
        self._faults.clear()
        self._lost.clear()
        self.answers_after_s.clear()
        self.cut_off = self.expired = 0
        self.downloads_open.set()
        state.gone.update(state.chats, state.files)
        state.chats.clear()
        state.people.clear()
        state.files.clear()
        state.paths.clear()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        if request.match_info["token"] != self.state.token:
            return _refuse(Refusal(401, "Unauthorized", fault=False))
        given, files = await _read(request)
        if self._is_of_an_earlier_test(given):
            return _refuse(Refusal(403, "Forbidden: user is deactivated", fault=False))
        try:
            result = await self._call(name, given, files, request)
        except Refusal as refusal:
            self._note(name, given, refusal)
            return _refuse(refusal)
        self._note(name, given, None)
        await asyncio.sleep(self.answers_after_s.get(name, 0))
        if self._lost[name]:
            self._lost[name] -= 1
            if request.transport is not None:
                request.transport.abort()
        return web.json_response({"ok": True, "result": result})

    async def _call(
        self, name: str, given: Mapping[str, Any], files: Mapping[str, Attached], request: web.Request
    ) -> object:
        if faults := self._faults.get(name):
            fault = faults.pop(0)
            if isinstance(fault, Refusal):
                raise fault
            if request.transport is not None:
                request.transport.abort()
            raise Refusal(500, "Internal Server Error", fault=False)
        method = _CAMEL.sub("_", name).lower()
        handler = getattr(self._sending, method, None) or getattr(self._asking, method, None)
        if handler is None or method.startswith("_"):
            raise Refusal(404, f"Not Found: method {name!r} not found")
        result = handler(given, files)
        return await result if asyncio.iscoroutine(result) else result

    def _is_of_an_earlier_test(self, given: Mapping[str, Any]) -> bool:
        state, chat = self.state, int(given.get("chat_id", 0))
        return (chat in state.gone and chat not in state.chats) or str(given.get("file_id")) in state.gone

    def _note(self, name: str, given: Mapping[str, Any], refusal: Refusal | None) -> None:
        self.state.calls.append(Call(name, given, self.state.clock.now(), refusal.description if refusal else None))
        if refusal is not None and refusal.fault:
            self.state.violations.append(f"{name}: {refusal}")
        self.state.tell()

    async def _hand_out(self, request: web.Request) -> web.StreamResponse:
        state = self.state
        if request.match_info["token"] != state.token:
            return _refuse(Refusal(401, "Unauthorized", fault=False))
        file_id, until = state.paths.get(request.match_info["path"], ("", 0.0))
        if state.clock.now() > until:
            return _refuse(Refusal(404, "Not Found", fault=False))
        if self.expired:
            self.expired -= 1
            return _refuse(Refusal(404, "Not Found", fault=False))
        data = state.files[file_id].data
        response = web.StreamResponse(headers={"Content-Length": str(len(data))})
        await response.prepare(request)
        if self.cut_off:
            self.cut_off -= 1
            await response.write(data[: len(data) // 2])
            if request.transport is not None:
                request.transport.abort()
            return response
        if not self.downloads_open.is_set():
            await response.write(data[: len(data) // 2])
            await self.downloads_open.wait()
            data = data[len(data) // 2 :]
        for start in range(0, len(data), _BLOCK):
            await response.write(data[start : start + _BLOCK])
        await response.write_eof()
        return response

    async def _push(self) -> None:
        """Bring updates to the webhook, one after the other, each until it is taken."""
        state = self.state
        async with aiohttp.ClientSession() as http:
            while True:
                async with state.changed:
                    await state.changed.wait_for(lambda: bool(state.webhook and state.updates))
                hook, update = state.webhook, state.updates[0]
                assert hook is not None
                outside = next((one for one in self.behind if hook["url"].startswith(one)), None)
                if outside is None:
                    state.violations.append(f"nothing answers at the webhook {hook['url']}")
                    return
                url = self.behind[outside] + hook["url"].removeprefix(outside)
                headers = {"X-Telegram-Bot-Api-Secret-Token": hook["secret"]} if hook["secret"] else {}
                try:
                    async with http.post(url, json=update, headers=headers) as answer:
                        taken = answer.status == 200
                except aiohttp.ClientError:
                    taken = False
                if taken and state.updates and state.updates[0] is update:
                    state.updates.popleft()
                elif not taken:
                    await asyncio.sleep(0.1)


async def _read(request: web.Request) -> tuple[dict[str, Any], dict[str, Attached]]:
    """Parameters and files, in any of the forms that the Bot API takes."""
    given: dict[str, Any] = dict(request.query)
    files: dict[str, Attached] = {}
    if request.content_type == "application/json":
        given |= json.loads(await request.read() or b"{}")
    elif request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            assert isinstance(part, aiohttp.BodyPartReader)
            data = bytes(await part.read())
            if part.filename is None:
                given[part.name or ""] = data.decode()
            else:
                files[part.name or ""] = Attached(part.filename, part.headers.get("Content-Type", ""), data)
                given.setdefault(part.name or "", f"attach://{part.name}")
    elif request.can_read_body:
        given |= {name: str(value) for name, value in (await request.post()).items()}
    return given, files


def _refuse(refusal: Refusal) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": refusal.code, "description": refusal.description}
    if refusal.parameters:
        body["parameters"] = refusal.parameters
    return web.json_response(body, status=refusal.code)
