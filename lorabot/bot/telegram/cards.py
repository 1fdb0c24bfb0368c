"""The one message that shows a job: text while it waits, the loss picture with a bar as soon as there is a curve."""

import time

from telegram import InputMediaPhoto
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated

from lorabot.bot.card import Card
from lorabot.bot.front_end import TryLater
from lorabot.bot.picture import loss_picture
from lorabot.bot.telegram import failing
from lorabot.bot.telegram.failing import understood
from lorabot.bot.telegram.formatting import MOST_CAPTION, bar, bold, html_of, shortened
from lorabot.bot.telegram.keyboard import keyboard_of
from lorabot.bot.telegram.pace import Urgency
from lorabot.bot.telegram.places import Place
from lorabot.bot.telegram.timing import Timing
from lorabot.bot.telegram.voice import Shown, Voice, digest_of

_CURVE = 2
_FORGET_S = 3600.0


class Cards:
    """Shows cards, and remembers when it did so last."""

    def __init__(self, voice: Voice, timing: Timing) -> None:
        self._voice = voice
        self._timing = timing
        self._shown_at: dict[str, float] = {}
        self._drawn_at: dict[str, float] = {}

    async def show(self, place: Place, card: Card, ref: str | None) -> str:
        """Show ``card`` and return the reference. Raises as ``FrontEnd.show_card``."""
        shown = Shown.parse(ref)
        if shown is not None and not card.final:
            self._refuse_haste(place, card.job)
        urgency: Urgency = "progress" if shown is not None and not card.final else "delivery"
        html = html_of_card(card)
        shown = await self._change(place, shown, card, html, urgency) if shown is not None else None
        if shown is None:
            shown = await self._send(place, card, html)
        self._note(card.job)
        return str(shown)

    def _refuse_haste(self, place: Place, job: str) -> None:
        """A group's allowance is for all of its jobs together."""
        wait = self._shown_at.get(job, float("-inf")) + self._timing.group_edit_s - time.monotonic()
        if place.group and wait > 0:
            raise TryLater(wait)

    async def _send(self, place: Place, card: Card, html: str) -> Shown:
        markup = keyboard_of(card.buttons)
        message = await self._voice.send_html(place, html, markup, urgency="delivery", silent=True)
        return Shown(message.message_id, digest_of(html, markup))

    async def _change(self, place: Place, shown: Shown, card: Card, html: str, urgency: Urgency) -> Shown | None:
        """None where the message is gone, and a new one is needed."""
        markup = keyboard_of(card.buttons)
        curve = digest_of(card.loss, card.validation, card.total_steps)
        drawn_at = self._drawn_at.get(card.job, float("-inf"))
        old = card.final or time.monotonic() - drawn_at >= self._timing.picture_s
        draw = old and len(card.loss) >= _CURVE and curve != shown.picture
        if not draw and not shown.picture:
            return await self._voice.change_html(place, shown, html, markup, urgency=urgency)
        wanted = Shown(shown.message, digest_of(html, markup), curve if draw else shown.picture)
        if wanted == shown:
            return shown
        with understood():
            there = await self._voice.now(place)
            try:
                if draw:
                    media = InputMediaPhoto(
                        await loss_picture(card), html, parse_mode=ParseMode.HTML, filename="loss.png"
                    )
                    await self._voice.client.edit_message_media(
                        media, there.chat, shown.message, reply_markup=markup, rate_limit_args=urgency
                    )
                    self._drawn_at[card.job] = time.monotonic()
                else:
                    await self._voice.client.edit_message_caption(
                        there.chat,
                        shown.message,
                        caption=html,
                        parse_mode=ParseMode.HTML,
                        reply_markup=markup,
                        rate_limit_args=urgency,
                    )
            except ChatMigrated as error:
                await self._voice.moved(place, error.new_chat_id)
                return None
            except BadRequest as error:
                if failing.message_gone(error):
                    return None
                if failing.no_rights(error) and not shown.picture:
                    return await self._voice.change_html(place, shown, html, markup, urgency=urgency)
                if not failing.unchanged(error):
                    raise
        return wanted

    def _note(self, job: str) -> None:
        now = time.monotonic()
        self._shown_at[job] = now
        for known, at in list(self._shown_at.items()):
            if now - at > _FORGET_S:
                del self._shown_at[known]
                self._drawn_at.pop(known, None)


def html_of_card(card: Card) -> str:
    """The card's words, as HTML of at most a caption's length."""
    head = f"{bold(card.name)} · {html_of(card.title)}"
    lines = [card.status_text]
    if card.percent is not None and (card.stage_text or card.step):
        lines.append(f"{bar(card.percent)} {card.percent:.0f} %")
    if card.total_steps:
        steps = f"{card.step} / {card.total_steps}"
        lines.append(" · ".join(part for part in (steps, card.rate_text, card.eta_text) if part))
    if card.note:
        lines.append(card.note)
    body = shortened("\n".join(lines), MOST_CAPTION - len(card.name) - len(card.title) - 10)
    return f"{head}\n{html_of(body)}"
