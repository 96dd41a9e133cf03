"""The two trainings that choose a law: the grid over its coefficients, and the ablation that says what it is worth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from nas.config import SearchConfig
from nas.errors import InvalidInputError, NASError
from nas.journal import FILE_NAME, Event, Journal
from nas.scaling.dimensions import Scaler
from nas.scaling.grid import Enumeration, Point, PointProblem, PointSpace, TrainedPoint, summarize
from nas.scaling.laws import FAST, PUBLISHED, SINGLE, Coefficients, Law, grid_coefficients
from nas.scaling.members import nearest
from nas.searching import versions
from nas.session import Session
from nas.watching import Watcher
from search_spaces.architecture import Blueprint
from search_spaces.randomness import derive_seed

BAND = (1.7, 2.3)  # of a point's realised MACs over the base's, so that rounding gives no point much more than others
# what may differ when a training goes on
TRANSIENT = (
    "executor",
    "workers",
    "gpus_per_worker",
    "address",
    "device",
    "threads",
    "max_seconds",
    "data_root",
    "trials",
    "max_failures",
    "trial_seconds",
    "trial_memory_bytes",
    "pin",
)


@dataclass(frozen=True, slots=True)
class Training:
    """How points are trained.

    Attributes:
        config: data, recipe, seed and executor, as of a search.
        seeds: trainings of each point.
        spacing: of the grid.
        phis: steps of the ablation.
        watcher: told about progress.
    """

    config: SearchConfig = field(default_factory=SearchConfig)
    seeds: int = 3
    spacing: float = 0.05
    phis: tuple[float, ...] = (1.0,)
    watcher: Watcher = field(default_factory=Watcher)


def train_points(
    points: Sequence[Point], training: Training, *, folder: Path, title: str, own_space: Path | None = None
) -> tuple[TrainedPoint, ...]:
    """Train points with several seeds, or go on where a stopped training was.

    Args:
        points: the networks.
        training: how.
        folder: of the journal.
        title: what is being found out.
        own_space: where a user's own space was kept.

    Raises:
        JournalError: the folder's journal is damaged, or another process writes it.
        InvalidInputError: the folder holds another training.
        NASError: not one of the networks could be trained.
    """
    space = PointSpace(points, seeds=training.seeds, folder=own_space)
    trials = space.num_networks * training.seeds
    config = replace(training.config, space=space.name, controller="grid", trials=trials)
    problem = PointProblem.of(config, space, title)
    controller = Enumeration(space, config.objectives, config.seed)
    session = Session(config, folder, training.watcher, problem, controller)
    training.watcher.prepared(folder, config, problem.describe())
    run = session.carry_out(*open_journal(folder, problem, training.watcher), None)
    return summarize(space, run.records)


class Lasting(Protocol):
    """What is trained in a folder, as far as its journal is concerned: see `nas.problem.Problem`."""

    @property
    def config(self) -> SearchConfig:
        """Data, recipe, seed and executor."""
        ...

    def identity(self) -> dict[str, Any]:
        """Return what the journal's first line keeps."""
        ...

    def check_identity(self, header: Mapping[str, Any], *, folder: Path) -> None:
        """Refuse to go on with something else."""
        ...


def open_journal(folder: Path, problem: Lasting, watcher: Watcher) -> tuple[Journal, tuple[Event, ...]]:
    """Return the journal of a new training, or of one to go on with, and its events; tell of a damaged end.

    Raises:
        JournalError: the folder's journal is damaged, or another process writes it.
        InvalidInputError: the folder holds another training.
    """
    config = problem.config
    if not (folder / FILE_NAME).exists():
        header = {"config": config.to_json(), "versions": versions(), **problem.identity(), "time": time.time()}
        return Journal.create(folder, header), ()
    journal, content = Journal.reopen(folder)
    try:
        if content.repair:
            watcher.said(content.repair)
        before = SearchConfig.from_json(content.header["config"])
        problem.check_identity(content.header, folder=folder)
        if _lasting(before) != _lasting(config):
            raise InvalidInputError(
                f"{folder} was started with another recipe, seed or data: give the same, or another --out."
            )
    except BaseException:
        journal.close()
        raise
    return journal, content.events


def _lasting(config: SearchConfig) -> dict[str, Any]:
    return {name: value for name, value in config.to_json().items() if name not in TRANSIENT}


def grid_points(scaler: Scaler, *, spacing: float) -> list[Point]:
    """Return the points of the grid at phi = 1: those whose MACs are about twice the base's after rounding too.

    Raises:
        InvalidInputError: rounding leaves none.
    """
    base = scaler.count(scaler.base).macs
    found = []
    for coefficients in grid_coefficients(spacing=spacing, held=scaler.missing):
        law = Law("grid", coefficients, scaler.missing)
        try:
            blueprint = scaler.member(law.factors(1.0))
        except InvalidInputError:
            continue  # images of a size that the network cannot take
        if BAND[0] <= scaler.count(blueprint).macs / base <= BAND[1]:
            found.append(Point(str(coefficients), blueprint, "grid", coefficients))
    found = _merge(scaler, found)
    if not found:
        raise InvalidInputError(
            f"no point of the grid has {BAND[0]} to {BAND[1]} times the base's MACs after rounding: the base is too "
            "small for steps so fine. Scale a deeper or wider one, use larger images, or give --coefficients."
        )
    return found


def _merge(scaler: Scaler, points: Sequence[Point]) -> list[Point]:
    """Return the points with one blueprint for all that are the same network, so that it is trained once."""
    first: dict[object, Blueprint] = {}
    return [replace(p, blueprint=first.setdefault(scaler.outline(p.blueprint), p.blueprint)) for p in points]


def train_grid(scaler: Scaler, training: Training, *, folder: Path) -> tuple[TrainedPoint, ...]:
    """Train the grid at phi = 1 (Tan 2019, section 3.3, step 1)."""
    points = grid_points(scaler, spacing=training.spacing)
    title = f"the coefficients of a scaling law on {training.config.data}"
    return train_points(points, training, folder=folder, title=title, own_space=scaler.folder)


def choose(points: Sequence[TrainedPoint]) -> TrainedPoint:
    """Return the point with the highest mean accuracy; of equal ones that of the fewest MACs.

    Triples that round to the same network are equal; of them the one nearest to the published triple is meant.

    Raises:
        NASError: every training failed.
    """
    able = [point for point in points if point.accuracy and point.point.coefficients]
    if not able:
        raise NASError("no point of the grid could be trained: the journal holds every reason.")
    return max(able, key=_worth)


def _worth(trained: TrainedPoint) -> tuple[float, int, float]:
    assert trained.accuracy is not None
    assert trained.point.coefficients is not None
    published = zip(trained.point.coefficients.values, PUBLISHED.values, strict=True)
    return trained.accuracy.mean, -trained.cost.macs, -sum([abs(mine - theirs) for mine, theirs in published])


def ablation_points(scaler: Scaler, chosen: Coefficients, *, phis: Sequence[float]) -> list[Point]:
    """Return the base, and one dimension alone, compound and fast compound at the same MACs (Tan 2019, figure 8).

    Depth has the coarsest steps: its MACs at a phi, after rounding, are those that the others come nearest to.
    """
    laws = [Law(name, single, scaler.missing) for name, single in SINGLE.items() if name not in scaler.missing]
    laws += [Law(name, c).holding(scaler.missing) for name, c in (("compound", chosen), ("fast", FAST))]
    points = [Point("base", scaler.base, "base")]
    base = scaler.count(scaler.base).macs
    for phi in phis:
        macs = base * 2.0**phi
        for law in laws:
            blueprint = nearest(scaler, law, macs, phi=phi)
            if law.name == "depth":
                macs = scaler.count(blueprint).macs
            points.append(Point(f"{law.name} phi {phi:g}", blueprint, law.name, law.coefficients))
    return _merge(scaler, points)


def train_ablation(
    scaler: Scaler, chosen: Coefficients, training: Training, *, folder: Path
) -> tuple[TrainedPoint, ...]:
    """Train the ablation by the grid's recipe, with as many seeds.

    They are others than the grid's: the best point of a grid is lucky as well as good, and is trained again here.
    """
    seed = derive_seed(training.config.seed, 0, "ablation") % 2**31
    training = replace(training, config=replace(training.config, seed=seed))
    points = ablation_points(scaler, chosen, phis=training.phis)
    title = f"scaling by one dimension against compound scaling on {training.config.data}"
    return train_points(points, training, folder=folder, title=title, own_space=scaler.folder)
