"""People at Discord's client: they type, press, upload and pick from menus, as far as the client lets them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from tests.discord.server.command_rules import ATTACHMENT, MESSAGE_MENU, SUB_COMMAND
from tests.discord.server.interactions import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL_SUBMIT, Interaction
from tests.discord.server.permissions import Permission
from tests.discord.server.server import DiscordServer
from tests.discord.server.wire import Json
from tests.discord.server.world import DM, MIB, Channel, Message, StoredFile, User, walk

_MEMBER_LIMIT = 10 * MIB


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a person sends. ``cut_at`` and ``stale``: the bot's download breaks off, or its link is over."""

    filename: str
    data: bytes
    cut_at: int | None = None
    stale: bool = False


class Person:
    """A person looking at a channel."""

    def __init__(self, server: DiscordServer, user: User, channel: Channel) -> None:
        self.server = server
        self.user = user
        self.channel = channel

    @classmethod
    def at(cls, server: DiscordServer, channel: Channel, name: str = "anna", locale: str = "en-US") -> Self:
        """A new member of the channel's guild."""
        return cls(server, server.user(name, locale, channel.guild), channel)

    def elsewhere(self, channel: Channel) -> "Person":
        """The same person, looking at another channel."""
        return Person(self.server, self.user, channel)

    def in_dms(self) -> "Person":
        """The same person, writing to the bot alone."""
        return self.elsewhere(self.server.rest.dm_with(self.user))

    @property
    def sees(self) -> list[Message]:
        """All messages here that are not for another person's eyes."""
        return [message for message in self.channel.messages if message.seen_by in (None, self.user)]

    async def slash(self, line: str, **options: str | Attachment) -> Interaction:
        """Send a command: ``slash("queue pause")``, ``slash("train", images=Attachment(...))``."""
        command, path = self._command(line)
        for name in options:
            assert name in self._options(command, path), f"/{line} has no option {name!r}"
        for name, option in self._options(command, path).items():
            assert name in options or not option.get("required"), f"/{line} needs {name!r}"
        given, files = self._given(command, path, options)
        data: Json = {"id": command["id"], "name": command["name"], "type": 1, "options": given}
        if files:
            data["resolved"] = {"attachments": files}
        return await self._act(COMMAND, data, invoked={"name": f"/{line}", "by": self.user.name})

    async def autocomplete(self, line: str, option: str, text: str, **options: str) -> list[Json]:
        """What is offered while typing ``text`` for ``option``."""
        command, path = self._command(line)
        assert self._options(command, path)[option].get("autocomplete"), f"{option} is not completed"
        given, _ = self._given(command, path, options | {option: text})
        inner = given
        for _ in path:
            inner = inner[0]["options"]
        next(one for one in inner if one["name"] == option)["focused"] = True
        data: Json = {"id": command["id"], "name": command["name"], "type": 1, "options": given}
        interaction = await self._act(AUTOCOMPLETE, data)
        await self.server.until(lambda: interaction.choices is not None)
        assert interaction.choices is not None
        return interaction.choices

    async def use(self, message: Message, menu: str) -> Interaction:
        """Right-click a message and pick an app's entry."""
        command = self.server.rest.commands.get(f"{MESSAGE_MENU}:{menu}")
        assert command is not None, f"no menu {menu!r} in {list(self.server.rest.commands)}"
        self._may_see(command)
        messages = {str(message.id): self.server.messages.as_json(message)}
        data: Json = {"id": command["id"], "name": menu, "type": MESSAGE_MENU, "target_id": str(message.id)}
        return await self._act(COMMAND, data | {"resolved": {"messages": messages}}, invoked={"name": menu})

    async def press(self, message: Message, label: str) -> Interaction:
        """Press a button under a message that this person sees."""
        assert message in self.channel.messages, f"the message is gone: {message.text!r}"
        assert message.seen_by in (None, self.user), "somebody else's private message"
        button = message.button(label)
        assert not button.get("disabled"), f"{label!r} is disabled"
        assert "custom_id" in button, f"{label!r} is a link to {button.get('url')}"
        return await self.press_id(message, button["custom_id"])

    async def press_id(self, message: Message, custom_id: str) -> Interaction:
        """Press a button as it once stood under ``message``."""
        return await self._act(COMPONENT, {"component_type": 2, "custom_id": custom_id}, source=message)

    async def submit(self, opened: Interaction, *files: Attachment, **values: str) -> Interaction:
        """Fill in the form that ``opened`` brought up: fields by their custom_id, files into the upload field."""
        assert opened.modal is not None, "no form was opened"
        fields = {part["custom_id"]: part for part in walk(opened.modal["components"]) if "custom_id" in part}
        unknown = values.keys() - fields.keys()
        assert not unknown, f"no fields {unknown} in {list(fields)}"
        stored = {str(one.id): one for one in (self._upload(file) for file in files)}
        taken = False

        def answered(field: Json) -> Json:
            nonlocal taken
            reply: Json = {"type": field["type"], "id": 1, "custom_id": field["custom_id"]}
            value = values.get(field["custom_id"])
            required = field.get("required", True)
            match field["type"]:
                case 19:
                    most = field.get("max_values", 1)
                    assert len(stored) <= most, f"{len(stored)} files, at most {most}"
                    assert stored or not required, "a file is required"
                    taken = True
                    return reply | {"values": list(stored)}
                case 3:
                    options = {option["value"]: option for option in field["options"]}
                    chosen = [value] if value else [key for key, one in options.items() if one.get("default")]
                    assert all(one in options for one in chosen), f"{chosen} is none of {list(options)}"
                    assert chosen or not required, f"{field['custom_id']} is required"
                    return reply | {"values": chosen}
                case 4:
                    text = field.get("value", "") if value is None else value
                    assert text or not required, f"{field['custom_id']} is required"
                    assert len(text) <= field.get("max_length", 4000), "the form stops the typing there"
                    return reply | {"value": text}
            raise AssertionError(f"this form has a field of type {field['type']}")

        components = []
        for part in opened.modal["components"]:
            if part["type"] == 18:
                components.append({"type": 18, "id": 1, "component": answered(part["component"])})
            elif part["type"] == 1:
                components.append({"type": 1, "id": 1, "components": [answered(part["components"][0])]})
        assert taken or not files, "the form takes no files"
        data: Json = {"custom_id": opened.modal["custom_id"], "components": components}
        if stored:
            sign = self.server.cdn.sign
            data["resolved"] = {"attachments": {key: file.as_json(sign) for key, file in stored.items()}}
        return await self._act(MODAL_SUBMIT, data, source=opened.source)

    async def send(self, text: str, *files: Attachment) -> Message:
        """An ordinary message."""
        message = Message(
            self.server.ids.new(), self.channel, self.user, text, files=[self._upload(file) for file in files]
        )
        self.channel.messages.append(message)
        return message

    async def forward(self, message: Message) -> Message:
        """Forward a message to this channel: it has nothing of its own, and a picture of what it was then."""
        made = Message(self.server.ids.new(), self.channel, self.user, forwarded=message)
        self.channel.messages.append(made)
        return made

    async def answered(self, interaction: Interaction, count: int = 1) -> Message:
        """The last of at least ``count`` replies that have come, with nothing 'thinking' any more."""
        await self.server.until(lambda: len(interaction.replies) >= count)
        return interaction.replies[-1]

    async def reads(self, interaction: Interaction, words: str) -> Message:
        """The reply that holds ``words``."""
        await self.server.until(lambda: any(words in reply.text for reply in interaction.replies))
        return next(reply for reply in interaction.replies if words in reply.text)

    async def _act(
        self, kind: int, data: Json, invoked: Json | None = None, source: Message | None = None
    ) -> Interaction:
        server = self.server
        interaction = server.interactions.begin(server.ids.new(), kind, self.user, self.channel, source)
        interaction.invoked = invoked
        guild = self.channel.guild
        payload: Json = {
            "id": str(interaction.id),
            "application_id": str(server.me.id),
            "type": kind,
            "data": data,
            "token": interaction.token,
            "version": 1,
            "channel_id": str(self.channel.id),
            "channel": self.channel.as_json()
            | {"permissions": str(int(self.channel.permissions_of(self.user))), "name": self.channel.name},
            "locale": self.user.locale,
            "app_permissions": str(int(self._app_permissions())),
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(guild.id if guild else 0)},
            "context": 0 if guild else 1,
            "attachment_size_limit": guild.upload_limit if guild else 10 * MIB,
        }
        if guild is not None:
            permissions = str(int(self.channel.permissions_of(self.user)))
            payload |= {
                "guild_id": str(guild.id),
                "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
                "guild_locale": guild.locale,
                "member": guild.member_json(self.user) | {"permissions": permissions},
            }
        else:
            payload["user"] = self.user.as_json()
        if source is not None:
            payload["message"] = server.messages.as_json(source)
        await server.gateway.dispatch("INTERACTION_CREATE", payload)
        return interaction

    def _app_permissions(self) -> Permission:
        """The bot's; where it is no member, everybody's and what every answer to a command may have."""
        guild, me = self.channel.guild, self.server.me
        if guild is None or me.id in guild.members:
            return self.channel.permissions_of(me)
        return guild.roles[guild.id].permissions | Permission.ATTACH_FILES | Permission.EMBED_LINKS

    def _command(self, line: str) -> tuple[Json, list[str]]:
        name, *path = line.split()
        command = self.server.rest.commands.get(f"1:{name}")
        assert command is not None, f"no command /{name}; there are {list(self.server.rest.commands)}"
        self._may_see(command)
        return command, path

    def _may_see(self, command: Json) -> None:
        contexts = command.get("contexts")
        context = 1 if self.channel.type == DM else 0
        assert contexts is None or context in contexts, f"{command['name']} is not offered here"
        wanted = command.get("default_member_permissions")
        allowed = self.channel.permissions_of(self.user)
        if self.channel.guild is not None and wanted is not None:
            assert allowed & Permission(int(wanted)) == int(wanted), (
                f"/{command['name']} is hidden from {self.user.name}"
            )
        assert allowed & Permission.USE_APPLICATION_COMMANDS, "no commands here"

    def sees_command(self, name: str) -> bool:
        """Does the client offer it here?"""
        try:
            self._command(name)
        except AssertionError:
            return False
        return True

    def _options(self, command: Json, path: list[str]) -> dict[str, Json]:
        options: list[Json] = command.get("options") or []
        for step in path:
            inner = next((one for one in options if one["name"] == step and one["type"] <= 2), None)
            assert inner is not None, f"/{command['name']} has no {step!r}"
            options = inner.get("options") or []
        assert not options or options[0]["type"] > 2, f"/{command['name']} needs a subcommand"
        return {option["name"]: option for option in options}

    def _given(self, command: Json, path: list[str], options: Mapping[str, object]) -> tuple[list[Json], Json]:
        known = self._options(command, path)
        given: list[Json] = []
        files: Json = {}
        for name, value in options.items():
            option = known[name]
            if isinstance(value, Attachment):
                assert option["type"] == ATTACHMENT, f"{name} takes no file"
                stored = self._upload(value)
                files[str(stored.id)] = stored.as_json(self.server.cdn.sign)
                given.append({"name": name, "type": ATTACHMENT, "value": str(stored.id)})
                continue
            choices = option.get("choices")
            assert not choices or value in [one["value"] for one in choices], f"{name}: {value!r} is not offered"
            given.append({"name": name, "type": option["type"], "value": value})
        for step in reversed(path):
            given = [{"name": step, "type": SUB_COMMAND, "options": given}]
        return given, files

    def _upload(self, file: Attachment) -> StoredFile:
        assert len(file.data) <= _MEMBER_LIMIT, "the client does not send files that large"
        stored = self.server.messages.keep_file(self.channel, file.filename, file.data)
        stored.cut_at, stored.stale = file.cut_at, file.stale
        return stored
