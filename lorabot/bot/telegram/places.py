"""Where on Telegram: a chat, or a topic of a forum, and the address that stands for it."""

from dataclasses import dataclass
from typing import Self

from telegram import Message

from lorabot.queue.model import Address

PLATFORM = "telegram"
HOME = Address(PLATFORM, "bot")
"""The address of what belongs to no chat."""


@dataclass(frozen=True, slots=True)
class Place:
    """``thread`` is the topic of a forum."""

    chat: int
    thread: int | None = None

    @property
    def address(self) -> Address:
        channel = str(self.chat) if self.thread is None else f"{self.chat}/{self.thread}"
        return Address(PLATFORM, channel)

    @property
    def group(self) -> bool:
        """Telegram's groups have negative ids."""
        return self.chat < 0

    @classmethod
    def of(cls, message: Message) -> Self:
        """Where ``message`` stands."""
        # Outside of forums a thread is only a chain of replies.
        return cls(message.chat.id, message.message_thread_id if message.is_topic_message else None)

    @classmethod
    def parse(cls, address: Address) -> Self:
        """The place of ``address``."""
        chat, _, thread = address.channel.partition("/")
        return cls(int(chat), int(thread) if thread else None)


def owner_of(user: int) -> str:
    """The owner that stands for a person."""
    return f"{PLATFORM}:{user}"


def user_of(owner: str) -> int:
    """The person that an owner of ours stands for."""
    return int(owner.partition(":")[2])
