"""The chart of a comparison on a table: how far from the optimum controllers are after so many trials."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from nas.benchmarking import BenchResult
from nas.report.figures import new_figure
from nas.report.formatting import printable
from nas.report.theme import colour

SIZE = (720.0, 440.0)
FONT_SIZE = 11.5
ROLES = ("conv", "best", "sep", "dil", "pool", "identity", "bad", "ink")
DASHES = ("-", "--", ":")  # the next one when the colours are used up
Z_95 = 1.96
FLOOR = 1 / 20  # of the mean: where the band ends that would go below 0, which the axis does not have


def draw_regret(result: BenchResult, *, metric: str) -> Figure:
    """Draw the mean regret over trials on logarithmic axes, each with the 95 % confidence band of its mean.

    A line ends where every run has found the optimum: there is no 0 on the axis.

    Args:
        result: the comparison.
        metric: what was searched by, for the axis.
    """
    figure = new_figure(*SIZE, label=f"Mean regret of {metric} over trials: {', '.join(result.controllers)}.")
    axes = figure.add_axes((0.09, 0.13, 0.88, 0.84), facecolor="none")
    for i, (name, controller) in enumerate(result.controllers.items()):
        role, dash = ROLES[i % len(ROLES)], DASHES[i // len(ROLES) % len(DASHES)]
        seeds, trials = controller.regret.shape
        mean = controller.regret.mean(axis=0)
        mean = np.where(mean > 0, mean, np.nan)
        error = Z_95 * controller.regret.std(axis=0, ddof=min(1, seeds - 1)) / seeds**0.5
        xs = np.arange(1, trials + 1)
        low = np.maximum(mean - error, FLOOR * mean)
        axes.fill_between(xs, low, mean + error, color=colour(role), alpha=0.15, linewidth=0)
        axes.plot(xs, mean, dash, color=colour(role), linewidth=1.8, label=printable(name))
    axes.set_xscale("log")
    axes.set_xlim(0.9, 1.1 * max(controller.regret.shape[1] for controller in result.controllers.values()))
    if any((controller.regret.mean(axis=0) > 0).any() for controller in result.controllers.values()):
        axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Trials", fontsize=FONT_SIZE, color=colour("ink"))
    axes.set_ylabel(printable(f"Regret of {metric}"), fontsize=FONT_SIZE, color=colour("ink"))
    axes.tick_params(which="both", colors=colour("muted"), labelsize=FONT_SIZE - 1)
    axes.grid(color=colour("line"), linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=FONT_SIZE, labelcolor=colour("ink"), loc="lower left")
    return figure
