"""What comes from Telegram, each to the one who answers it: files at the same time, words in their order."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from weakref import WeakValueDictionary

from telegram import ChatMemberUpdated, Message, Update, User
from telegram.constants import ChatMemberStatus

from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.grammar import command_name
from lorabot.bot.front_end import TryLater, Unreachable
from lorabot.bot.telegram.arriving import Arriving, Attachment, Sender, attachment_of
from lorabot.bot.telegram.people import People, speaker_of
from lorabot.bot.telegram.places import Place, owner_of
from lorabot.bot.telegram.talking import Talking
from lorabot.bot.telegram.timing import Timing
from lorabot.bot.telegram.voice import Voice
from lorabot.locale import UserError
from lorabot.queue.errors import StoreUnavailable

_ALBUM_KNOWN_S = 60.0
_LEAVE_S = 2.0
_STORE_AGAIN_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_SLASHES = ("/", "／")
_THROWING_AWAY = ("clear", "forgetme")
_GONE = (ChatMemberStatus.BANNED, ChatMemberStatus.LEFT)
ALLOWED = ("message", "callback_query", "my_chat_member")
_log = logging.getLogger(__name__)


class Updates:
    """Works on updates in the background. ``done`` is told when one is worked off."""

    def __init__(
        self,
        voice: Voice,
        people: People,
        talking: Talking,
        arriving: Arriving,
        done: Callable[[Update], Awaitable[None]],
        timing: Timing,
    ) -> None:
        self._voice = voice
        self._people = people
        self._talking = talking
        self._arriving = arriving
        self._done = done
        self._timing = timing
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: WeakValueDictionary[tuple[int, int], asyncio.Lock] = WeakValueDictionary()
        self._thrown_away: WeakValueDictionary[tuple[int, int], asyncio.Task[None]] = WeakValueDictionary()
        self._moving: WeakValueDictionary[int, asyncio.Task[None]] = WeakValueDictionary()
        self._albums: dict[str, float] = {}
        self._named: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._album_grew: dict[str, float] = {}

    def begin(self, update: Update) -> None:
        """Start with ``update``; those of one person in one chat are answered in their order."""
        if update.message is not None and update.message.media_group_id is not None:
            now = time.monotonic()
            self._album_grew = {one: at for one, at in self._album_grew.items() if now - at < _ALBUM_KNOWN_S}
            self._album_grew[update.message.media_group_id] = now
        whose = _whose(update)
        before = [self._moving.get(update.effective_chat.id)] if update.effective_chat else []
        if whose and update.message is not None:  # a press is acknowledged at once, and brings no photos
            before.append(self._thrown_away.get(whose))
        task = asyncio.create_task(
            self._work(update, {one for one in before if one is not None}), name=f"update {update.update_id}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if whose and _throws_away(update):
            self._thrown_away[whose] = task
        if update.message is not None and (move := _move_of(update.message)):
            self._moving.update(dict.fromkeys(move, task))

    async def stop(self) -> None:
        """Leave off; what is not done in a moment is begun again after the next start."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LEAVE_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _work(self, update: Update, before: Iterable[asyncio.Task[None]]) -> None:
        """``before``: photos are being thrown away that these are not among; the group is just moving here."""
        if before:
            await asyncio.wait(before)
        try:
            await self._route(update)
        except (TryLater, Unreachable, ConnectionError, UserError) as error:
            _log.info("update %d could not be answered: %s", update.update_id, error)
        except Exception:
            _log.exception("update %d failed", update.update_id)
        try:
            await self._done(update)
        except UserError as error:  # it is worked on once more after the next start
            _log.warning("update %d is not crossed out: %s", update.update_id, error)

    async def _route(self, update: Update) -> None:
        if update.callback_query is not None:
            await self._talking.pressed(update.callback_query)
        elif update.my_chat_member is not None:
            await self._moved(update.my_chat_member)
        elif update.message is None or update.message.is_automatic_forward:
            return  # what a channel posts for all lands in its group by itself, and asks us nothing
        elif (move := _move_of(update.message)) is not None:
            await self._follow(*move)
        elif update.message.from_user is not None:
            await self._message(update.message, update.message.from_user)

    async def _message(self, message: Message, user: User) -> None:
        attachment = attachment_of(message)
        text = message.text or message.caption or ""
        if attachment is not None:
            if not (self._meant(message, text) or await self._meant_further_on(message.media_group_id)):
                return
            # The file is announced before anything is waited for, so that words right behind it know of it.
            if not await self._take(message, user, attachment) or not text.startswith(_SLASHES):
                return
            await self._all_of(message.media_group_id)
        elif not text:
            if not Place.of(message).group and message.effective_attachment is not None:
                await self._talking.said(message, user, "?")
            return
        turn = self._turns.setdefault((message.chat.id, user.id), asyncio.Lock())
        async with turn:
            if attachment is None and self._asks_to_train(text) and not await self._take_replied(message, user):
                return
            await self._talking.said(message, user, text)

    async def _all_of(self, album: str | None) -> None:
        """Wait until nothing more of the album comes: Telegram never says which one is its last."""
        while album in self._album_grew:
            wait = self._album_grew[album] + self._timing.album_s - time.monotonic()
            if wait <= 0:
                return
            await asyncio.sleep(wait)

    async def _take(self, message: Message, user: User, attachment: Attachment) -> bool:
        """False where nobody can tell whose it is, and that was said."""
        if speaker_of(message) != "person":
            await self._talking.refuse(message, user, CommandError("telegram-anonymous"))
            return False
        sender = Sender(owner_of(user.id), Place.of(message), self._people.language(user))
        await self._arriving.take(sender, message, attachment)
        return True

    async def _take_replied(self, message: Message, user: User) -> bool:
        """``/train`` as a reply to a file means that file too. False where it may not."""
        replied = message.reply_to_message
        attachment = attachment_of(replied) if replied is not None else None
        if replied is None or attachment is None or attachment.refused is not None:
            return True
        if replied.from_user is not None and replied.from_user.id == self._voice.client.id:
            return True  # a picture of ours
        if speaker_of(message) != "person":
            await self._talking.refuse(message, user, CommandError("telegram-anonymous"))
            return False
        if replied.from_user is None or replied.from_user.id != user.id:
            await self._talking.refuse(message, user, CommandError("telegram-not-your-file"))
            return False
        sender = Sender(owner_of(user.id), Place.of(message), self._people.language(user))
        if await self._arriving.has(sender, replied):
            return True
        if replied.media_group_id is not None and not await self._arriving.has_any(sender):
            await self._talking.refuse(message, user, CommandError("telegram-one-of-album"))
            return False
        await self._arriving.take(sender, replied, attachment)
        return True

    def _asks_to_train(self, text: str) -> bool:
        """Is it ``/train``, and said to us where it names somebody?"""
        head = (*text.split(maxsplit=1), "")[0]
        bot = head.partition("@")[2].casefold()
        mine = bot in ("", self._voice.client.username.casefold())
        return head.startswith(_SLASHES) and command_name(head) == "train" and mine

    def _meant(self, message: Message, text: str) -> bool:
        """In a group only what answers us, or names us, is for us: it is full of other pictures."""
        if not Place.of(message).group:
            return True
        album = message.media_group_id
        now = time.monotonic()
        if album is not None and now - self._albums.get(album, float("-inf")) < _ALBUM_KNOWN_S:
            return True
        replied = message.reply_to_message
        to_me = replied is not None and replied.from_user is not None and replied.from_user.id == self._voice.client.id
        named = f"@{self._voice.client.username}".casefold() in text.casefold()
        if not (to_me or named or self._asks_to_train(text)):
            return False
        if album is not None:
            self._albums = {known: at for known, at in self._albums.items() if now - at < _ALBUM_KNOWN_S}
            self._albums[album] = now
            if (waited_for := self._named.get(album)) is not None:
                waited_for.set()
        return True

    async def _meant_further_on(self, album: str | None) -> bool:
        """Not every app puts the words of an album on its first file: is one to come that makes it ours?"""
        if album is None:
            return False
        named = self._named.setdefault(album, asyncio.Event())
        ends = asyncio.create_task(self._all_of(album))
        names = asyncio.create_task(named.wait())
        try:
            await asyncio.wait({ends, names}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ends.cancel()
            names.cancel()
        return named.is_set()

    async def _follow(self, old: int, new: int) -> None:
        """A group became a supergroup, which has another id."""
        for wait in (*_STORE_AGAIN_S, None):
            try:
                await self._voice.moved(Place(old), new)
            except StoreUnavailable:
                if wait is None:
                    raise
                await asyncio.sleep(wait)
            else:
                return

    async def _moved(self, change: ChatMemberUpdated) -> None:
        """We were let into a group, or thrown out of a chat."""
        place = Place(change.chat.id)
        before, after = change.old_chat_member.status, change.new_chat_member.status
        if after in _GONE:
            _log.info("no longer in chat %d", place.chat)
        elif place.group and before in _GONE:
            reads_all = after == ChatMemberStatus.ADMINISTRATOR or bool(
                self._voice.client.bot.can_read_all_group_messages
            )
            language = self._people.language(change.from_user)
            await self._voice.say(place, self._talking.welcome(language, place, reads_all))


def _whose(update: Update) -> tuple[int, int] | None:
    """The chat and the person that ``update`` comes from."""
    if update.effective_chat is None or update.effective_user is None:
        return None
    return update.effective_chat.id, update.effective_user.id


def _move_of(message: Message) -> tuple[int, int] | None:
    """The old id and the new one of a group that became a supergroup. A message in each of the chats says so."""
    if message.migrate_to_chat_id is not None:
        return message.chat.id, message.migrate_to_chat_id
    if message.migrate_from_chat_id is not None:
        return message.migrate_from_chat_id, message.chat.id
    return None


def _throws_away(update: Update) -> bool:
    """Does it ask that photos be thrown away? What comes behind it waits until they are."""
    if update.callback_query is not None:
        return (update.callback_query.data or "").partition(":")[0] in _THROWING_AWAY
    text = update.message.text if update.message is not None else None
    return text is not None and command_name(text) in _THROWING_AWAY
