"""Evaluation by looking a network up: what a search finds in a table takes seconds to know."""

from __future__ import annotations

import math
from typing import final

import numpy as np

from controllers.trial import Measurement, Trial
from nas.evaluators.table import Table


@final
class TableEvaluator:
    """Returns a row's columns as metrics; the trial's budget says nothing here."""

    def __init__(
        self, table: Table, *, metric: str, report_metric: str | None = None, seconds: str | None = None
    ) -> None:
        """Choose the columns.

        Args:
            table: where to look.
            metric: the column without which a row is a failed evaluation.
            report_metric: a column that is to be there; it may lack numbers.
            seconds: the column that says how long an evaluation took; None for no time at all.

        Raises:
            UnknownNameError: no such column.
            InvalidInputError: a column without any number.
        """
        for name in (metric, report_metric, seconds):
            if name is not None:
                table.column(name)
        self.space = table.space
        self._metric = metric
        self._seconds = seconds
        self._names = tuple(table.columns)
        self._values = np.column_stack(list(table.columns.values()))

    def evaluate(self, trial: Trial) -> Measurement:
        """Return the finite numbers of the trial's row; ``infeasible`` without a row, ``error`` without the metric."""
        row = self.space.find_row(trial.architecture)
        if row is None:
            self.space.validate(trial.architecture)
            return Measurement("infeasible", error=f"the table has no row for the choices {trial.architecture.choices}")
        pairs = zip(self._names, self._values[row].tolist(), strict=True)
        metrics = {name: value for name, value in pairs if math.isfinite(value)}
        seconds = 0.0 if self._seconds is None else metrics.get(self._seconds, 0.0)
        if self._metric not in metrics:
            return Measurement("error", metrics, seconds, error=f"no measurement of {self._metric} in row {row}")
        return Measurement("ok", metrics, seconds)
