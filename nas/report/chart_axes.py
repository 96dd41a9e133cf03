"""Axes as all charts have them, and round numbers to write beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nas.report.figures import new_figure
from nas.report.formatting import format_count
from nas.report.theme import colour

WIDE = (1040.0, 300.0)
NARROW = (390.0, 290.0)
HALF = (440.0, 310.0)
FONT_SIZE = 11.5
MARGINS = {"left": 48.0, "right": 16.0, "top": 32.0, "bottom": 50.0}


def make_axes(size: tuple[float, float], *, label: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """Return a figure with empty axes: a few level lines, no frame, the y label above instead of turned."""
    width, height = size
    figure = new_figure(width, height, label=label)
    left, bottom = MARGINS["left"] / width, MARGINS["bottom"] / height
    right, top = 1 - MARGINS["right"] / width, 1 - MARGINS["top"] / height
    axes = figure.add_axes((left, bottom, right - left, top - bottom), facecolor="none")
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set_color(colour("dot"))
    axes.grid(axis="y", color=colour("line"), linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=colour("muted"), labelsize=FONT_SIZE, length=0, pad=6)
    axes.tick_params(axis="x", length=4, color=colour("dot"))
    axes.set_xlabel(x_label, labelpad=6, color=colour("muted"), size=FONT_SIZE, parse_math=False)
    y = 1 - 11 / height
    figure.text(4 / width, y, y_label, color=colour("muted"), size=FONT_SIZE, va="center", parse_math=False)
    return figure, axes


def short_count(value: float, *, kind: str) -> str:
    """Return a count without trailing zeros: ``2M``, ``1.5M``."""
    text = format_count(value, kind=kind)
    return f"{text[:-1].rstrip('0').rstrip('.')}{text[-1]}" if "." in text else text


def log_ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers between two positive ones, for a logarithmic axis."""
    exponents = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    steps: Iterable[Sequence[float]] = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))
    ticks: list[float] = []
    for digits in steps:
        ticks = [digit * 10.0**e for e in exponents for digit in digits if low <= digit * 10.0**e <= high]
        if len(ticks) >= 3:
            return ticks[:: math.ceil(len(ticks) / 7)]
    return [float(tick) for tick in MaxNLocator(nbins=4).tick_values(low, high) if low <= tick <= high]
