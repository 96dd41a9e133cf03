"""A run's folder, read: settings, records, and the network it left."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controllers.trial import Record, Trial
from nas.config import SearchConfig
from nas.errors import InvalidInputError
from nas.finalizing import FOLDER, StoredNetwork, load_stored
from nas.journal import Event, read_journal
from nas.ranking import rank_records
from nas.report.analysis import front_records
from nas.table_answer import ChosenRow, load_chosen


@dataclass(frozen=True, slots=True)
class Run:
    """What a search left behind.

    Attributes:
        folder: where it lies.
        config: its settings.
        records: every result, in the order in which the controller learnt them.
        unfinished: trials that were asked for and have no result.
        final: metrics of the retrained best network, when the search came to its end.
        header: the journal's first line: versions, data, start.
        repair: what was wrong with the end of the journal; empty when nothing was.
    """

    folder: Path
    config: SearchConfig
    records: tuple[Record, ...]
    unfinished: tuple[Trial, ...]
    final: dict[str, float] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    repair: str = ""

    @property
    def best(self) -> StoredNetwork | ChosenRow:
        """The trained network that won; for a search on a table, the row.

        Raises:
            InvalidInputError: the search has not come to its end yet.
        """
        if not self.final:
            raise InvalidInputError(f"{self.folder} has no trained network yet: `nas resume {self.folder}` goes on.")
        if self.config.table is not None:
            return load_chosen(self.folder / FOLDER)
        return load_stored(self.folder / FOLDER)

    def front(self) -> list[Record]:
        """Return the networks that no other is better than in every objective, best first by the first one."""
        return front_records(self.records, objectives=self.config.objectives)

    def ranked(self) -> list[Record]:
        """Return the evaluated networks, best first by the run's objective; each once, by its highest budget."""
        return rank_records(self.records, self.config.objective)


def load(folder: str | Path) -> Run:
    """Read a run's folder; nothing in it is changed.

    Raises:
        JournalError: the folder is no run, or its journal is damaged.
        InvalidInputError: the journal's settings cannot be read.
    """
    path = Path(folder)
    content = read_journal(path)
    return run_from_events(path, content.events, content.repair)


def run_from_events(folder: Path, events: tuple[Event, ...], repair: str = "") -> Run:
    """Return the run that a journal's events tell of."""
    records = [Record.from_json(event.data) for event in events if event.kind == "told"]
    asked = {trial.number: trial for e in events if e.kind == "asked" for trial in [Trial.from_json(e.data)]}
    for record in records:
        asked.pop(record.trial.number, None)
    finals = [event.data["metrics"] for event in events if event.kind == "final"]
    return Run(
        folder,
        SearchConfig.from_json(events[0].data["config"]),
        tuple(records),
        tuple(asked.values()),
        finals[-1] if finals else {},
        events[0].data,
        repair,
    )
