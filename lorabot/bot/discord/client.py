"""The connection to Discord: the least it may see, where it is, and which interaction goes where."""

import logging

import discord
import yarl

from lorabot.bot.config import DiscordConfig
from lorabot.bot.discord.answering import Answering
from lorabot.bot.discord.form import filled, is_form
from lorabot.bot.discord.permissions import invitation
from lorabot.bot.discord.speaking import Interaction
from lorabot.bot.discord.tree import make_tree, sync
from lorabot.bot.parts import Parts

_API = discord.http.Route.BASE
_GATEWAY = discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
_PATIENCE_S = 30.0
_GUILDS_S = 0.5
_log = logging.getLogger(__name__)


def point_to(config: DiscordConfig) -> None:
    """Speak to the server that the settings name; discord.py keeps that once for the whole process."""
    discord.http.Route.BASE = (config.api_url or _API).rstrip("/")
    gateway = yarl.URL(config.gateway_url) if config.gateway_url else _GATEWAY
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = gateway
    # We neither speak nor listen, so the parts that are missing for it are no news.
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False


def intents() -> discord.Intents:
    """Servers and their channels only: neither members nor messages are read."""
    wanted = discord.Intents.none()
    wanted.guilds = True
    return wanted


class Client(discord.Client):
    """Our bot account."""

    def __init__(self, parts: Parts, config: DiscordConfig, answering: Answering) -> None:
        super().__init__(
            intents=intents(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            allowed_mentions=discord.AllowedMentions.none(),
            max_ratelimit_timeout=_PATIENCE_S,
            guild_ready_timeout=_GUILDS_S,
        )
        self._parts = parts
        self._config = config
        self._answering = answering

    async def setup_hook(self) -> None:
        """Make the commands, and make them known where they changed. Without that, those of before still work."""
        tree = await make_tree(self, self._answering, self._parts, self._config)
        assert self.application_id is not None
        try:
            await sync(tree, self._parts, self.application_id)
        except (discord.HTTPException, discord.RateLimited, discord.app_commands.AppCommandError) as error:
            _log.error("commands not made known to Discord, the next start tries again: %s", error)

    async def on_ready(self) -> None:
        assert self.application_id is not None
        if self.guilds:
            _log.info("Discord: here as %s, in %d servers", self.user, len(self.guilds))
        else:
            link = invitation(self.application_id)
            _log.warning("Discord: here as %s, in no server yet; invite me: %s", self.user, link)

    async def on_interaction(self, interaction: Interaction) -> None:
        """Buttons and forms, by what they say themselves: they work however often the bot was started since."""
        data = interaction.data
        if data is None:
            return
        custom_id = str(data.get("custom_id", ""))
        if interaction.type is discord.InteractionType.component:
            await self._answering.press(interaction, custom_id)
        elif interaction.type is discord.InteractionType.modal_submit and is_form(custom_id):
            await self._answering.fill_in(interaction, filled(data))
