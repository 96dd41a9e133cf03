"""Guesses of a network's worth from before it is evaluated, for controllers that can use one.

The scores are raw: larger or smaller may be better, and their scale says nothing. NaN stands for no guess.
"""

from __future__ import annotations

import math

from controllers.prior import Prior
from controllers.trial import Trial
from nas.evaluators.evaluator import Evaluator, evaluate_safely
from nas.evaluators.table import Table
from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace

COUNTED = ("params", "macs")  # from shapes, in a millisecond; all other scores build the network


def score_prior(evaluator: Evaluator, space: SearchSpace, *, metric: str) -> Prior:
    """Return a prior that evaluates a network once and remembers a metric of it, told apart by the space's key.

    Args:
        evaluator: cheap; it is asked for every network that a controller considers.
        space: of the networks.
        metric: the one to return; NaN when the evaluation fails or lacks it.
    """
    known: dict[str, float] = {}

    def guess(architecture: Architecture) -> float:
        key = space.key(architecture)
        if key not in known:
            # always as trial 0, so that the guess does not depend on when it was asked for
            measured = evaluate_safely(evaluator, Trial(0, architecture))
            known[key] = measured.metrics.get(metric, math.nan) if measured.ok else math.nan
        return known[key]

    return Prior(metric, guess, costly=metric not in COUNTED)


def column_prior(table: Table, *, column: str) -> Prior:
    """Return a prior that looks a column up; NaN for a point without a row.

    Raises:
        UnknownNameError: no such column.
    """
    values = table.column(column)

    def guess(architecture: Architecture) -> float:
        row = table.space.find_row(architecture)
        return math.nan if row is None or not math.isfinite(values[row]) else float(values[row])

    return Prior(column, guess)
