"""Lines over the epochs of a training: losses, accuracies, the learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from nas.report.chart_axes import FONT_SIZE, HALF, log_ticks, make_axes
from nas.report.theme import colour

ROLES = ("accent", "best", "sep", "dil", "pool", "identity")
LOG_FROM = 30.0  # largest over smallest value from which a logarithmic axis shows more
MOST_DOTS = 40  # points up to which each is marked


def draw_curves(
    curves: Mapping[str, Sequence[float | None]],
    *,
    label: str,
    y_label: str,
    ceiling: float = math.inf,
    size: tuple[float, float] = HALF,
) -> Figure | None:
    """Draw a line a quantity over epochs, which count from 1; the first one is the page's accent colour.

    Args:
        curves: name of each line -> a value an epoch; None where there is none, which leaves a gap.
        label: what the chart shows, for those who cannot see it.
        y_label: what the values are, with their unit.
        ceiling: no tick is written above it.
        size: width and height in pixels.

    Returns:
        The chart, or None where no line has a value.
    """
    values = [value for line in curves.values() for value in line if value is not None]
    if not values:
        return None
    last = max(len(line) for line in curves.values())
    figure, axes = make_axes(size, label=label, x_label="Epoch", y_label=y_label)
    _scale(axes, values, ceiling=ceiling)
    axes.set_xlim(0.5 - 0.02 * last, last + 0.5 + 0.02 * last)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    for role, line in zip(ROLES, curves.values(), strict=False):
        xs = [i for i, value in enumerate(line, start=1) if value is not None]
        ys = [value for value in line if value is not None]
        axes.plot(xs, ys, color=colour(role), linewidth=1.8, zorder=3, clip_on=False)
        if len(xs) <= MOST_DOTS:
            axes.plot(xs, ys, "o", color=colour(role), markersize=4, markeredgewidth=0, zorder=4, clip_on=False)
    return figure


def mark_point(figure: Figure, *, x: float, y: float, words: str) -> None:
    """Ring a point of a chart from `draw_curves` and write beside it what it is."""
    axes = figure.axes[0]
    ring = axes.plot([x], [y], "o", color=colour("best"), markersize=11, markeredgewidth=2, zorder=5)
    ring[0].set(markerfacecolor="none", clip_on=False)
    across = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[0]
    side = "left" if across < 0.25 else "right" if across > 0.75 else "center"
    axes.annotate(
        words,
        (x, y),
        xytext=({"left": -6, "right": 6, "center": 0}[side], 11),
        textcoords="offset points",
        ha=side,
        va="bottom",
        color=colour("best"),
        size=FONT_SIZE,
        weight="bold",
        parse_math=False,
        annotation_clip=False,
    )


def _scale(axes: Axes, values: Sequence[float], *, ceiling: float) -> None:
    low, high = min(values), max(values)
    if low > 0 and high / low >= LOG_FROM:
        axes.set_yscale("log")
        axes.set_ylim(low / (high / low) ** 0.08, high * (high / low) ** 0.16)
        axes.yaxis.set_major_locator(FixedLocator(log_ticks(*axes.get_ylim())))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        span = (high - low) or abs(high) * 0.05 or 1.0
        axes.set_ylim(low - 0.08 * span, high + 0.16 * span)
        ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(*axes.get_ylim())
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low - span <= tick <= ceiling]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
