"""What a report shows: everything about a run that the page needs, as one value. No file is read here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from controllers.trial import Objective, Record
from nas.errors import UnknownNameError
from search_spaces.architecture import Decision
from search_spaces.graph import Cell

RunStatus = Literal["running", "finished", "interrupted"]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What was asked of a run; what is empty or None is not shown.

    Attributes:
        space, controller, data, recipe, executor: names or specifications, as the user gave them.
        trials: how many trials were asked for.
        workers: how many evaluations may run at once.
        seed: the run's seed.
        others: anything else that was asked, by the name it is shown under ("constraint": "at most 1M params").
    """

    space: str = ""
    controller: str = ""
    data: str = ""
    recipe: str = ""
    executor: str = ""
    trials: int | None = None
    workers: int | None = None
    seed: int | None = None
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run, as its report shows it. Everything but the name may be missing.

    Attributes:
        name: the run's name.
        status: whether it goes on, came to its end, or was stopped before.
        settings: what was asked.
        objective: what "best" means.
        costs: metrics that were to be small as well; then the run's answer is a Pareto front.
        records: what was measured, in the order in which it became known; of two records of one trial the later
            counts.
        cells: by trial number, the cells to draw, by role (``normal``, ``reduction``). The page shows the best
            networks that `analysis.top_records` names; one without cells is described by its decisions.
        decisions: those of the space, so that architectures can be told in words; may be empty.
        final: metrics of the best network after it was trained again at full length (``test_accuracy``, ...), or
            of the chosen row of a table.
        answer: the metric of `final` that answers the user's question.
        files: what the run left, path -> what it is, shown as given.
        commands: command lines to copy, by what they do ("Run it again", "Resume").
        versions: of everything that results depend on, by name.
        seconds: wall time so far; None if unknown.
        simulated_s: time on the simulated clock; None if there was none.
        epochs: epochs of a trial that has no budget of its own; None if unknown.
        reason: why the run ended, in words.
        train_images: images that a network sees in an epoch of training; None where nothing is trained.
    """

    name: str
    status: RunStatus = "finished"
    settings: RunSettings = field(default_factory=RunSettings)
    objective: Objective = field(default_factory=Objective)
    costs: Sequence[str] = ()
    records: Sequence[Record] = ()
    cells: Mapping[int, Mapping[str, Cell]] = field(default_factory=dict)
    decisions: Sequence[Decision] = ()
    final: Mapping[str, float] = field(default_factory=dict)
    answer: str = "test_accuracy"
    files: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    simulated_s: float | None = None
    epochs: int | None = None
    reason: str = ""
    train_images: int | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown status, and keep one record per trial."""
        if self.status not in get_args(RunStatus):
            raise UnknownNameError("run status", str(self.status), get_args(RunStatus))
        latest = {record.trial.number: record for record in self.records}
        object.__setattr__(self, "records", tuple(latest.values()))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Everything that was searched for: the objective, then the smallest of every cost."""
        return (self.objective, *(Objective(cost, "minimize") for cost in self.costs))
