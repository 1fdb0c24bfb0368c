"""The methods of the Bot API that ask and set up: who am I, updates, files, members, command menus, webhooks."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.telegram.server.methods import Attached
from tests.telegram.server.refusal import Refusal, bad_request, forbidden
from tests.telegram.server.state import State

_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SCOPES = {"default", "all_private_chats", "all_group_chats", "all_chat_administrators"}
_LANGUAGE = re.compile(r"[a-z]{2}|")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_MOST_COMMANDS = 100
_MOST_UPDATES = 100


class Asking:
    """getMe and its relatives. ``folder`` is where a server in ``--local`` mode keeps its files.

    Where it doesn't exist it is on another machine, and a web server hands them out.
    """

    def __init__(self, state: State, folder: Path | None) -> None:
        self._state = state
        self._folder = folder

    def get_me(self, _: Mapping[str, Any], __: Mapping[str, Attached]) -> object:
        reads_all = any(chat.kind != "private" and not chat.privacy for chat in self._state.chats.values())
        return self._state.bot.to_json() | {"can_join_groups": True, "can_read_all_group_messages": reads_all}

    async def get_updates(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        state = self._state
        if state.webhook is not None:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first")
        state.polls += 1  # the newer one wins, and one that waits is thrown out
        mine = state.polls
        state.tell()
        offset = int(given.get("offset") or 0)
        while state.updates and state.updates[0]["update_id"] < offset:
            state.updates.popleft()
        try:
            async with asyncio.timeout(min(50.0, float(given.get("timeout") or 0))), state.changed:
                await state.changed.wait_for(lambda: bool(state.updates) or state.polls != mine)
        except TimeoutError:
            pass
        finally:
            thrown_out = state.polls != mine
            if not thrown_out:
                state.polls = 0
        if thrown_out:
            raise Refusal(
                409,
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                fault=False,
            )
        most = min(_MOST_UPDATES, int(given.get("limit") or _MOST_UPDATES))
        wanted = given.get("allowed_updates")
        allowed = json.loads(wanted) if isinstance(wanted, str) else wanted
        if allowed:
            kept = [update for update in state.updates if set(update) & set(allowed)]
            state.updates.clear()
            state.updates.extend(kept)
        return list(state.updates)[:most]

    def set_webhook(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        url = str(given.get("url", ""))
        if url and not url.startswith("https://"):
            raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
        secret = str(given.get("secret_token", ""))
        if secret and not _SECRET.fullmatch(secret):
            raise bad_request("secret token contains unallowed characters")
        self._state.webhook = {"url": url, "secret": secret} if url else None
        self._state.tell()
        return True

    def delete_webhook(self, _: Mapping[str, Any], __: Mapping[str, Attached]) -> object:
        self._state.webhook = None
        return True

    def get_webhook_info(self, _: Mapping[str, Any], __: Mapping[str, Attached]) -> object:
        url = self._state.webhook["url"] if self._state.webhook else ""
        waiting = len(self._state.updates)
        return {"url": url, "has_custom_certificate": False, "pending_update_count": waiting}

    def set_my_commands(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        commands = _read(given.get("commands"))
        if not isinstance(commands, list) or len(commands) > _MOST_COMMANDS:
            raise bad_request("too many commands, or none")
        for command in commands:
            if not _COMMAND.fullmatch(str(command["command"])):
                raise bad_request(f"BOT_COMMAND_INVALID: {command['command']!r}")
            if not 1 <= len(str(command["description"])) <= 256:
                raise bad_request(f"BOT_COMMAND_DESCRIPTION_INVALID: {command['description']!r}")
        self._state.commands[self._scope(given)] = commands
        self._state.tell()
        return True

    def delete_my_commands(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        self._state.commands.pop(self._scope(given), None)
        return True

    def get_my_commands(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        return self._state.commands.get(self._scope(given), [])

    def get_chat(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        return self._group(given).to_json() | {"accent_color_id": 1, "max_reaction_count": 11}

    def get_chat_member(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        return self._member(self._group(given), int(given["user_id"]))

    def get_chat_administrators(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        chat = self._group(given)
        if chat.kind == "private":
            raise bad_request("there are no administrators in the private chat")
        return [self._member(chat, user) for user, status in chat.members.items() if status != "member"]

    def get_file(self, given: Mapping[str, Any], _: Mapping[str, Attached]) -> object:
        state = self._state
        file = state.files.get(str(given.get("file_id")).removesuffix("-s"))
        if file is None:
            raise bad_request("wrong file_id or the file is temporarily unavailable")
        if file.size > state.limits.download:
            raise bad_request("file is too big", fault=False)  # asking is how one learns it
        about = {"file_id": file.id, "file_unique_id": file.unique_id, "file_size": file.size}
        path_name = f"{file.kind}s/file_{state.next_number()}{Path(file.name).suffix}"
        if self._folder is None or not self._folder.exists():
            state.paths[path_name] = (file.id, state.clock.now() + state.limits.file_link_s)
        if self._folder is None:
            return about | {"file_path": path_name}
        path = self._folder / state.token / path_name
        if self._folder.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
        return about | {"file_path": str(path)}

    def _group(self, given: Mapping[str, Any]) -> Any:
        chat = self._state.chats.get(int(given["chat_id"]))
        if chat is None:
            raise bad_request("chat not found", fault=False)
        if chat.closed is not None:
            raise forbidden(chat.closed)
        return chat

    def _member(self, chat: Any, user: int) -> dict[str, Any]:
        status = chat.members.get(user)
        if status is None:
            raise bad_request("user not found", fault=False)
        member = self._state.bot if user == self._state.bot.id else self._state.people[user]
        shown: dict[str, Any] = {"user": member.to_json(), "status": status}
        if status == "creator":
            shown["is_anonymous"] = False
        if status == "administrator":
            rights = (
                "can_be_edited is_anonymous can_manage_chat can_delete_messages can_manage_video_chats "
                "can_restrict_members can_promote_members can_change_info can_invite_users can_post_stories "
                "can_edit_stories can_delete_stories"
            )
            shown |= dict.fromkeys(rights.split(), False)
        return shown

    def _scope(self, given: Mapping[str, Any]) -> tuple[str, str]:
        scope = _read(given.get("scope")) or {"type": "default"}
        language = str(given.get("language_code") or "")
        if scope["type"] not in _SCOPES or not _LANGUAGE.fullmatch(language):
            raise bad_request(f"wrong scope or language: {scope} {language!r}")
        return str(scope["type"]), language


def _read(given: object) -> Any:
    return json.loads(given) if isinstance(given, str) else given
