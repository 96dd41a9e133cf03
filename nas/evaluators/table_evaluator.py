"""Evaluation by looking a network up: what a search finds in a table takes seconds to know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from controllers.trial import Measurement, Trial
from nas.errors import InvalidInputError
from nas.evaluators.table import Table


@final
class TableEvaluator:
    """Returns a row's columns as metrics; with fidelities, the trial's budget picks the column of the metric.

    With fidelities a measurement also has ``epochs``, those of its column, and ``epochs_spent``, what it cost.
    A table's columns are as a rule separate runs, each with a schedule of its own that is annealed at its end:
    none can be gone on with, so the next rung is paid in full, unless `continued` says otherwise.
    """

    def __init__(
        self,
        table: Table,
        *,
        metric: str,
        report_metric: str | None = None,
        seconds: str | None = None,
        fidelities: Mapping[int, str] | None = None,
        continued: bool = False,
    ) -> None:
        """Choose the columns.

        Args:
            table: where to look.
            metric: the column without which a row is a failed evaluation. With fidelities, the name under which
                each of them is reported.
            report_metric: a column that is to be there; it may lack numbers.
            seconds: the column that says how long an evaluation took, at the highest fidelity if there are several:
                others take their share by epochs. None for no time at all.
            fidelities: columns of the metric by epochs; a trial without a budget gets the highest. None for one.
            continued: whether the columns are stages of one training, so that a continued trial pays only what lies
                between its fidelity and the one below.

        Raises:
            UnknownNameError: no such column.
            InvalidInputError: a column without any number, or fidelities that cannot be.
        """
        for name in (report_metric, seconds, *_metric_columns(table, metric=metric, fidelities=fidelities)):
            if name is not None:
                table.column(name)
        self.space = table.space
        self._metric = metric
        self._seconds = seconds
        self._fidelities = dict(sorted(fidelities.items())) if fidelities else {}
        self._continued = continued
        self._names = tuple(table.columns)
        self._values = np.column_stack(list(table.columns.values()))

    def evaluate(self, trial: Trial) -> Measurement:
        """Return the finite numbers of the trial's row; ``infeasible`` without a row, ``error`` without the metric.

        Raises:
            InvalidInputError: a budget that no fidelity has.
        """
        row = self.space.find_row(trial.architecture)
        if row is None:
            self.space.validate(trial.architecture)
            return Measurement("infeasible", error=f"the table has no row for the choices {trial.architecture.choices}")
        pairs = zip(self._names, self._values[row].tolist(), strict=True)
        metrics = {name: value for name, value in pairs if math.isfinite(value)}
        seconds = 0.0 if self._seconds is None else metrics.get(self._seconds, 0.0)
        column = self._metric
        if self._fidelities:
            cost = self._cost(trial)
            column = self._fidelities[cost.epochs]
            metrics = self._seen_at(cost, metrics)
            seconds *= cost.epochs_spent / max(self._fidelities)
        if self._metric not in metrics:
            return Measurement("error", metrics, seconds, error=f"no measurement of {column} in row {row}")
        return Measurement("ok", metrics, seconds)

    def _cost(self, trial: Trial) -> _Cost:
        known = list(self._fidelities)
        epochs = known[-1] if trial.budget is None else trial.budget
        if epochs not in self._fidelities:
            raise InvalidInputError(
                f"the table knows networks after {', '.join(map(str, known))} epochs, got a budget of {epochs}: "
                "use these as budgets."
            )
        i = known.index(epochs)
        before = known[i - 1] if self._continued and trial.continues is not None and i > 0 else 0
        return _Cost(epochs, epochs - before)

    def _seen_at(self, cost: _Cost, metrics: dict[str, float]) -> dict[str, float]:
        """Return a row's metrics as they stand at a fidelity: those of higher ones are not known yet."""
        value = metrics.get(self._fidelities[cost.epochs])
        later = {column for epochs, column in self._fidelities.items() if epochs > cost.epochs} | {self._metric}
        seen = {name: number for name, number in metrics.items() if name not in later}
        measured = {} if value is None else {self._metric: value}
        return {**seen, **measured, "epochs": cost.epochs, "epochs_spent": cost.epochs_spent}


@dataclass(frozen=True, slots=True)
class _Cost:
    """Epochs that a network has behind it, and those of them that a trial paid."""

    epochs: int
    epochs_spent: int


def _metric_columns(table: Table, *, metric: str, fidelities: Mapping[int, str] | None) -> list[str]:
    """Return the columns that the metric is read from."""
    if fidelities is None:
        return [metric]
    if not fidelities or min(fidelities) < 1:
        raise InvalidInputError(
            f"fidelities are columns by epochs, at least one, from 1 epoch; got {dict(fidelities)}."
        )
    columns = list(fidelities.values())
    if metric in table.columns and metric not in columns:
        raise InvalidInputError(
            f"the metric {metric!r} is a column of the table, but none of the fidelities {', '.join(columns)}: "
            "name the highest fidelity's column, or a name that the table does not use."
        )
    return columns
