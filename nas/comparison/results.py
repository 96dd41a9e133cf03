"""What a comparison gave: its rows, what it cost, and how both are read from its folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from controllers.trial import Record
from nas.comparison.competitors import Competitor
from nas.comparison.plan import BACKWARD, SPACES, Plan, read_plan
from nas.comparison.rows import Results, Row, make_rows
from nas.comparison.tables import sort_rows, table_text
from nas.comparison.testing import costs_of, tested_of
from nas.comparison.training import comparison_space
from nas.errors import NASError
from nas.journal import read_journal
from nas.run import load


@dataclass(frozen=True, slots=True)
class Spent:
    """What a comparison cost.

    Attributes:
        wall_s: from the start to the last training; time in which it lay still is in it.
        worker_s: of all trainings, one after the other.
        epochs: of all trainings.
        macs: multiply-accumulates of all trainings, forward and backward, approximately.
        searched_s, searched_epochs: of the random searches before it.
    """

    wall_s: float
    worker_s: float
    epochs: float
    macs: float
    searched_s: float = 0.0
    searched_epochs: float = 0.0

    def to_json(self) -> dict[str, float]:
        """Return a JSON-ready dict."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Networks side by side.

    Attributes:
        folder: with the journal, the weights, the table and the page.
        plan: what was compared, and how.
        rows: a network each, the most accurate first.
        spent: what it cost.
        notes: what is to be known, in lines.
        versions: that the results depend on.
    """

    folder: Path
    plan: Plan
    rows: tuple[Row, ...]
    spent: Spent
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def best(self) -> Row:
        """The most accurate network.

        Raises:
            NASError: none was trained.
        """
        found = next((row for row in self.rows if row.top1 is not None and row.difference is None), None)
        if found is None:
            raise NASError(f"no network of {self.folder} could be trained: its table holds every reason.")
        return found

    def table(self, sort: str | None = None) -> str:
        """Return the table as text, by accuracy or by a column of `nas.comparison.tables.COLUMNS`."""
        return table_text(sort_rows(self.rows, sort))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "folder": str(self.folder),
            "data": self.plan.config.data,
            "recipe": self.plan.config.search_recipe.to_json(),
            "seeds": self.plan.terms.seeds,
            "rows": [row.to_json() for row in self.rows],
            "spent": self.spent.to_json(),
            "notes": list(self.notes),
            "versions": self.versions,
            "command": self.plan.command,
        }


def read_comparison(folder: str | Path) -> Comparison:
    """Read a comparison's folder, finished or not; nothing in it is changed.

    Raises:
        InvalidInputError: the folder holds none.
        JournalError: it holds no training yet, or a damaged journal.
    """
    path = Path(folder)
    plan = read_plan(path)
    content = read_journal(path)
    stored = content.header.get("comparison", {}).get("competitors", [])
    competitors = tuple(_rebased(Competitor.from_json(one), path) for one in stored)
    space = comparison_space(competitors, seeds=plan.terms.seeds)
    records = tuple(Record.from_json(event.data) for event in content.events if event.kind == "told")
    results = Results(space, records, tested_of(content.events), costs_of(content.events))
    command = shlex.join(["nas", "resume", str(path)])
    missing = len(space.trainings) - len(records)
    notes = [*plan.notes, *([f"{missing} trainings are missing: `{command}` goes on"] if missing else [])]
    spent = _spent(plan, records, path, started=content.header["time"])
    rows = make_rows(competitors, results)
    return Comparison(path, plan, rows, spent, tuple(notes), content.header.get("versions", {}))


def _rebased(competitor: Competitor, folder: Path) -> Competitor:
    """Return a competitor whose own space is read from where the folder lies now."""
    if competitor.folder is None:
        return competitor
    return replace(competitor, folder=(folder / SPACES / competitor.folder.name).absolute())


def _spent(plan: Plan, records: Sequence[Record], folder: Path, *, started: float) -> Spent:
    measured = [record.measurement for record in records if record.reused_from is None]
    metrics = [one.metrics for one in measured if one.ok]
    macs = sum(one["macs"] * one["epochs"] * one["images"] * (1 + BACKWARD) for one in metrics)
    found = [load(folder / search.name) for search in plan.searches if (folder / search.name).is_dir()]
    searched = [record.measurement for run in found for record in run.records]
    return Spent(
        max((record.time for record in records), default=started) - started,
        sum(one.seconds for one in measured),
        sum(one["epochs"] for one in metrics),
        macs,
        sum(one.seconds for one in searched),
        sum(one.metrics.get("epochs_spent", 0.0) for one in searched),
    )
