"""Interactions: what people do, and how soon and how often a bot may answer."""

import asyncio
import secrets
from dataclasses import dataclass, field

from tests.discord.server.messages import Messages, Sent
from tests.discord.server.rules import check_choices, check_modal
from tests.discord.server.wire import (
    ALREADY_ACKNOWLEDGED,
    INVALID_WEBHOOK_TOKEN,
    UNKNOWN_INTERACTION,
    UNKNOWN_WEBHOOK,
    Clock,
    Json,
    check,
    malformed,
)
from tests.discord.server.world import EPHEMERAL, LOADING, Channel, Message, User

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
REPLY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
_ALLOWED = {
    COMMAND: {REPLY, DEFER, MODAL},
    COMPONENT: {REPLY, DEFER, DEFER_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {REPLY, DEFER, DEFER_UPDATE, UPDATE},
}
ACKNOWLEDGE_S = 3.0
TOKEN_S = 15 * 60.0


@dataclass(eq=False)
class Interaction:
    """One thing a person did, and all that was answered. ``took_s``: until it was acknowledged, in seconds."""

    id: int
    kind: int
    user: User
    channel: Channel
    token: str
    begun: float
    invoked: Json | None = None
    source: Message | None = None
    answer: int | None = None
    took_s: float | None = None
    response: Message | None = None
    followups: list[Message] = field(default_factory=list)
    modal: Json | None = None
    choices: list[Json] | None = None

    @property
    def replies(self) -> list[Message]:
        """What the person got to read, without what is still 'thinking'."""
        own = [self.response] if self.response is not None else []
        return [message for message in (*own, *self.followups) if not message.loading and not message.deleted]


class Interactions:
    """All interactions of one bot."""

    def __init__(self, clock: Clock, messages: Messages, me: User) -> None:
        self._clock = clock
        self._messages = messages
        self._me = me
        self.all: dict[int, Interaction] = {}
        self._by_token: dict[str, Interaction] = {}

    def begin(self, number: int, kind: int, user: User, channel: Channel, source: Message | None) -> Interaction:
        made = Interaction(number, kind, user, channel, secrets.token_urlsafe(48), self._clock.now(), source=source)
        self.all[made.id] = made
        self._by_token[made.token] = made
        return made

    def callback(self, number: int, token: str, sent: Sent) -> Json:
        """``POST /interactions/ID/TOKEN/callback``."""
        interaction = self.all.get(number)
        if interaction is None or interaction.token != token:
            raise UNKNOWN_INTERACTION
        took = self._clock.now() - interaction.begun
        if interaction.answer is not None:
            raise ALREADY_ACKNOWLEDGED
        if took > ACKNOWLEDGE_S:
            raise UNKNOWN_INTERACTION
        kind, data = sent.payload["type"], sent.payload.get("data") or {}
        if kind not in _ALLOWED[interaction.kind]:
            raise malformed(f"type: {kind} is no answer to an interaction of type {interaction.kind}")
        self._answer(interaction, kind, Sent(data, sent.files))
        interaction.answer, interaction.took_s = kind, took
        resource: Json = {"type": kind}
        if kind in (REPLY, DEFER, UPDATE) and interaction.response is not None:
            resource["message"] = self._messages.as_json(interaction.response)
        response = interaction.response
        return {
            "interaction": {
                "id": str(interaction.id),
                "type": interaction.kind,
                "response_message_id": str(response.id) if response else None,
                "response_message_loading": bool(response and response.loading),
                "response_message_ephemeral": bool(response and response.flags & EPHEMERAL),
            },
            "resource": resource,
        }

    def _answer(self, interaction: Interaction, kind: int, sent: Sent) -> None:
        match kind:
            case 4:
                interaction.response = self._create(interaction, sent)
            case 5:
                flags = int(sent.payload.get("flags") or 0) & EPHEMERAL
                interaction.response = self._create(interaction, Sent({"flags": flags}, {}), LOADING)
            case 6 | 7:
                check(interaction.source is not None, "type: there is no message to update")
                interaction.response = interaction.source
                if kind == UPDATE and interaction.source is not None:
                    self._messages.edit(interaction.source, sent)
            case 8:
                choices = sent.payload.get("choices") or []
                check_choices(choices)
                interaction.choices = choices
            case 9:
                check_modal(sent.payload)
                interaction.modal = sent.payload

    def follow_up(self, token: str, sent: Sent) -> Message:
        """``POST /webhooks/APP/TOKEN``: fills a deferred answer, else a message of its own."""
        interaction = self._answered(token)
        if interaction.response is not None and interaction.response.loading:
            return self._messages.edit(interaction.response, sent)
        message = self._create(interaction, sent)
        interaction.followups.append(message)
        return message

    def edit(self, token: str, which: str, sent: Sent) -> Message:
        """``PATCH /webhooks/APP/TOKEN/messages/WHICH``."""
        return self._messages.edit(self.find(token, which), sent)

    def find(self, token: str, which: str) -> Message:
        interaction = self._answered(token)
        if which == "@original":
            if interaction.response is None or interaction.response.deleted:
                raise UNKNOWN_WEBHOOK
            return interaction.response
        for message in interaction.followups:
            if str(message.id) == which and not message.deleted:
                return message
        raise UNKNOWN_WEBHOOK

    def _answered(self, token: str) -> Interaction:
        interaction = self._by_token.get(token)
        if interaction is None:
            raise UNKNOWN_WEBHOOK
        if self._clock.now() - interaction.begun > TOKEN_S:
            raise INVALID_WEBHOOK_TOKEN
        if interaction.answer is None:
            raise UNKNOWN_WEBHOOK
        return interaction

    def _create(self, interaction: Interaction, sent: Sent, extra_flags: int = 0) -> Message:
        private = int(sent.payload.get("flags") or 0) & EPHEMERAL
        return self._messages.create(
            interaction.channel,
            self._me,
            sent,
            seen_by=interaction.user if private else None,
            invoked=interaction.invoked,
            extra_flags=extra_flags,
        )


class Watch:
    """Lets tests wait for what comes of a request."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()

    async def tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    @property
    def condition(self) -> asyncio.Condition:
        return self._changed
