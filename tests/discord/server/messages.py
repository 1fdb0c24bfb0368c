"""Messages as they are sent, edited and deleted, under Discord's rules."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from tests.discord.server.cdn import Cdn
from tests.discord.server.permissions import Permission
from tests.discord.server.rules import check_message, pinged_by
from tests.discord.server.wire import (
    ARCHIVED,
    CANNOT_EDIT_OTHERS,
    CLOSED_DM,
    MISSING_ACCESS,
    MISSING_PERMISSIONS,
    TOO_LARGE,
    UNKNOWN_MESSAGE,
    Clock,
    Json,
    Refused,
    Snowflakes,
    as_iso,
    check,
    time_of,
)
from tests.discord.server.world import (
    COMPONENTS_V2,
    EPHEMERAL,
    LOADING,
    MIB,
    PUBLIC_THREAD,
    REQUEST_LIMIT,
    Channel,
    Message,
    StoredFile,
    User,
    walk,
)

_NONCE_S = 300
_OLD_S = 3600
_OLD_EDITS = 3
_SETTABLE = EPHEMERAL | COMPONENTS_V2 | 1 << 2 | 1 << 12
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A body as it came: its JSON, and the files of a multipart one by number."""

    payload: Json
    files: dict[str, tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to what everybody sees. ``goes_on``: there are buttons under it, so it is not the last one."""

    message: Message
    at: float
    goes_on: bool


class Messages:
    """All messages of all channels."""

    def __init__(self, clock: Clock, ids: Snowflakes, cdn: Cdn, me: User) -> None:
        self._clock = clock
        self._ids = ids
        self._cdn = cdn
        self._me = me
        self.upload_limit: int | None = None  # where it is less than a guild's boosts promise
        self.edits: list[Edit] = []

    def post(self, channel: Channel, sent: Sent) -> Message:
        """An ordinary message of the bot's."""
        self._refuse_post(channel, sent)
        channel.archived = False
        nonce = sent.payload.get("nonce")
        if nonce is not None:
            check(len(str(nonce)) <= 25, f"nonce: at most 25 characters, {nonce!r}")
            if sent.payload.get("enforce_nonce"):
                for message in channel.messages:
                    recent = self._clock.now() - time_of(message.id) < _NONCE_S
                    if message.author is self._me and message.nonce == str(nonce) and recent:
                        return message
        return self.create(channel, self._me, sent, nonce=None if nonce is None else str(nonce))

    def create(
        self,
        channel: Channel,
        author: User,
        sent: Sent,
        *,
        seen_by: User | None = None,
        invoked: Json | None = None,
        nonce: str | None = None,
        extra_flags: int = 0,
    ) -> Message:
        payload = sent.payload
        flags = int(payload.get("flags") or 0)
        check(flags & ~_SETTABLE == 0, f"flags: {flags}")
        flags |= extra_flags
        files = self._new_files(channel, sent)
        if not flags & LOADING:
            check_message(payload, [file.filename for file in files], flags)
        message = Message(
            self._ids.new(), channel, author, flags=flags, seen_by=seen_by, invoked=invoked, nonce=nonce, files=files
        )
        self._fill(message, payload)
        channel.messages.append(message)
        return message

    def edit(self, message: Message, sent: Sent) -> Message:
        """Change what ``payload`` names; what it does not name stays."""
        if message.deleted:
            raise UNKNOWN_MESSAGE
        if message.author is not self._me:
            raise CANNOT_EDIT_OTHERS
        if message.channel.archived:
            raise ARCHIVED
        payload = sent.payload
        flags = message.flags & ~LOADING | int(payload.get("flags") or 0) & COMPONENTS_V2
        check(not message.flags & COMPONENTS_V2 or flags & COMPONENTS_V2, "flags: IS_COMPONENTS_V2 stays")
        kept = message.files
        if "attachments" in payload:
            wanted = {str(one["id"]) for one in payload["attachments"]}
            kept = [file for file in message.files if str(file.id) in wanted]
        files = [*kept, *self._new_files(message.channel, sent)]
        after: Json = {"content": message.content, "embeds": message.embeds, "components": message.components}
        after |= {key: value for key, value in payload.items() if key in after}
        check_message(after, [file.filename for file in files], flags)
        now = self._clock.now()
        if message.seen_by is None and now - time_of(message.id) > _OLD_S:
            message.edits = [at for at in message.edits if at > now - _OLD_S]
            if len(message.edits) >= _OLD_EDITS:
                text = "Maximum number of edits to messages older than 1 hour reached. Try again later."
                raise Refused(429, 30046, text, retry_after=0.01)
            message.edits.append(now)
        message.flags, message.files, message.edited = flags, files, now
        self._fill(message, after | {"allowed_mentions": payload.get("allowed_mentions")}, pings=False)
        if message.seen_by is None:
            self.edits.append(Edit(message, time.monotonic(), bool(message.buttons)))
        return message

    def delete(self, message: Message) -> None:
        message.deleted = True
        message.channel.messages.remove(message)

    def find(self, channel: Channel, message_id: int) -> Message:
        for message in channel.messages:
            if message.id == message_id:
                return message
        raise UNKNOWN_MESSAGE

    def as_json(self, message: Message) -> Json:
        return {
            "id": str(message.id),
            "type": 0 if message.invoked is None else 20,
            "channel_id": str(message.channel.id),
            "author": message.author.as_json(),
            "content": message.content,
            "timestamp": as_iso(time_of(message.id)),
            "edited_timestamp": as_iso(message.edited) if message.edited else None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [file.as_json(self._cdn.sign) for file in message.files],
            "embeds": message.embeds,
            "components": self._resolved(message),
            "pinned": False,
            "flags": message.flags,
            "application_id": str(self._me.id),
            **({"nonce": message.nonce} if message.nonce else {}),
            **({"message_snapshots": [{"message": self.as_json(message.forwarded)}]} if message.forwarded else {}),
        }

    def keep_file(self, channel: Channel, filename: str, data: bytes, description: str | None = None) -> StoredFile:
        suffix = filename.rpartition(".")[2].lower()
        kind = _TYPES.get(suffix, "application/zip" if suffix == "zip" else "application/octet-stream")
        file = StoredFile(self._ids.new(), channel.id, filename, data, kind, description)
        if kind.startswith("image/"):
            try:
                with Image.open(io.BytesIO(data)) as image:
                    file.sides = image.size
            except (UnidentifiedImageError, OSError):
                file.sides = None
        return self._cdn.keep(file)

    def _refuse_post(self, channel: Channel, sent: Sent) -> None:
        if channel.recipient is not None:
            if not channel.recipient.takes_dms:
                raise CLOSED_DM
            return
        allowed = channel.permissions_of(self._me)
        if not allowed & Permission.VIEW_CHANNEL:
            raise MISSING_ACCESS
        thread = channel.type == PUBLIC_THREAD
        if not allowed & (Permission.SEND_MESSAGES_IN_THREADS if thread else Permission.SEND_MESSAGES):
            raise MISSING_PERMISSIONS
        if sent.files and not allowed & Permission.ATTACH_FILES:
            raise MISSING_PERMISSIONS

    def _new_files(self, channel: Channel, sent: Sent) -> list[StoredFile]:
        limit = channel.guild.upload_limit if channel.guild else 10 * MIB
        real = min(limit, self.upload_limit) if self.upload_limit else limit
        sizes = [len(data) for _, data in sent.files.values()]
        if any(size > real for size in sizes) or sum(sizes) > max(REQUEST_LIMIT, limit):
            raise TOO_LARGE
        described: Sequence[Json] = sent.payload.get("attachments") or ()
        named = {str(one["id"]): one for one in described}
        made = []
        for number, (filename, data) in sent.files.items():
            check(number in named or not described, f"attachments: no entry for files[{number}]")
            entry = named.get(number, {})
            check(len(entry.get("description") or "") <= 1024, "attachments.description: at most 1024 characters")
            made.append(self.keep_file(channel, entry.get("filename", filename), data, entry.get("description")))
        return made

    def _fill(self, message: Message, payload: Json, pings: bool = True) -> None:
        message.content = payload.get("content") or ""
        message.embeds = payload.get("embeds") or []
        message.components = payload.get("components") or []
        pinged = pinged_by(message.text, payload.get("allowed_mentions"))
        if pings:  # an edit notifies nobody
            message.pinged = pinged

    def _resolved(self, message: Message) -> list[Json]:
        """The components with the links of the files they show."""
        links = {file.filename: self._cdn.sign(file) for file in message.files}

        def media(one: Json) -> Json:
            name = one["url"].rpartition("/")[2].partition("?")[0]
            url = links.get(name, one["url"])
            return {"url": url, "proxy_url": url, "loading_state": 2, "placeholder": "", "width": 1, "height": 1}

        def shown(part: Json) -> Json:
            part = dict(part)
            for field in ("media", "file"):
                if field in part:
                    part[field] = media(part[field])
            if "items" in part:
                part["items"] = [{**item, "media": media(item["media"])} for item in part["items"]]
            if "components" in part:
                part["components"] = [shown(inner) for inner in part["components"]]
            if "accessory" in part:
                part["accessory"] = shown(part["accessory"])
            if part["type"] == 13:
                part |= {"name": part["file"]["url"].rpartition("/")[2].partition("?")[0], "size": 1}
            return part

        resolved = [shown(part) for part in message.components]
        for number, part in enumerate(walk(resolved), 1):
            part.setdefault("id", number)
        return resolved
