"""The chart of a comparison on a table: how far from the optimum controllers are after so many trials or epochs."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from nas.benchmarking.results import Array, BenchResult, ControllerResult
from nas.errors import InvalidInputError
from nas.report.figures import new_figure
from nas.report.formatting import printable
from nas.report.theme import colour

SIZE = (720.0, 440.0)
FONT_SIZE = 11.5
ROLES = ("conv", "best", "sep", "dil", "pool", "identity", "bad", "ink")
DASHES = ("-", "--", ":")  # the next one when the colours are used up
Z_95 = 1.96
FLOOR = 1 / 20  # of the mean: where the band ends that would go below 0, which the axis does not have


def draw_regret(result: BenchResult, *, metric: str, of_front: bool = False) -> Figure:
    """Draw the mean regret over trials, or epochs, on logarithmic axes, with the 95 % confidence band of each mean.

    A line ends where every run has found the optimum: there is no 0 on the axis.

    Args:
        result: the comparison.
        metric: what was searched by, for the axis.
        of_front: draw the share of the hypervolume that is still missing instead; the comparison has costs.
    """
    what = "Missing share of the hypervolume" if of_front else f"Regret of {metric}"
    figure = new_figure(*SIZE, label=f"Mean of: {what}, for {', '.join(result.controllers)}.")
    axes = figure.add_axes((0.09, 0.13, 0.88, 0.84), facecolor="none")
    curves = {name: _distances(found, of_front=of_front) for name, found in result.controllers.items()}
    for i, (name, distances) in enumerate(curves.items()):
        role, dash = ROLES[i % len(ROLES)], DASHES[i // len(ROLES) % len(DASHES)]
        seeds = len(distances)
        mean = distances.mean(axis=0)
        mean = np.where(mean > 0, mean, np.nan)
        error = Z_95 * distances.std(axis=0, ddof=min(1, seeds - 1)) / seeds**0.5
        xs = result.controllers[name].steps
        low = np.maximum(mean - error, FLOOR * mean)
        axes.fill_between(xs, low, mean + error, color=colour(role), alpha=0.15, linewidth=0)
        axes.plot(xs, mean, dash, color=colour(role), linewidth=1.8, label=printable(name))
    axes.set_xscale("log")
    ends = [found.steps[[0, -1]] for found in result.controllers.values()]
    axes.set_xlim(0.9 * min(first for first, _ in ends), 1.1 * max(last for _, last in ends))
    if any((distances.mean(axis=0) > 0).any() for distances in curves.values()):
        axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    counted_epochs = any(found.max_epochs is not None for found in result.controllers.values())
    axes.set_xlabel("Epochs" if counted_epochs else "Trials", fontsize=FONT_SIZE, color=colour("ink"))
    axes.set_ylabel(printable(what), fontsize=FONT_SIZE, color=colour("ink"))
    axes.tick_params(which="both", colors=colour("muted"), labelsize=FONT_SIZE - 1)
    axes.grid(color=colour("line"), linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=FONT_SIZE, labelcolor=colour("ink"), loc="lower left")
    return figure


def _distances(found: ControllerResult, *, of_front: bool) -> Array:
    if not of_front:
        return found.regret
    if found.hypervolume is None:
        raise InvalidInputError("a chart of hypervolumes needs a comparison with costs, got one without: add costs.")
    return 1 - found.hypervolume
