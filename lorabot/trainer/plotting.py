"""Draws the loss plot: training and validation, the learning rate, where samples were taken, what was chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lorabot.locale import Translator
from lorabot.trainer.curves import smooth, window
from lorabot.trainer.lettering import drawable, face_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

_RAW, _TRAINING, _VALIDATION, _SEEN, _RATE, _CHOSEN, _INK = (
    "#9db4d6", "#2f5fae", "#d2502d", "#2f5fae", "#9a9a9a", "#1d8a5a", "#2b2b33"
)  # fmt: skip

_MARGIN = 0.12
"""Inches around all: chats show pictures on grounds of any colour."""


@dataclass(frozen=True, slots=True)
class LossPlot:
    """What the plot shows. ``losses`` are those of steps 1, 2, ... (None: skipped); points are (steps done, loss).

    ``rates``: the learning rate of steps 1, 2, ...; ``seen`` is empty where nothing was held out, and ``validation`` is
    then measured on training images. ``samples`` are the steps after which pictures were drawn.
    """

    title: str
    losses: Sequence[float | None]
    validation: Sequence[tuple[int, float]]
    seen: Sequence[tuple[int, float]]
    rates: Sequence[float]
    samples: Sequence[int]
    chosen: int


def plot_losses(plot: LossPlot, path: Path, say: Translator) -> None:
    """Write the plot as a PNG of 1280 x 896 pixels, in the language of ``say``, to be read on a phone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=_MARGIN, h_pad=_MARGIN)
    figure = Figure(figsize=(8, 5.6), dpi=160, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lines = _draw_losses(axes, plot, say)
    _mark_samples(axes, plot, say("picture-samples"))
    rate_axes = axes.twinx()
    steps = range(1, len(plot.rates) + 1)
    rate = say("picture-rate")
    lines += rate_axes.plot(steps, plot.rates, color=_RATE, lw=1.3, ls=(0, (4, 3)), label=rate)
    rate_axes.set_ylim(0, max(plot.rates, default=1.0) * 1.6)
    rate_axes.set_ylabel(rate, font=_letters(rate, 12), color=_RATE)
    rate_axes.tick_params(colors=_RATE, labelsize=10, length=0)
    rate_axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rate_axes.yaxis.get_offset_text().set(color=_RATE, size=10)
    for side in ("top", "right", "left", "bottom"):
        rate_axes.spines[side].set_visible(False)
    axes.set_zorder(rate_axes.get_zorder() + 1)
    axes.patch.set_visible(False)
    title = drawable(plot.title)
    axes.set_title(title, font=_letters(title, 15, bold=True), color=_INK, loc="left", pad=12)
    names = _letters("".join(str(line.get_label()) for line in lines), 11)
    figure.legend(handles=lines, prop=names, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, format="png")


def _letters(text: str, size: float, *, bold: bool = False) -> "FontProperties":
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=str(face_of(text, bold=bold)), size=size)


def _draw_losses(axes: "Axes", plot: LossPlot, say: Translator) -> list["Artist"]:
    from matplotlib.ticker import MaxNLocator

    steps = list(range(1, len(plot.losses) + 1))
    raw = [(step, loss) for step, loss in zip(steps, plot.losses, strict=True) if loss is not None]
    smoothed = [
        (step, mean)
        for step, mean in zip(steps, smooth(plot.losses, window(len(steps))), strict=True)
        if mean is not None
    ]
    lines: list[Artist] = []
    if raw:
        axes.plot(*zip(*raw, strict=True), color=_RAW, lw=0.7, alpha=0.55)
        lines += axes.plot(*zip(*smoothed, strict=True), color=_TRAINING, lw=2.6, label=say("picture-training"))
    if plot.seen:
        lines += axes.plot(
            *zip(*plot.seen, strict=True),
            color=_SEEN,
            lw=1.4,
            ls=":",
            marker="o",
            ms=3.5,
            label=say("picture-seen"),
        )
    name = say("picture-held-out") if plot.seen else say("picture-validation")
    if plot.validation:
        lines += axes.plot(*zip(*plot.validation, strict=True), color=_VALIDATION, lw=2.2, marker="o", ms=5, label=name)
        found = dict(plot.validation).get(plot.chosen)
        if found is not None:
            lines += axes.plot(
                [plot.chosen], [found], ls="", marker="*", ms=19, mfc=_CHOSEN, mec="white", mew=1.3, zorder=5,
                label=say("picture-chosen", step=plot.chosen),
            )  # fmt: skip
    _limits(axes, [mean for _, mean in smoothed], [value for _, value in (*plot.validation, *plot.seen)], raw)
    axes.set_xlim(0, max(len(steps), 1) * 1.015)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    across, up = say("picture-steps"), say("picture-loss")
    axes.set_xlabel(across, font=_letters(across, 13), color=_INK)
    axes.set_ylabel(up, font=_letters(up, 13), color=_INK)
    axes.tick_params(labelsize=11, colors=_INK)
    axes.grid(axis="y", color="#e8e8ee", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c9c9d2")
    return lines


def _limits(axes: "Axes", smoothed: Sequence[float], fixed: Sequence[float], raw: Sequence[tuple[int, float]]) -> None:
    """Let the lines fill the height: single raw losses may leave the frame, the two lines never."""
    shown = [*smoothed, *fixed]
    if not shown:
        return
    ordered = sorted(loss for _, loss in raw)
    low = min(*shown, ordered[len(ordered) // 20]) if ordered else min(shown)
    high = max(*shown, ordered[-1 - len(ordered) // 20]) if ordered else max(shown)
    room = (high - low or abs(high) or 1.0) * 0.08
    axes.set_ylim(max(0.0, low - room), high + 3 * room)


def _mark_samples(axes: "Axes", plot: LossPlot, name: str) -> None:
    bottom = axes.get_ylim()[0]
    for step in plot.samples:
        axes.axvline(step, color="#b9b9c6", lw=0.8, ls=(0, (2, 3)), zorder=0)
    axes.plot(
        list(plot.samples), [bottom] * len(plot.samples), ls="", marker="^", ms=9, mfc="#6a5acd", mec="white",
        clip_on=False, zorder=6, label="_samples",
    )  # fmt: skip
    if plot.samples:
        first = (plot.samples[0], bottom)
        axes.annotate(name, first, xytext=(7, 6), textcoords="offset points", font=_letters(name, 10), color="#6a5acd")
