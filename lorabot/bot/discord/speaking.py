"""Gives an interaction its answer, by whichever way is still open: in place, beside, with a number, in private."""

import logging
import secrets

import aiohttp
import discord

from lorabot.bot.discord import limits
from lorabot.bot.discord.files import opened
from lorabot.bot.discord.message import RED, Out, layout_of
from lorabot.bot.discord.place import Place, owner_of
from lorabot.bot.intake.service import unexpected
from lorabot.locale import Translator
from lorabot.queue.blobs import Blobs
from lorabot.queue.model import Address

_NOBODY = discord.AllowedMentions.none()
_TOO_LATE = frozenset((limits.TOKEN_OVER, limits.UNKNOWN_WEBHOOK, limits.UNKNOWN_MESSAGE))
_log = logging.getLogger(__name__)

Interaction = discord.Interaction[discord.Client]


async def acknowledged(interaction: Interaction, in_place: bool) -> bool:
    """Tell Discord at once that we heard: nothing else may come before this. False where it was too late."""
    try:
        if in_place:
            await interaction.response.defer()
        else:
            await interaction.response.defer(ephemeral=True, thinking=True)
    except discord.HTTPException as error:
        _log.warning("interaction heard too late, or twice: %s", error)
        return False
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        _log.warning("interaction not acknowledged: %s", error)
        return False
    return True


async def answer(
    interaction: Interaction, out: Out, blobs: Blobs, say: Translator, *, beside: bool, about: Address | None = None
) -> None:
    """Give the answer; ``beside`` leaves the message as it is that the press came from.

    ``about`` is the conversation that buttons under it go on with.
    """
    place = Place.of(interaction)
    try:
        await _send(interaction, out if place is None else out.about(about, place.address), blobs, beside)
    except discord.HTTPException as error:
        if error.code in _TOO_LATE or error.status == 401:
            await _answer_alone(interaction, out, blobs, about)
        else:
            await _answer_with_number(interaction, blobs, say, beside, error)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        _log.warning("interaction not answered: %s", error)


async def _send(interaction: Interaction, out: Out, blobs: Blobs, beside: bool) -> None:
    async with opened(out.attached, blobs) as files:
        if beside:
            await interaction.followup.send(view=layout_of(out), files=files, ephemeral=True, allowed_mentions=_NOBODY)
        else:
            await interaction.edit_original_response(view=layout_of(out), attachments=files, allowed_mentions=_NOBODY)


async def _answer_with_number(
    interaction: Interaction, blobs: Blobs, say: Translator, beside: bool, error: discord.HTTPException
) -> None:
    """Discord takes an answer of ours for malformed: nobody shall look at 'thinking' for ever over it."""
    mark = secrets.token_hex(4)
    _log.error("interaction not answered (%s): %s", mark, error)
    try:
        await _send(interaction, Out(say.text(unexpected(mark)), accent=RED), blobs, beside)
    except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as again:
        _log.error("nor is that said (%s): %s", mark, again)


async def _answer_alone(interaction: Interaction, out: Out, blobs: Blobs, about: Address | None) -> None:
    """After a quarter of an hour an interaction can't be answered any more: in private, then."""
    try:
        channel = await interaction.user.create_dm()
        view = layout_of(out.about(about, Place(None, channel.id).address))
        async with opened(out.attached, blobs) as files:
            await channel.send(view=view, files=files, allowed_mentions=_NOBODY)
    except (discord.HTTPException, discord.RateLimited) as error:
        _log.info("an answer came too late, and %s takes no messages: %s", owner_of(interaction.user), error)
