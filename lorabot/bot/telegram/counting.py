"""One message keeps count of the photos somebody sends: it follows them down the chat until all are looked at."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

from lorabot.bot.front_end import TryLater, Unreachable
from lorabot.bot.intake.looking import LeftOut
from lorabot.bot.intake.service import Intaken
from lorabot.bot.intake.spool import Upload
from lorabot.bot.intake.tally import Tally
from lorabot.bot.reply import Button, Reply
from lorabot.bot.telegram.pace import Urgency
from lorabot.bot.telegram.places import HOME, Place
from lorabot.bot.telegram.timing import Timing
from lorabot.bot.telegram.voice import ASKED, COUNT, Shown, Voice
from lorabot.locale import Message, translator
from lorabot.presets import Catalogue
from lorabot.queue import Queue
from lorabot.queue.model import Address

_RETRY_S = 5.0
_MOST_TRIES = 20
_DAY_S = 86400.0
_LEAVE_S = 2.0
BATCH = "telegram-"
"""How the batches of uploads begin that came through the chat itself."""
_log = logging.getLogger(__name__)
_Key = tuple[str, Place]


@dataclass(slots=True)
class _Count:
    """What came together from one person in one place, until all of it is looked through and said."""

    owner: str
    place: Place
    language: str
    tally: Tally
    reply_to: int | None = None
    follows: bool = True
    """It stands below what was sent: the message of before is deleted. Otherwise that one is changed."""
    expected: set[str] = field(default_factory=set)
    files: int = 0
    photos: bool = False
    restored: bool = False
    shown: Shown | None = None
    unsaved: bool = False
    """``shown`` is there and not noted: the store was away just then."""
    shown_at: float = float("-inf")
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    noted: str | None = None
    """The key under which it is noted that this is going on."""

    @property
    def key(self) -> _Key:
        return self.owner, self.place


class Counting:
    """All counts of this process. ``announce`` is intake's."""

    def __init__(self, voice: Voice, queue: Queue, presets: Catalogue, timing: Timing) -> None:
        self._voice = voice
        self._queue = queue
        self._presets = presets
        self._timing = timing
        self._counts: dict[_Key, _Count] = {}
        self._taken: dict[_Key, dict[int, float]] = {}
        self._turns: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()
        self._moves: dict[int, int] = {}
        self._stopped = False
        voice.followers.append(self._follow)

    def expect(self, owner: str, place: Place, language: str, batch: str, message: int, *, photo: bool) -> int:
        """A file of ``message`` is on its way. Returns which one of those that come together it is, from 1."""
        count = self._count(owner, place, language)
        self._taken.setdefault((owner, place), {})[message] = time.monotonic()
        count.expected.add(batch)
        count.idle.clear()
        count.files += 1
        count.photos = count.photos or photo
        count.reply_to = message if place.group else None
        self._wake(count)
        return count.files

    def lost(self, owner: str, place: Place, language: str, batch: str, name: str, why: Message, draft: int) -> None:
        """The file of ``batch`` will not come to intake, and why."""
        place = self._here(place)
        count = self._count(owner, place, language)
        upload = Upload(batch, owner, str(place.address), language, batch, name, 0, time.time())
        count.tally.take(upload, Intaken(left_out=[LeftOut(name, why)], draft=draft), True)
        self._arrived(count, batch)

    def passed(self, owner: str, place: Place, batch: str) -> None:
        """The file of ``batch`` takes another way: nothing is said of it here."""
        count = self._counts.get((owner, self._here(place)))
        if count is not None:
            self._arrived(count, batch)

    async def announce(self, upload: Upload, intaken: Intaken, final: bool) -> None:
        """News of intake."""
        if self._stopped:
            return  # what is open is noted, and brought up to date after the next start
        sent_to = Place.parse(Address.parse(upload.address))
        place = await self._voice.now(sent_to)
        if final and place != sent_to:  # it was on its way while its group moved
            await self._voice.moved(sent_to, place.chat)
        new = (upload.owner, place) not in self._counts
        count = self._count(upload.owner, place, upload.language)
        if new:  # after a restart the message is there already
            count.follows = not upload.batch.startswith(BATCH)
        count.tally.take(upload, intaken, final)
        self._arrived(count, upload.batch)

    async def idle(self, owner: str, place: Place) -> None:
        """Wait until nothing of the person is on its way to this place any more."""
        count = self._counts.get((owner, place))
        if count is not None and count.expected:
            await count.idle.wait()

    async def has(self, owner: str, place: Place, message: int) -> bool:
        """Has the file of ``message`` come to the draft already, as far as this process knows?"""
        if message not in self._taken.get((owner, place), ()):
            return False
        if (owner, place) in self._counts or await self._queue.drafts.get(owner, place.address) is not None:
            return True
        self._taken.pop((owner, place), None)  # the draft was too old, and is gone
        return False

    async def messages(self, owner: str) -> list[tuple[Place, int]]:
        """The messages with buttons that count for ``owner``, wherever they stand."""
        found = [
            (Place.parse(at), *_read(note)) for at, note in (await self._queue.refs.of(owner, _ref(owner))).items()
        ]
        return [(place, shown.message) for place, shown, buttons in found if shown is not None and buttons]

    async def forget(self, owner: str) -> None:
        """What ``owner`` sent is deleted: nothing is counted any more, and any of it may come anew."""
        for key in [key for key in self._taken if key[0] == owner]:
            del self._taken[key]
        for key, count in [(key, count) for key, count in self._counts.items() if key[0] == owner]:
            async with self._turn(key):  # it is not just speaking
                if self._counts.get(key) is count:
                    del self._counts[key]
                if count.task is not None:
                    count.task.cancel()
                count.idle.set()
                await self._queue.refs.drop(count.place.address, _ref(owner))
                await self._queue.refs.drop(HOME, _open(*key))
            if count.shown is not None:
                await self._voice.remove(count.place, count.shown.message)

    async def close(self, owner: str, place: Place, *, keep: int | None = None) -> None:
        """The draft is used or thrown away: its message loses its buttons, unless it is ``keep``."""
        self._taken.pop((owner, place), None)
        async with self._turn((owner, place)):
            shown, with_buttons = await self._before(owner, place)
            count = self._counts.get((owner, place))
            active = count.shown if count is not None else None
            if active is not None and shown is not None and active.message == shown.message:
                return  # more is coming, and it brings its message up to date by itself
            await self._queue.refs.drop(place.address, _ref(owner))
            await self._queue.refs.drop(HOME, _open(owner, place))
        if shown is not None and with_buttons and shown.message != keep:
            await self._voice.strip(place, shown.message)

    async def resume(self) -> None:
        """Bring those up to date that were at it when the process last ended."""
        for key, language in (await self._queue.refs.all(HOME, _OPEN)).items():
            owner, _, channel = key.removeprefix(_OPEN).partition("@")
            place = await self._voice.now(Place.parse(Address("telegram", channel)))
            count = self._count(owner, place, language)
            count.follows, count.restored, count.noted = False, True, key

    async def stop(self) -> None:
        """Say nothing more; what is open goes on after the next start."""
        self._stopped = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                for key, count in list(self._counts.items()):
                    async with self._turn(key):  # a message that is being sent is noted first, or it would stay behind
                        if count.task is not None:
                            count.task.cancel()
        tasks = [count.task for count in self._counts.values() if count.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _count(self, owner: str, place: Place, language: str) -> _Count:
        count = self._counts.get((owner, place))
        if count is None:
            self._expire()
            count = _Count(owner, place, language, Tally(self._presets, language))
            count.idle.set()
            self._counts[owner, place] = count
            count.task = asyncio.create_task(self._keep(count), name=f"count of {owner}")
        return count

    def _here(self, place: Place) -> Place:
        """Where that is since its group has another id."""
        return Place(self._moves.get(place.chat, place.chat), place.thread)

    def _follow(self, old: int, new: int) -> None:
        """Go on in the group's new chat, with a message of its own there."""
        self._moves[old] = new
        for key, count in [(key, count) for key, count in self._counts.items() if key[1].chat == old]:
            del self._counts[key]
            count.place, count.shown, count.reply_to = self._here(count.place), None, None
            self._counts[count.key] = count

    def _expire(self) -> None:
        """No draft lives so long that these could still be in one."""
        oldest = time.monotonic() - self._queue.config.draft_days * _DAY_S
        self._taken = {key: taken for key, taken in self._taken.items() if max(taken.values()) > oldest}

    def _turn(self, key: _Key) -> asyncio.Lock:
        """One count after the other speaks."""
        return self._turns.setdefault(key, asyncio.Lock())

    def _arrived(self, count: _Count, batch: str) -> None:
        count.expected.discard(batch)
        if not count.expected:
            count.idle.set()
        self._wake(count)

    def _wake(self, count: _Count) -> None:
        count.changed.set()

    async def _keep(self, count: _Count) -> None:
        """Show the count while it grows, and at its end."""
        tries = 0
        await asyncio.sleep(self._timing.first_s)
        while True:
            count.changed.clear()
            try:
                if count.noted is None:
                    async with self._turn(count.key):
                        noted = _open(*count.key)
                        await self._queue.refs.put(HOME, noted, count.language, count.owner)
                    count.noted = noted
                if not await self._settled(count):
                    async with self._turn(count.key):
                        await self._show(count, settled=False)
                elif not await _within(count.changed, self._timing.quiet_s):
                    if self._counts.get(count.key) is count:
                        del self._counts[count.key]  # whatever comes from here on belongs to the next count
                    async with self._turn(count.key):
                        await self._show(count, settled=True)
                        await self._queue.refs.drop(HOME, count.noted)
                    return
            except TryLater as error:
                await asyncio.sleep(error.seconds)
            except Unreachable as error:
                _log.info("photos of %s are not counted: %s", count.owner, error)
                await self._give_up(count)
                await self._queue.refs.drop(HOME, _open(*count.key))
                return
            except Exception as error:
                tries += 1
                _log.warning("photos of %s are not counted: %s", count.owner, error, exc_info=tries >= _MOST_TRIES)
                if tries >= _MOST_TRIES:
                    await self._give_up(count)
                    return
                await asyncio.sleep(_RETRY_S)

    async def _give_up(self, count: _Count) -> None:
        """Show it no more. It stays until its files are there: who waits for them would wait for ever without it."""
        await count.idle.wait()
        if self._counts.get(count.key) is count:
            del self._counts[count.key]

    async def _settled(self, count: _Count) -> bool:
        """Is all there and looked through? Waits for news, or until it's time to show how far it is."""
        if not count.expected and (count.restored or count.tally.uploads) and count.tally.settled:
            return True
        if count.shown is None:
            return False
        interval = self._timing.group_count_edit_s if count.place.group else self._timing.count_edit_s
        wait = max(0.0, count.shown_at + interval - time.monotonic())
        while await _within(count.changed, wait):
            count.changed.clear()
            if not count.expected and count.tally.settled:
                return True
            wait = max(0.0, count.shown_at + interval - time.monotonic())
        return False

    async def _show(self, count: _Count, *, settled: bool) -> None:
        reply = await self._reply(count, settled=settled)
        urgency: Urgency = "answer" if settled or count.shown is None else "progress"
        place = count.place
        before, _ = await self._before(count.owner, place)
        shown = count.shown
        if shown is not None and before is None and not count.unsaved:  # the draft was used or thrown away meanwhile
            await self._voice.change(count.place, shown, replace(reply, buttons=()), urgency=urgency)
            return
        if shown is not None and before is not None and before.message != shown.message:
            return  # another message keeps count
        if shown is None and not count.follows:
            shown = before
        changed = None if shown is None else await self._voice.change(count.place, shown, reply, urgency=urgency)
        if changed is None:
            changed = await self._voice.say(count.place, reply, reply_to=count.reply_to, silent=True, urgency=urgency)
        count.shown, count.unsaved, count.shown_at = changed, True, time.monotonic()
        note = f"{changed} {'buttons' if reply.buttons else ''}"
        await self._queue.refs.put(count.place.address, _ref(count.owner), note, count.owner)
        count.unsaved = False
        if count.place.group:
            await self._queue.refs.put(count.place.address, asked(changed.message), count.owner, count.owner)
        if before is not None and before.message != changed.message and count.place == place:
            await self._voice.remove(count.place, before.message)

    async def _before(self, owner: str, place: Place) -> tuple[Shown | None, bool]:
        """The message that keeps count now, and whether it has buttons."""
        return _read(await self._queue.refs.get(place.address, _ref(owner)))

    async def _reply(self, count: _Count, *, settled: bool) -> Reply:
        text = translator(count.language)
        if not settled:
            return Reply(count.tally.found if count.tally.uploads else text("intake-looking-first"))
        draft = await self._queue.drafts.get(count.owner, count.place.address)
        images = len(draft.images) if draft else 0
        if count.tally.uploads:
            said = count.tally.found
        else:
            said = text("intake-found", count=images) if images else text("intake-found-none")
        if not images:
            return Reply(said)
        lines = [said, text("telegram-count-next")]
        if count.photos and await self._first_photos(count.owner):
            lines.append(text("telegram-send-as-file"))
        return Reply(
            "\n".join(lines),
            (Button(text("telegram-train"), "train", "primary"), Button(text("command-clear"), "clear")),
        )

    async def _first_photos(self, owner: str) -> bool:
        """Said once to everybody: Telegram makes photos smaller."""
        if await self._queue.refs.get(HOME, f"hint:{owner}") is not None:
            return False
        await self._queue.refs.put(HOME, f"hint:{owner}", "photos", owner)
        return True


_OPEN = "counting:"


def _open(owner: str, place: Place) -> str:
    return f"{_OPEN}{owner}@{place.address.channel}"


def _ref(owner: str) -> str:
    return f"{COUNT}{owner}"


def _read(note: str | None) -> tuple[Shown | None, bool]:
    """The message that ``note`` is about, and whether it has buttons."""
    if note is None:
        return None, False
    shown, _, buttons = note.partition(" ")
    return Shown.parse(shown), bool(buttons)


def asked(message: int) -> str:
    """The key that says whose buttons stand under a message in a group."""
    return f"{ASKED}{message}"


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):  # wait_for of Python 3.11 may swallow a cancel
            await event.wait()
    except TimeoutError:
        return False
    return True
