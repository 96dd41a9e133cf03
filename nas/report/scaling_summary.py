"""What the page of a scaling shows, as one value. No file is read here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nas.report.analysis import FailureGroup
from nas.report.summary import RunStatus
from nas.scaling.grid import TrainedPoint
from nas.scaling.laws import Coefficients
from nas.scaling.members import Member


@dataclass(frozen=True, slots=True)
class Trainings:
    """What trainings of points cost so far.

    Attributes:
        planned, done: trainings; those done include failed ones.
        worker_s: seconds of all of them together.
        seconds: from the first to the last; None if unknown.
        network_epochs, trained_macs: see `nas.report.analysis.Spent`; None if unknown.
        failures: by reason.
    """

    planned: int = 0
    done: int = 0
    worker_s: float = 0.0
    seconds: float | None = None
    network_epochs: float | None = None
    trained_macs: float | None = None
    failures: Sequence[FailureGroup] = ()


@dataclass(frozen=True, slots=True)
class ScalingSummary:
    """A scaling, as its page shows it.

    Attributes:
        name: the folder's.
        network: what is scaled.
        status: whether it goes on, came to its end, or was stopped before.
        coefficients: of the compound law; None while they are not found.
        base, members: the family; None and empty while there is none.
        grid, ablation: what was trained, with mean and spread.
        trainings: what that cost.
        settings: what was asked, by the name it is shown under.
        files, commands, versions: as in `nas.report.summary.RunSummary`.
        member_files: of members that have one, by name.
        notes: what is to be known of it, in lines.
    """

    name: str
    network: str
    status: RunStatus
    coefficients: Coefficients | None = None
    base: Member | None = None
    members: Sequence[Member] = ()
    grid: Sequence[TrainedPoint] = ()
    ablation: Sequence[TrainedPoint] = ()
    trainings: Trainings = field(default_factory=Trainings)
    settings: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    member_files: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
