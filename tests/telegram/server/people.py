"""People in the app: they send photos, type, press buttons, block the bot, and see what it writes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.telegram.server.state import State
from tests.telegram.server.world import Call, Chat, FileKind, Member, Message, Press, StoredFile

_COMMAND = re.compile(r"/[A-Za-z0-9_]{1,32}(@\w+)?")
ANONYMOUS = Member(1087968824, "Group", is_bot=True, username="GroupAnonymousBot")
AS_CHANNEL = Member(136817688, "Channel", is_bot=True, username="Channel_Bot")
"""The user that Telegram names for everybody who writes in the name of a channel, whichever it is."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to send. ``size`` is what Telegram says of it where the bytes are not really that many."""

    data: bytes
    name: str = "file"
    kind: FileKind = "photo"
    mime: str = "image/jpeg"
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group and the server it is on."""

    state: State
    chat: Chat

    def takes_in(self, person: "Person", status: Literal["member", "administrator", "creator"] = "member") -> None:
        self.chat.members[person.member.id] = status

    def makes_bot_admin(self) -> None:
        self.chat.members[self.state.bot.id] = "administrator"

    def opens_topic(self) -> int:
        """A topic of a forum; returns its thread."""
        thread = self.state.next_number()
        self.chat.forum = True
        self.chat.topics.add(thread)
        return thread

    def throws_bot_out(self, by: "Person") -> None:
        self.chat.closed = "bot was kicked from the supergroup chat"
        _status_update(self.state, self.chat, by.member, "member", "kicked")

    def adds_bot(self, by: "Person") -> None:
        self.chat.members[self.state.bot.id] = "member"
        _status_update(self.state, self.chat, by.member, "left", "member")

    def becomes_supergroup(self, by: "Person", *, told: bool = True) -> "Group":
        """Telegram gives it another id then, and says so in both chats, if the bot hears it."""
        new = Chat(self.chat.id - 10**12, "supergroup", self.chat.title, privacy=self.chat.privacy)
        new.members = dict(self.chat.members)
        self.state.chats[new.id] = new
        self.chat.moved_to = new.id
        for chat, move in ((self.chat, {"migrate_to_chat_id": new.id}), (new, {"migrate_from_chat_id": self.chat.id})):
            message = self.state.add_message(chat, by.member)
            if told:
                self.state.add_update("message", message.to_json() | move)
        return Group(self.state, new)

    def calls(self) -> list[Call]:
        """What the bot has asked for here, whether it was let or not."""
        return [call for call in self.state.calls if call.params.get("chat_id") == str(self.chat.id)]

    def messages(self) -> list[Message]:
        return [message for message in self.chat.messages.values() if not message.deleted]


class Person:
    """Somebody with the app. Without ``group`` they talk to the bot alone."""

    def __init__(self, state: State, member: Member) -> None:
        self.state = state
        self.member = member
        self.chat = Chat(member.id, "private", member.first_name)
        state.chats[self.chat.id] = self.chat
        state.people[member.id] = member

    def says(
        self,
        text: str,
        *,
        group: Group | None = None,
        thread: int | None = None,
        reply_to: Message | None = None,
        anonymously: bool = False,
        channel: Chat | None = None,
    ) -> Message:
        """Type ``text`` and send it; in the name of a ``channel`` where one is given."""
        chat = group.chat if group else self.chat
        message = self._post(chat, thread, reply_to, channel or (chat if anonymously else None), text=text)
        self._deliver(message)
        return message

    def sends_photo(self, data: bytes, caption: str = "", **where: object) -> Message:
        return self.sends(Item(data), caption, **where)  # type: ignore[arg-type]

    def sends_file(self, name: str, data: bytes, caption: str = "", **where: object) -> Message:
        return self.sends(Item(data, name, "document", _mime(name)), caption, **where)  # type: ignore[arg-type]

    def sends(
        self,
        item: Item,
        caption: str = "",
        *,
        group: Group | None = None,
        thread: int | None = None,
        reply_to: Message | None = None,
        channel: Chat | None = None,
    ) -> Message:
        """Send one thing, with a caption where there is one; in the name of a ``channel`` where one is given."""
        return self._send([item], caption, group, thread, reply_to, None, channel)[0]

    def sends_album(
        self,
        items: Sequence[bytes | Item],
        caption: str = "",
        *,
        captioned: int = 0,
        group: Group | None = None,
        thread: int | None = None,
        reply_to: Message | None = None,
    ) -> list[Message]:
        """Send several at once: an update for each, the caption on one, and nothing that says it's the last.

        Most apps put the caption on the first; ``captioned`` is for those that do not.
        """
        assert 2 <= len(items) <= 10
        things = [item if isinstance(item, Item) else Item(item) for item in items]
        album = str(self.state.next_number())
        return self._send(things, caption, group, thread, reply_to, album, captioned=captioned)

    def edits(self, message: Message, text: str) -> None:
        """Change what was written."""
        message.text, message.edited_at = text, self.state.clock.now()
        message.entities = _commands(text)
        self.state.add_update("edited_message", message.to_json())

    def deletes(self, message: Message) -> None:
        """Delete it for both sides."""
        message.deleted = True
        self.state.tell()

    def presses(self, message: Message, label: str) -> Press:
        """Press the button whose label holds ``label``."""
        return self.sends_press(message, str(message.button(label)["callback_data"]))

    def sends_press(self, message: Message, data: str) -> Press:
        """What the app sends for a button; someone may send what no button holds."""
        press = Press(f"query-{self.state.next_number()}", self.member, message, data, self.state.clock.now())
        self.state.presses[press.id] = press
        shown = {"id": press.id, "from": self.member.to_json(), "data": data, "chat_instance": "1"}
        self.state.add_update("callback_query", shown | {"message": message.to_json()})
        return press

    def blocks_bot(self) -> None:
        self.chat.closed = "bot was blocked by the user"
        _status_update(self.state, self.chat, self.member, "member", "kicked")

    def unblocks_bot(self) -> None:
        self.chat.closed = None
        _status_update(self.state, self.chat, self.member, "kicked", "member")

    def received(self, group: Group | None = None) -> list[Message]:
        """What the bot has written and nobody deleted, oldest first."""
        chat = group.chat if group else self.chat
        return [one for one in chat.messages.values() if one.sender.id == self.state.bot.id and not one.deleted]

    async def sees(
        self, wanted: str | Callable[[Message], bool], *, group: Group | None = None, timeout_s: float | None = None
    ) -> Message:
        """The bot's newest message that holds the text, or for which ``wanted`` is true, as soon as there is one."""

        def fits(message: Message) -> bool:
            return wanted in message.text if isinstance(wanted, str) else wanted(message)

        await self.state.until(lambda: any(fits(message) for message in self.received(group)), timeout_s)
        return next(message for message in reversed(self.received(group)) if fits(message))

    async def answered(self, press: Press, timeout_s: float | None = None) -> Press:
        """The press as soon as the bot has answered it."""
        await self.state.until(lambda: press.answered_at is not None, timeout_s)
        return press

    def _send(
        self,
        items: Sequence[Item],
        caption: str,
        group: Group | None,
        thread: int | None,
        reply_to: Message | None,
        album: str | None,
        channel: Chat | None = None,
        captioned: int = 0,
    ) -> list[Message]:
        chat = group.chat if group else self.chat
        sent = []
        for number, item in enumerate(items):
            file: StoredFile = self.state.store(item.kind, item.name, item.mime, item.data, item.size)
            words = caption if number == captioned else ""
            message = self._post(chat, thread, reply_to, channel, text=words, file=file, album=album)
            sent.append(message)
        for message in sent:
            self._deliver(message)
        return sent

    def _post(
        self,
        chat: Chat,
        thread: int | None,
        reply_to: Message | None,
        sender_chat: Chat | None,
        *,
        text: str,
        **shown: object,
    ) -> Message:
        """A message of this person, or in the name of ``sender_chat``: then nobody can tell whose it is."""
        reply = reply_to.id if reply_to else None
        sender = self.member
        if sender_chat is not None:
            sender = ANONYMOUS if sender_chat is chat else AS_CHANNEL
        entities = _commands(text)
        return self.state.add_message(
            chat, sender, thread=thread, reply_to=reply, sender_chat=sender_chat, text=text, entities=entities, **shown
        )

    def _deliver(self, message: Message) -> None:
        """Give it to the bot, where Telegram does: not everything that is said in a group."""
        if message.chat.closed is None and (message.chat.kind == "private" or self._bot_hears(message)):
            self.state.add_update("message", message.to_json())

    def _bot_hears(self, message: Message) -> bool:
        """https://core.telegram.org/bots/features#privacy-mode, where ours is the group's only bot.

        A message that merely names the bot is not among what comes.
        """
        chat, bot = message.chat, self.state.bot
        if not chat.privacy or chat.members.get(bot.id) == "administrator":
            return True
        replied = chat.messages.get(message.reply_to) if message.reply_to is not None else None
        if replied is not None and replied.sender.id == bot.id:
            return True
        command, mine = _COMMAND.match(message.text), f"@{bot.username}"
        return command is not None and (command[1] or mine).casefold() == mine.casefold()


def _status_update(state: State, chat: Chat, by: Member, before: str, after: str) -> None:
    def shown(status: str) -> dict[str, object]:
        banned = {"until_date": 0} if status == "kicked" else {}
        return {"user": state.bot.to_json(), "status": status, **banned}

    content = {"chat": chat.to_json(), "from": by.to_json(), "date": int(state.clock.now())}
    state.add_update("my_chat_member", content | {"old_chat_member": shown(before), "new_chat_member": shown(after)})


def _commands(text: str) -> list[dict[str, object]]:
    found = _COMMAND.match(text)
    return [{"type": "bot_command", "offset": 0, "length": found.end()}] if found else []


def _mime(name: str) -> str:
    kinds = {"zip": "application/zip", "jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
    return kinds.get(name.rpartition(".")[2].lower(), "application/octet-stream")
