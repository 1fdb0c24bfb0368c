"""Who speaks, in which language, and whether they may moderate here."""

import logging

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

    async def actor(self, user: User, place: Place, request: Request, anonymous: bool = False) -> Actor:
        """Who asks for ``request``; ``anonymous``: in the name of the group, which only its admins can."""
        moderator = anonymous
        if place.group and not anonymous and isinstance(request, _MODERATED):
            moderator = await self._is_admin(user, place)
        return Actor(owner_of(user.id), self.language(user), moderator, user.id in self._operators)

    async def _is_admin(self, user: User, place: Place) -> bool:
        try:
            member = await self._voice.client.get_chat_member((await self._voice.now(place)).chat, user.id)
        except TelegramError as error:  # who can't be looked up is no moderator
            _log.warning("whether %d is an admin of %d can't be told: %s", user.id, place.chat, error.message)
            return False
        return member.status in _ADMINS


def speaks_for_group(message: Message) -> bool:
    """An admin who stays anonymous."""
    return message.sender_chat is not None and message.sender_chat.id == message.chat.id
