"""A search among measured networks: every result is looked up in a table, nothing is built or trained."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final

import numpy as np

from controllers.prior import Prior
from controllers.trial import Objective, Record
from nas.config import SearchConfig
from nas.errors import InvalidInputError
from nas.evaluators.evaluator import Evaluator
from nas.evaluators.table import Table, load_table
from nas.evaluators.table_evaluator import TableEvaluator
from nas.evaluators.wrapping import FixedDuration, RequiredMetrics
from nas.finalizing import FOLDER
from nas.priors import column_prior
from nas.problem import Problem
from nas.screening import Constraints, Screen
from nas.table_answer import load_chosen, store_chosen, table_standing
from nas.watching import Watcher
from search_spaces.architecture import Architecture, Blueprint


@final
@dataclass(frozen=True, slots=True)
class TableProblem(Problem):
    """The rows of a table, of which a search sees one at a time."""

    config: SearchConfig
    table: Table
    screen: Screen

    @classmethod
    def prepare(cls, config: SearchConfig) -> Self:
        """Read the table and look for every column that the settings name.

        Raises:
            UnknownNameError: no such column.
            InvalidInputError: no table, no metric, or a column without numbers that can be used.
        """
        assert config.table is not None
        table = load_table(config.table)
        if config.objective.metric == Objective().metric not in table.columns:
            raise InvalidInputError(
                f"a search on a table needs --metric, the column to search by; "
                f"{config.table} has: {', '.join(table.columns) or 'none'}."
            )
        for name in [*_columns(config), *([config.prior] if config.prior is not None else [])]:
            table.column(name)
        _check_target(table, config.objective)
        return cls(config, table, Screen(table.space, Constraints(), _no_blueprint))

    def describe(self) -> list[str]:
        """Return what is searched, and what the table lacks."""
        space, metric = self.table.space, self.config.objective.metric
        lines = [f"the {space.num_rows:,} rows of {Path(self.config.table or '').name}"]
        if space.num_rows < space.size:
            missing = space.size - space.num_rows
            lines.append(f"{missing:,} of {space.size:,} points have no row and are infeasible")
        if unmeasured := self.table.num_unmeasured(metric):
            lines.append(f"{unmeasured:,} of {space.num_rows:,} rows lack {metric} and count as failed")
        return lines

    def identity(self) -> dict[str, Any]:
        """Return where the table lies, a digest of its contents, and what a report needs of them."""
        decisions = [
            {"name": decision.name, "options": list(decision.options)} for decision in self.table.space.decisions
        ]
        return {
            "table": {
                "path": self.config.table,
                "fingerprint": fingerprint(self.table),
                "rows": self.table.space.num_rows,
                "decisions": decisions,
            }
        }

    def check_identity(self, header: Mapping[str, Any], *, folder: Path) -> None:
        """Refuse another table under the same name."""
        if fingerprint(self.table) != header["table"]["fingerprint"]:
            raise InvalidInputError(
                f"{self.config.table} is not the table that {folder} was started with: its contents differ. "
                "If that one lies elsewhere now, say where: --table FILE."
            )

    def make_evaluator(self, folder: Path) -> Evaluator:
        """Return the look-up of the columns that the settings name."""
        config = self.config
        seconds = config.seconds_metric
        lengths: dict[str, Any] = {"fidelities": config.fidelities} if config.fidelities else {}
        looked_up: Evaluator = TableEvaluator(
            self.table.with_columns(_columns(config)),
            metric=config.objective.metric,
            report_metric=config.report_metric,
            seconds=seconds if isinstance(seconds, str) else None,
            **lengths,
        )
        needed = [objective.metric for objective in config.objectives]
        needed += [config.objective.cost] if config.objective.target is not None else []
        evaluator: Evaluator = RequiredMetrics(looked_up, tuple(needed))
        if isinstance(seconds, int | float):
            evaluator = FixedDuration(evaluator, float(seconds), max(config.fidelities, default=None))
        return evaluator

    def make_prior(self) -> Prior | None:
        """Return a column as the guess."""
        return None if self.config.prior is None else column_prior(self.table, column=self.config.prior)

    def conclude(self, best: Record, *, folder: Path, watcher: Watcher) -> dict[str, float]:
        """Write down which row was chosen, and how far it is from the best one."""
        chosen = best.trial.architecture
        row = self.table.space.row(chosen)
        # the table's own numbers: a search that stopped early may have seen the row at a lower fidelity only
        columns = {name: float(self.table.columns[name][row]) for name in _columns(self.config)}
        known = {name: value for name, value in columns.items() if math.isfinite(value)}
        found = table_standing(self.table, chosen, objective=self.config.objective)
        metrics = {**known, **found, "trial": float(best.trial.number)}
        store_chosen(self.table, chosen, config=self.config, metrics=metrics, folder=folder)
        return metrics

    def is_concluded(self, folder: Path) -> bool:
        """Return whether the chosen row is written down."""
        try:
            load_chosen(folder / FOLDER)
        except InvalidInputError:
            return False
        return True


def fingerprint(table: Table) -> str:
    """Return 16 hex digits that depend on all numbers of a table and the names of its columns."""
    digest = hashlib.sha256(table.space.name.encode())
    for name in sorted(table.columns):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(table.columns[name], dtype="<f8").tobytes())
    return digest.hexdigest()[:16]


def _columns(config: SearchConfig) -> list[str]:
    """Return the columns that settings name, each once: what is measured of a row."""
    named: list[str | float | None] = [
        *(objective.metric for objective in config.objectives),
        config.objective.cost if config.objective.target is not None else None,
        config.report_metric,
        config.seconds_metric,
        *config.fidelities.values(),
    ]
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


def _check_target(table: Table, objective: Objective) -> None:
    if objective.target is None:
        return
    smallest = float(np.nanmin(table.column(objective.cost)))
    if not smallest > 0:
        raise InvalidInputError(
            f"a cost that is weighed must be larger than 0, got {smallest:g} in column {objective.cost!r}: use another."
        )


def _no_blueprint(architecture: Architecture) -> Blueprint:
    raise InvalidInputError("a row of a table is not built, so it has no size: search a space that builds networks.")
