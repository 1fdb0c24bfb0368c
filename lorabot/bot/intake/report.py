"""Says in words what was found in what a person sent."""

from collections.abc import Sequence

from lorabot.bot.intake.looking import LeftOut
from lorabot.bot.intake.service import Intaken
from lorabot.locale import Message, Translator

_MOST_NAMES = 5
_MOST_REASONS = 8


def found_text(intaken: Sequence[Intaken], draft: int, settled: bool, text: Translator) -> str:
    """What was found in files that came together; ``draft`` is how many images there are now in all."""
    looked_at = sum(one.looked_at for one in intaken)
    candidates = sum(max(one.candidates, one.looked_at) for one in intaken)
    if not settled:
        if candidates > 1:
            return text("intake-looking", done=looked_at, total=candidates)
        return text("intake-looking-first")
    good = sum(len(one.images) for one in intaken)
    left_out = [left for one in intaken for left in one.left_out]
    lines = [text("intake-found", count=good) if good else _nothing(left_out, text)]
    lines += left_out_lines(left_out, text)
    captions = sum(image.caption is not None for one in intaken for image in one.images)
    if captions:
        lines.append(text("intake-captions", count=captions))
    passed_over = sum(one.passed_over for one in intaken)
    if passed_over:
        lines.append(text("intake-passed-over", count=passed_over))
    if draft > good:
        lines.append(text("intake-draft" if good else "intake-draft-same", count=draft))
    return "\n".join(lines)


def left_out_lines(left_out: Sequence[LeftOut], text: Translator) -> list[str]:
    """Who was left out and why, the same reason said once: names for the first ones, a number for the rest."""
    by_reason: dict[str, list[LeftOut]] = {}
    for left in left_out:
        by_reason.setdefault(_reason(left, 1, text), []).append(left)
    lines = []
    for alike in list(by_reason.values())[:_MOST_REASONS]:
        # They were looked at side by side, so in whichever order that ended.
        shown = ", ".join(f"`{name}`" for name in sorted(left.name for left in alike)[:_MOST_NAMES])
        more, reason = len(alike) - _MOST_NAMES, _reason(alike[0], len(alike), text)
        lines.append(
            text("intake-left-out-more", names=shown, more=more, reason=reason)
            if more > 0
            else text("intake-left-out", names=shown, reason=reason)
        )
    rest = sum(len(alike) for alike in list(by_reason.values())[_MOST_REASONS:])
    if rest:
        lines.append(text("intake-left-out-rest", count=rest))
    return lines


def _nothing(left_out: Sequence[LeftOut], text: Translator) -> str:
    """Nothing at all, or only what had been sent before."""
    known = bool(left_out) and all(left.reason.code == "intake-duplicate" for left in left_out)
    return text("intake-found-none-new" if known else "intake-found-none")


def _reason(left: LeftOut, files: int, text: Translator) -> str:
    """The reason of ``left`` as it is said of so many ``files``."""
    return text.text(Message(left.reason.code, {**left.reason.params, "files": files}))
