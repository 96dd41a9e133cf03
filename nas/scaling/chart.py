"""The chart of an ablation: accuracy over MACs when one dimension grows, and when all do (Tan 2019, figure 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from nas.report.figures import new_figure
from nas.report.formatting import printable
from nas.report.theme import colour
from nas.scaling.grid import TrainedPoint

SIZE, NARROW = (720.0, 440.0), (390.0, 330.0)  # the second one for phones
FONT_SIZE = 11.5
ROLES = {"depth": "conv", "width": "sep", "resolution": "dil", "compound": "best", "fast": "pool"}
LABELS = {
    "depth": "depth only",
    "width": "width only",
    "resolution": "resolution only",
    "compound": "compound",
    "fast": "fast compound",
}


def draw_ablation(points: Sequence[TrainedPoint], *, narrow: bool = False) -> Figure:
    """Draw mean validation accuracy over MACs, a line a law from the base on; bars are one standard deviation.

    Args:
        points: that were trained.
        narrow: whether the figure is for a phone.
    """
    laws = {name: [p for p in points if p.point.law in ("base", name) and p.accuracy] for name in ROLES}
    laws = {name: found for name, found in laws.items() if any(point.point.law == name for point in found)}
    label = f"Validation accuracy over multiply-accumulates for {', '.join(laws)} scaling."
    figure = new_figure(*(NARROW if narrow else SIZE), label=label)
    axes = figure.add_axes((0.14, 0.16, 0.83, 0.81) if narrow else (0.1, 0.13, 0.87, 0.84), facecolor="none")
    for name, found in laws.items():
        found = sorted(found, key=lambda point: point.cost.macs)
        accuracies = [point.accuracy for point in found if point.accuracy]
        axes.errorbar(
            [point.cost.macs for point in found],
            [100 * accuracy.mean for accuracy in accuracies],
            yerr=[100 * accuracy.std for accuracy in accuracies],
            color=colour(ROLES[name]),
            marker="o",
            markersize=5,
            linewidth=1.8,
            capsize=3,
            label=printable(LABELS[name]),
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_ticks([point.cost.macs for point in points])))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:.3g}"))
    axes.set_xlabel("Millions of multiply-accumulates", fontsize=FONT_SIZE, color=colour("ink"))
    axes.set_ylabel("Validation accuracy, %", fontsize=FONT_SIZE, color=colour("ink"))
    axes.tick_params(which="both", colors=colour("muted"), labelsize=FONT_SIZE - 1)
    axes.grid(color=colour("line"), linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=FONT_SIZE, labelcolor=colour("ink"), loc="best")
    return figure


def _ticks(macs: Sequence[int]) -> list[float]:
    """Return the base's MACs and its doublings, which steps of phi come near."""
    smallest = min(macs)
    return [smallest * 2.0**i for i in range(math.ceil(math.log2(max(macs) / smallest)) + 1)]
