"""Who speaks, in which language, and whether they may moderate here."""

import logging
from typing import Literal

from telegram import Message, User
from telegram.constants import ChatMemberStatus
from telegram.error import TelegramError

from lorabot.bot.commands import Actor
from lorabot.bot.commands.requests import Cancel, Details, Help, QueueCommand, Request, Status
from lorabot.bot.telegram.places import Place, owner_of
from lorabot.bot.telegram.voice import Voice
from lorabot.locale import negotiate

_ADMINS = (ChatMemberStatus.OWNER, ChatMemberStatus.ADMINISTRATOR)
# What a moderator's standing makes a difference to: Telegram is asked for it only then, and each time.
_MODERATED = (QueueCommand, Cancel, Details, Status, Help)
Speaker = Literal["person", "group", "channel"]
"""In whose name a message is written. Who a person is can be told only of those who write in their own."""
_log = logging.getLogger(__name__)


class People:
    """Makes actors of Telegram's users. ``operators`` are user ids of the settings."""

    def __init__(self, voice: Voice, operators: tuple[int, ...], language: str) -> None:
        self._voice = voice
        self._operators = frozenset(operators)
        self._language = language

    def language(self, user: User) -> str:
        """The app's language where we speak it, else the installation's."""
        return negotiate(user.language_code, self._language)

    async def actor(self, user: User, place: Place, request: Request, speaker: Speaker = "person") -> Actor:
        """Who asks for ``request``. In the name of the group only its admins can write, of a channel anybody."""
        moderator = speaker == "group"
        if place.group and speaker == "person" and isinstance(request, _MODERATED):
            moderator = await self._is_admin(user, place)
        operator = user.id in self._operators
        return Actor(owner_of(user.id), self.language(user), moderator, operator, overheard=place.group)

    async def _is_admin(self, user: User, place: Place) -> bool:
        try:
            member = await self._voice.client.get_chat_member((await self._voice.now(place)).chat, user.id)
        except TelegramError as error:  # who can't be looked up is no moderator
            _log.warning("whether %d is an admin of %d can't be told: %s", user.id, place.chat, error.message)
            return False
        return member.status in _ADMINS


def speaker_of(message: Message) -> Speaker:
    """In whose name ``message`` is written. All who write as some channel or other come as one and the same user."""
    if message.sender_chat is None:
        return "person"
    return "group" if message.sender_chat.id == message.chat.id else "channel"
