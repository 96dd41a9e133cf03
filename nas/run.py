"""A run's folder, read: settings, records, and the network it left."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controllers.trial import Record, Trial
from nas.config import SearchConfig
from nas.errors import InvalidInputError, JournalError
from nas.finalizing import FOLDER, StoredNetwork, load_stored
from nas.journal import FILE_NAME, Event, read_journal
from nas.ranking import rank_records
from nas.report.analysis import front_records
from nas.table_answer import ChosenRow, load_chosen
from nas.trial_frame import trial_frame
from search_spaces.architecture import Decision
from search_spaces.local_file import is_local, kept_decisions
from search_spaces.registry import get_space

if TYPE_CHECKING:
    import pandas as pd

CHANGED = "changed"  # the event of settings that a run goes on with from there
POINTS = "scaling:"  # begins the space of a scaling's grid, whose points are networks and seeds
# what `nas scale` leaves; its trainings are journals of their own
SCALING_FILES = ("scaling.json", f"grid/{FILE_NAME}", f"ablation/{FILE_NAME}")


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
        if self.is_grid:
            raise InvalidInputError(_how_to_go_on(self.folder.parent))
        if not self.final:
            command = shlex.join(["nas", "resume", str(self.folder)])
            raise InvalidInputError(f"{self.folder} has no trained network yet: `{command}` goes on.")
        if self.config.table is not None:
            return load_chosen(self.folder / FOLDER)
        return load_stored(self.folder / FOLDER)

    @property
    def is_grid(self) -> bool:
        """Whether this is one of the trainings of `nas scale`: its architectures stand for networks and seeds."""
        return self.config.space.startswith(POINTS)

    @property
    def decisions(self) -> Sequence[Decision]:
        """What was chosen from; a table's and a grid's are in the journal, and of a user's own space a copy is kept.

        No code of a user's is run for them. Empty where none were kept.
        """
        if self.config.table is not None:
            entries = self.header["table"]["decisions"]
            return [Decision(entry["name"], tuple(entry["options"])) for entry in entries]
        if self.is_grid:
            labels = tuple(point["label"] for point in self.header["points"])
            return [Decision("point", labels), Decision("seed", tuple(range(self.header["seeds"])))]
        if is_local(self.config.space):
            return kept_decisions(self.folder) or ()
        return get_space(self.config.space).decisions

    @property
    def trials(self) -> pd.DataFrame:
        """The results as a pandas data frame, a row a trial; see `nas.trial_frame`.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return trial_frame(self)

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
        InvalidInputError: the folder is a scaling's, or the journal's settings cannot be read.
    """
    path = Path(folder)
    if holds_scaling(path):
        raise InvalidInputError(_how_to_go_on(path))
    content = read_journal(path)
    return run_from_events(path, content.events, content.repair)


def run_from_events(folder: Path, events: tuple[Event, ...], repair: str = "") -> Run:
    """Return the run that a journal's events tell of.

    Raises:
        JournalError: an event lacks what this version needs of it.
        InvalidInputError: the settings cannot be read.
    """
    config = read_settings(folder, events)
    try:
        records = [Record.from_json(event.data) for event in events if event.kind == "told"]
        asked = {trial.number: trial for e in events if e.kind == "asked" for trial in [Trial.from_json(e.data)]}
    except InvalidInputError as error:
        raise JournalError(f"the journal of {folder} is whole, but this version cannot read it: {error}") from None
    for record in records:
        asked.pop(record.trial.number, None)
    finals = [event.data.get("metrics", {}) for event in events if event.kind == "final"]
    return Run(
        folder,
        config,
        tuple(records),
        tuple(asked.values()),
        finals[-1] if finals else {},
        events[0].data,
        repair,
    )


def read_settings(folder: Path, events: Sequence[Event]) -> SearchConfig:
    """Return the settings that a run was started with, and those that it was told to go on with since.

    Raises:
        JournalError: the journal has none.
        InvalidInputError: they cannot be read.
    """
    settings = events[0].data.get("config")
    if not isinstance(settings, dict):
        raise JournalError(f"the journal of {folder} does not say what is searched: it is no run of this package.")
    config = SearchConfig.from_json(settings)
    for event in events:
        if event.kind == CHANGED:
            config = config.with_changes(event.data)
    return config


def holds_scaling(folder: Path) -> bool:
    """Return whether a folder is what `nas scale` leaves: a family, or the trainings that are to lead to one."""
    return not (folder / FILE_NAME).exists() and any((folder / name).exists() for name in SCALING_FILES)


def refuse_scaling(folder: Path) -> None:
    """Refuse to go on, as if it were a search, with the folder of a scaling or with one of its trainings.

    Raises:
        InvalidInputError: it is one; the message says how to go on.
    """
    if holds_scaling(folder):
        raise InvalidInputError(_how_to_go_on(folder))
    if (folder / FILE_NAME).exists():
        config = read_journal(folder).header.get("config")
        if isinstance(config, dict) and str(config.get("space", "")).startswith(POINTS):
            raise InvalidInputError(_how_to_go_on(folder.parent))


def _how_to_go_on(folder: Path) -> str:
    quoted = shlex.quote(str(folder))
    return (
        f"{folder} is a scaling and no search: repeat its `nas scale` command with --out {quoted}, which goes on "
        f"where it was; `nas report {quoted}` shows it."
    )
