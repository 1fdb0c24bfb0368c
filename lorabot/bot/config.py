"""The bot's typed settings: web chat, Discord, Telegram, intake of files, delivery."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$", strip_whitespace=True)]
SITE = r"^https?://[^\s/?#]+/?$"
SiteUrl = Annotated[str, StringConstraints(pattern=SITE, strip_whitespace=True)]
"""The web chat's pages name each other from the root, so it needs all of a host's name and cannot be below a path."""
SocketUrl = Annotated[str, StringConstraints(pattern=r"^wss?://[^\s/?#]+[^\s?#]*$", strip_whitespace=True)]
Secret = Annotated[SecretStr, Field(min_length=1)]


def _pasted(value: object) -> object:
    """A token as people copy it, with a blank or the end of a line on it."""
    return value.strip() if isinstance(value, str) else value


Token = Annotated[Secret, BeforeValidator(_pasted)]


def _split(value: object) -> object:
    """Ids as people list them, ``1, 2``, beside the lists of lorabot.toml."""
    if not isinstance(value, str):
        return value
    words = value.replace(",", " ").split()
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ValueError("not a list of ids")
    return tuple(int(word) for word in words)


Ids = Annotated[tuple[Annotated[int, Field(gt=0)], ...], NoDecode, BeforeValidator(_split)]
"""Ids of a platform; in the environment between commas."""

Network = IPv4Network | IPv6Network


def _networks(value: object) -> object:
    """Addresses and networks as people list them, ``127.0.0.1, 10.0.0.0/8``, beside the lists of lorabot.toml."""
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str | Network) for word in words):
        raise ValueError("not a list of networks")
    return tuple(ip_network(word, strict=False) for word in words)


Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
"""Addresses of machines; in the environment between commas."""

MIB = 1024 * 1024


class WebConfig(BaseModel):
    """The web chat: a page, its uploads, its files and one WebSocket a tab."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", min_length=1, description="Address the web chat listens on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port the web chat listens on; 0 takes any free one.")
    public_url: SiteUrl | None = Field(
        default=None,
        description="Address people reach the web chat at, where it stands behind a proxy or another name.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Reverse proxies whose `X-Forwarded-For` is believed, by address or network, between commas.",
    )
    password: Secret | None = Field(
        default=None, description="Password of the web chat; required where it listens on more than this machine."
    )
    session_days: int = Field(
        default=180, ge=1, le=3650, description="Days a browser's conversation is kept open unused."
    )
    link_hours: float = Field(default=24, gt=0, le=8760, description="Hours a signed link to a file is good for.")
    update_interval_s: float = Field(
        default=0.5, ge=0, le=60, description="Least seconds between two updates of a card in the web chat."
    )
    heartbeat_s: float = Field(
        default=20, gt=0, le=300, description="Seconds between two signs of life on a page's socket."
    )
    login_attempts: int = Field(
        default=5, ge=1, le=1000, description="Wrong passwords from one address before it has to wait."
    )
    login_wait_s: float = Field(
        default=30,
        gt=0,
        le=86400,
        description="Seconds an address waits after too many wrong passwords; doubles each time.",
    )
    everybody_is_operator: bool = Field(
        default=False, description="Whether everybody on the web chat may run the queue: pause, move, cancel all jobs."
    )
    sockets_per_conversation: int = Field(default=20, ge=1, le=1000, description="Tabs one conversation may have open.")


class DiscordConfig(BaseModel):
    """The Discord front end; it starts where a token is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: Token | None = Field(default=None, description="Token of the Discord bot; none leaves Discord out.")
    api_url: HttpUrl | None = Field(default=None, description="Another server that speaks Discord's REST API.")
    gateway_url: SocketUrl | None = Field(default=None, description="Another server that speaks Discord's gateway.")
    operators: Ids = Field(
        default=(), description="Ids of the Discord users who run the queue of all servers, between commas."
    )
    moderator_roles: Ids = Field(
        default=(),
        description="Ids of the Discord roles whose members moderate, beside those who may manage server or messages.",
    )


class TelegramConfig(BaseModel):
    """The Telegram front end; it starts where a token is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: Token | None = Field(default=None, description="Token of the Telegram bot; none leaves Telegram out.")
    api_url: HttpUrl | None = Field(
        default=None, description="Another Bot API server, such as a local one without size limits."
    )
    file_url: HttpUrl | None = Field(default=None, description="Where that Bot API server hands out files.")
    operators: Ids = Field(
        default=(), description="Ids of the Telegram users who run the queue of all chats, between commas."
    )
    webhook_url: HttpUrl | None = Field(
        default=None, description="Address at which Telegram reaches this bot; none asks Telegram for news instead."
    )
    webhook_host: str = Field(
        default="127.0.0.1", min_length=1, description="Address that the webhook listens on, behind the proxy."
    )
    webhook_port: int = Field(default=8443, ge=1, le=65535, description="Port that the webhook listens on.")
    webhook_secret: Secret | None = Field(
        default=None,
        description="What Telegram's calls of the webhook must carry; none makes one up at each start.",
    )


class IntakeConfig(BaseModel):
    """What one person may send, and how far the decoder of untrusted files may go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_file_bytes: int = Field(default=512 * MIB, ge=1024, description="Largest file a person may send, in bytes.")
    max_files: int = Field(default=300, ge=1, le=10_000, description="Most images a draft holds.")
    max_zip_entries: int = Field(default=2000, ge=1, le=100_000, description="Most entries a zip may have.")
    max_unpacked_bytes: int = Field(default=2048 * MIB, ge=1024, description="Most bytes a zip may unpack to.")
    max_image_bytes: int = Field(default=64 * MIB, ge=1024, description="Largest single image, in bytes.")
    max_zip_ratio: float = Field(
        default=200,
        ge=2,
        description="Most bytes a zip may unpack to for each byte it has; photos do not shrink at all.",
    )
    max_pixels: int = Field(default=64_000_000, ge=4096, description="Most pixels of a single image.")
    min_side: int = Field(default=64, ge=8, le=1024, description="Shortest side an image may have, in pixels.")
    max_side: int = Field(default=2048, ge=256, le=8192, description="Longest side an image is kept at, in pixels.")
    decode_seconds: float = Field(
        default=20, gt=0, le=600, description="Longest time the decoder may take for one image."
    )
    decode_bytes: int = Field(
        default=1024 * MIB, ge=256 * MIB, description="Most memory the decoder of untrusted images may take, in bytes."
    )
    decoders: int = Field(
        default=2, ge=1, le=64, description="Files of all people that are looked through at the same time."
    )


class DeliveryConfig(BaseModel):
    """How a job's card and result reach the chat."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll_s: float = Field(
        default=1, gt=0, le=60, description="Seconds between two looks for news when nobody rings the bell."
    )
    retry_s: float = Field(
        default=2, gt=0, le=3600, description="Seconds until a failed delivery is tried again; doubles each time."
    )
    retry_max_s: float = Field(default=300, gt=0, le=86400, description="Longest wait between two tries of a delivery.")
