"""Updates that Telegram has given us and that are not worked off yet: they outlive the process.

Telegram forgets an update as soon as the next ones are asked for, while its photo may still be on its way. So each is
noted down before that, and crossed out when all is done that it asks for.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable

from telegram import Bot, Update
from telegram.error import NetworkError

from lorabot.bot.telegram.places import HOME, owner_of
from lorabot.locale import UserError
from lorabot.queue.refs import Refs

_PREFIX = "update:"
_MOST_TRIES = 3
_REMEMBERED = 2000
_log = logging.getLogger(__name__)

Begin = Callable[[Update], None]
"""Starts the work on an update; ``Inbox.done`` is called when it is over."""


class Inbox(asyncio.Queue[object]):
    """The queue that the library's updater fills: what is put in is on the disk when ``put`` returns."""

    def __init__(self, refs: Refs, begin: Begin) -> None:
        super().__init__()
        self._refs = refs
        self._begin = begin
        self._known: deque[int] = deque(maxlen=_REMEMBERED)

    async def put(self, item: object) -> None:
        """Note down the update, then begin with it. Raises ``NetworkError`` where the store is away: ask again then."""
        if not isinstance(item, Update) or item.update_id in self._known:
            return
        try:
            await self._write(item, 0)
        except UserError as error:
            raise NetworkError(f"updates can't be stored: {error}") from error
        self._known.append(item.update_id)
        self._begin(item)

    async def resume(self, bot: Bot) -> None:
        """Begin with what was not done when the process last ended, in the order it came."""
        for key, note in sorted((await self._refs.all(HOME, _PREFIX)).items()):
            stored = json.loads(note)
            update = Update.de_json(stored["update"], bot)
            if stored["tries"] >= _MOST_TRIES:
                _log.error("update %s is given up: the process has ended over it %d times", key, _MOST_TRIES)
                await self._refs.drop(HOME, key)
            elif update.update_id not in self._known:
                await self._write(update, stored["tries"] + 1)
                self._known.append(update.update_id)
                self._begin(update)

    async def done(self, update: Update) -> None:
        """All is done that ``update`` asks for."""
        await self._refs.drop(HOME, _key(update))

    async def _write(self, update: Update, tries: int) -> None:
        note = json.dumps({"tries": tries, "update": update.to_dict()}, ensure_ascii=False)
        user = update.effective_user
        await self._refs.put(HOME, _key(update), note, owner_of(user.id) if user else None)


def _key(update: Update) -> str:
    return f"{_PREFIX}{update.update_id:012d}"
