"""The methods of the Bot API that send and change messages, each with the checks that Telegram makes."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from tests.telegram.server.markup import read_html, read_markup, utf16
from tests.telegram.server.refusal import Refusal, bad_request, forbidden
from tests.telegram.server.state import State
from tests.telegram.server.world import Chat, FileKind, Message, StoredFile

MOST_TEXT = 4096
MOST_CAPTION = 1024
MOST_ANSWER = 200
_MOST_SIDES = 10_000
_MOST_RATIO = 20
_WORDS = {"photo": "photos", "document": "documents", "video": "videos"}


@dataclass(frozen=True, slots=True)
class Attached:
    """A file in the request's body."""

    name: str
    mime: str
    data: bytes


class Sending:
    """sendMessage and its relatives."""

    def __init__(self, state: State) -> None:
        self._state = state

    def send_message(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        chat, thread = self._target(given)
        text, entities = self._words(given, "text", MOST_TEXT)
        self._may(chat, "text messages")
        self._state.flood.count(chat.id, 1, self._state.clock.now())
        return self._add(chat, thread, given, text=text, entities=entities, source=str(given["text"])).to_json()

    def send_photo(self, given: Mapping[str, Any], files: Mapping[str, Attached]) -> object:
        return self._send_file("photo", given, files)

    def send_document(self, given: Mapping[str, Any], files: Mapping[str, Attached]) -> object:
        return self._send_file("document", given, files)

    def send_media_group(self, given: Mapping[str, Any], files: Mapping[str, Attached]) -> object:
        chat, thread = self._target(given)
        media = _listed(given.get("media"))
        if not 2 <= len(media) <= 10:
            raise bad_request(f"an album of {len(media)}: it must include 2-10 items")
        kinds = {str(item.get("type")) for item in media}
        if len(kinds) > 1 and kinds - {"photo", "video"}:
            raise bad_request(f"an album can't mix {sorted(kinds)}")
        if given.get("reply_markup"):
            raise bad_request("an album takes no buttons: they would be dropped")
        made = [self._media(chat, item, files) for item in media]
        self._state.flood.count(chat.id, len(media), self._state.clock.now())
        album = str(self._state.next_number())
        shown = []
        for item, (file, text, entities) in zip(media, made, strict=True):
            source = str(item.get("caption", ""))
            message = self._add(
                chat, thread, given, text=text, entities=entities, source=source, file=file, album=album
            )
            shown.append(message.to_json())
        return shown

    def send_chat_action(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        self._target(given)
        return True

    def delete_message(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        chat = self._chat(given)
        message = chat.messages.get(int(given["message_id"]))
        if message is None or message.deleted:
            raise bad_request("message to delete not found", fault=False)
        if message.sender.id != self._state.bot.id and chat.kind != "private":
            raise bad_request("message can't be deleted")
        if self._state.clock.now() - message.at > 48 * 3600:
            raise bad_request("message can't be deleted for everyone", fault=False)
        message.deleted = True
        return True

    def edit_message_text(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        message = self._own_message(given)
        if message.file is not None:
            raise bad_request("there is no text in the message to edit")
        text, entities = self._words(given, "text", MOST_TEXT)
        return self._change(message, given, text, entities, str(given["text"]), message.file)

    def edit_message_caption(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        message = self._own_message(given)
        if message.file is None:
            raise bad_request("there is no caption in the message to edit")
        text, entities = self._words(given, "caption", MOST_CAPTION, needed=False)
        return self._change(message, given, text, entities, str(given.get("caption", "")), message.file)

    def edit_message_media(self, given: Mapping[str, Any], files: Mapping[str, Attached]) -> object:
        message = self._own_message(given)
        item = given["media"]
        item = json.loads(item) if isinstance(item, str) else item
        file, text, entities = self._media(message.chat, item, files)
        return self._change(message, given, text, entities, str(item.get("caption", "")), file)

    def edit_message_reply_markup(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        message = self._own_message(given)
        return self._change(message, given, message.text, message.entities, message.source, message.file)

    def answer_callback_query(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        press = self._state.presses.get(str(given.get("callback_query_id")))
        text = str(given.get("text", ""))
        if press is None:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        if press.answered_by_the_dead:  # Telegram's QUERY_ID_INVALID, which it says of an answered press too
            words = "Bad Request: query is too old and response timeout expired or query ID is invalid"
            raise Refusal(400, words, fault=False)
        if press.answered_at is not None:
            raise bad_request(f"the press of {press.data!r} was answered already")
        if self._state.clock.now() - press.at > self._state.limits.press_s:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        if utf16(text) > MOST_ANSWER:
            raise bad_request(f"MESSAGE_TOO_LONG: {text!r}")
        press.answered_at, press.text, press.alert = self._state.clock.now(), text, _true(given.get("show_alert"))
        return True

    def _chat(self, given: Mapping[str, Any]) -> Chat:
        if "chat_id" not in given:
            raise bad_request("chat_id is empty")
        chat = self._state.chats.get(int(given["chat_id"]))
        if chat is None:
            raise bad_request("chat not found", fault=False)
        if chat.moved_to is not None:
            refusal = Refusal(400, "Bad Request: group chat was upgraded to a supergroup chat", fault=False)
            refusal.parameters = {"migrate_to_chat_id": chat.moved_to}
            raise refusal
        if chat.closed == "Bad Request: chat not found":
            raise bad_request("chat not found", fault=False)
        if chat.closed is not None:
            raise forbidden(chat.closed)
        return chat

    def _target(self, given: Mapping[str, Any]) -> tuple[Chat, int | None]:
        chat = self._chat(given)
        thread = int(given["message_thread_id"]) if given.get("message_thread_id") else None
        if thread is not None and thread not in chat.topics:
            raise bad_request("message thread not found", fault=False)
        return chat, thread

    def _may(self, chat: Chat, what: str) -> None:
        if what in chat.denied:
            raise bad_request(f"not enough rights to send {what} to the chat", fault=False)

    def _words(
        self, given: Mapping[str, Any], name: str, most: int, needed: bool = True
    ) -> tuple[str, list[dict[str, Any]]]:
        source = str(given.get(name, ""))
        if given.get("parse_mode") not in (None, "HTML"):
            raise bad_request(f"unsupported parse_mode {given['parse_mode']!r}")
        text, entities = read_html(source) if given.get("parse_mode") else (source.strip(), [])
        if needed and not text:
            raise bad_request("message text is empty")
        if utf16(text) > most:
            raise bad_request(f"message is too long ({name}: {utf16(text)} of {most})")
        return text, entities

    def _send_file(self, kind: FileKind, given: Mapping[str, Any], files: Mapping[str, Attached]) -> object:
        chat, thread = self._target(given)
        text, entities = self._words(given, "caption", MOST_CAPTION, needed=False)
        file = self._file(chat, kind, given.get(kind), files)
        self._state.flood.count(chat.id, 1, self._state.clock.now())
        source = str(given.get("caption", ""))
        return self._add(chat, thread, given, text=text, entities=entities, source=source, file=file).to_json()

    def _media(
        self, chat: Chat, item: Mapping[str, Any], files: Mapping[str, Attached]
    ) -> tuple[StoredFile, str, list[dict[str, Any]]]:
        kind = item.get("type")
        if kind not in ("photo", "document"):
            raise bad_request(f"unknown kind of media {kind!r}")
        text, entities = self._words(item, "caption", MOST_CAPTION, needed=False)
        return self._file(chat, kind, item.get("media"), files), text, entities

    def _file(self, chat: Chat, kind: FileKind, given: object, files: Mapping[str, Attached]) -> StoredFile:
        self._may(chat, _WORDS[kind])
        reference = str(given or "")
        known = self._state.files.get(reference)
        if known is not None:
            return known
        attached = files.get(reference.removeprefix("attach://"))
        if attached is None:
            raise bad_request(f"there is no {kind} in the request")
        if not attached.data:
            raise bad_request("file must be non-empty")
        if len(attached.data) > self._state.limits.upload:
            raise Refusal(413, "Request Entity Too Large")
        if kind == "photo":
            _check_photo(attached.data, self._state.limits.photo)
        return self._state.store(kind, attached.name, attached.mime, attached.data)

    def _add(self, chat: Chat, thread: int | None, given: Mapping[str, Any], **shown: Any) -> Message:
        reply = given.get("reply_parameters")
        reply = json.loads(reply) if isinstance(reply, str) else reply
        reply_to = None
        if reply:
            reply_to = int(reply["message_id"])
            target = chat.messages.get(reply_to)
            if target is None or target.deleted:
                if not reply.get("allow_sending_without_reply"):
                    raise bad_request("message to be replied not found")
                reply_to = None
        markup = read_markup(given.get("reply_markup"))
        silent = _true(given.get("disable_notification"))
        return self._state.add_message(
            chat, self._state.bot, thread=thread, reply_to=reply_to, markup=markup, silent=silent, **shown
        )

    def _own_message(self, given: Mapping[str, Any]) -> Message:
        chat = self._chat(given)
        message = chat.messages.get(int(given["message_id"]))
        if message is None or message.deleted:
            raise bad_request("message to edit not found", fault=False)
        if message.sender.id != self._state.bot.id:
            raise bad_request("message can't be edited")
        return message

    def _change(
        self,
        message: Message,
        given: Mapping[str, Any],
        text: str,
        entities: list[dict[str, Any]],
        source: str,
        file: StoredFile | None,
    ) -> object:
        markup = read_markup(given.get("reply_markup"))
        same_file = file is message.file or (file and message.file and file.data == message.file.data)
        if (text, entities, markup, bool(same_file)) == (message.text, message.entities, message.markup, True):
            raise bad_request(
                "message is not modified: specified new message content and reply markup are exactly the same as a "
                f"current content and reply markup of the message ({text!r})"
            )
        self._state.flood.count(message.chat.id, 1, self._state.clock.now())
        message.history.append(message.text)
        message.text, message.entities, message.source = text, entities, source
        message.markup, message.file = markup, file
        message.edited_at = self._state.clock.now()
        return message.to_json()


def _check_photo(data: bytes, most: int) -> None:
    if len(data) > most:
        raise bad_request(f"photo of {len(data)} bytes: PHOTO_SAVE_FILE_INVALID")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
    except UnidentifiedImageError:
        raise bad_request("IMAGE_PROCESS_FAILED") from None
    if width + height > _MOST_SIDES or max(width, height) > _MOST_RATIO * min(width, height):
        raise bad_request(f"PHOTO_INVALID_DIMENSIONS: {width} x {height}")


def _listed(given: object) -> Sequence[Mapping[str, Any]]:
    read = json.loads(given) if isinstance(given, str) else given
    if not isinstance(read, list):
        raise bad_request("an array is expected as media")
    return read


def _true(given: object) -> bool:
    return given is True or str(given).lower() == "true"
