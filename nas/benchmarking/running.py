"""One run of a comparison: ask, look up and tell until the budget is spent, and the curves of what was found."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from controllers import make_controller
from controllers.controller import Controller
from controllers.registry import CONTROLLERS, find_kind
from controllers.trial import Measurement, Objective, Record, Trial
from nas.benchmarking.controllers import ControllerSpec
from nas.benchmarking.results import STEPS
from nas.benchmarking.rules import BenchRules, FrontScale, value_of
from nas.errors import InvalidInputError
from nas.evaluators.table import Table
from nas.evaluators.table_evaluator import TableEvaluator
from nas.hypervolume import hypervolume, non_dominated
from nas.priors import column_prior

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """One controller with one seed, for so many trials or, where epochs are limited, as long as they last."""

    controller: ControllerSpec
    seed: int
    trials: int


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What came of one run.

    Attributes:
        best: (steps,) best value so far, NaN until there is one.
        front: (steps,) hypervolume so far as a share of the table's; None without costs.
        reported: report metric of the network that is best; NaN if it has none.
        seconds: wall time.
        epochs: spent on all evaluations; 0 where they have no length.
        num_trials: evaluations.
    """

    best: Array
    front: Array | None
    reported: float
    seconds: float
    epochs: int
    num_trials: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share; every process holds one.

    Attributes:
        table: what is searched.
        evaluator: looks rows up.
        objectives: what controllers search for; the first says which network is best.
        report_metric: to be reported of the best.
        rules: costs, prior, fidelities.
        scale: of hypervolumes; None without costs.
    """

    table: Table
    evaluator: TableEvaluator
    objectives: tuple[Objective, ...]
    report_metric: str
    rules: BenchRules
    scale: FrontScale | None

    def make(self, spec: ControllerSpec, *, seed: int) -> Controller:
        """Return a controller that has learnt nothing, with the prior if it is of a kind that uses one."""
        if self.rules.prior is None or not find_kind(spec.name).uses_prior:
            return make_controller(spec.name, self.table.space, self.objectives, seed, spec.options)
        guess = column_prior(self.table, column=self.rules.prior)
        return make_controller(spec.name, self.table.space, self.objectives, seed, spec.options, prior=guess)

    def check(self, spec: ControllerSpec) -> None:
        """Refuse a controller that cannot be, or whose first budget no column of the table has.

        Raises:
            InvalidInputError: it says what cannot be.
        """
        try:
            controller = self.make(spec, seed=0)
        except InvalidInputError as error:
            if len(self.objectives) == 1:
                raise
            make_controller(spec.name, self.table.space, self.objectives[:1], 0, spec.options)  # or say its own mistake
            raise InvalidInputError(f"{error} Or weigh one cost into the metric with --target.") from None
        (trial,) = controller.ask()
        known = self.rules.fidelities
        if trial.budget is not None and trial.budget not in known:
            columns = ", ".join(f"{epochs}={column}" for epochs, column in sorted(known.items())) or "none"
            raise InvalidInputError(
                f"controller {spec.text!r} asks for {trial.budget} epochs, which no fidelity has (got {columns}): "
                f"add --fidelity {trial.budget}=COLUMN, or change its budgets."
            )

    def check_prior(self, specs: Sequence[ControllerSpec]) -> None:
        """Refuse a prior that none of the controllers uses.

        Raises:
            InvalidInputError: it names those that would.
        """
        able = [name for name, kind in CONTROLLERS.items() if kind.uses_prior]
        if self.rules.prior is not None and not any(find_kind(spec.name).uses_prior for spec in specs):
            raise InvalidInputError(
                f"a prior is for controllers that use one, got {', '.join(spec.text for spec in specs)}: "
                f"add one of {', '.join(able)}, or leave the prior out."
            )

    def carry_out(self, run: Run) -> Trace:
        """Ask, look up and tell, one trial after the other."""
        start = time.perf_counter()
        controller = self.make(run.controller, seed=run.seed)
        progress = _Progress(self)
        limit = self.rules.epochs
        while limit is not None or len(progress.spent) < run.trials:
            asked = controller.ask()
            if not asked or (limit is not None and progress.epochs + progress.length(asked[0]) > limit):
                break
            measurement = self.evaluator.evaluate(asked[0])
            controller.tell([Record(asked[0], measurement)])
            progress.add(asked[0], measurement)
        return progress.trace(run.trials, seconds=time.perf_counter() - start)


class _Progress:
    """What a run has found after each of its evaluations.

    A point without a row costs as much as another one, or a controller that repeats it would never end.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._full = bench.rules.full_epochs or 0
        self._chosen = Measurement("lost")
        self._best_score = -math.inf
        self._front = None if bench.scale is None else _Front(bench.scale)
        self.epochs = 0
        self.spent: list[int] = []  # trials or epochs after each evaluation
        self._values: list[float] = []
        self._shares: list[float] = []

    def length(self, trial: Trial) -> int:
        """Return the epochs of an evaluation; one without a budget is in full, and none goes on from a shorter one."""
        return trial.budget or self._full

    def add(self, trial: Trial, measurement: Measurement) -> None:
        """Count an evaluation; a shorter one than in full is paid for and chooses nothing."""
        self.epochs += self.length(trial)
        self.spent.append(len(self.spent) + 1 if self._bench.rules.epochs is None else self.epochs)
        if self.length(trial) >= self._full:
            score = self._bench.objectives[0].score(measurement)
            if score is not None and score > self._best_score:
                self._best_score, self._chosen = score, measurement
            if self._front is not None:
                self._front.add(measurement)
        self._values.append(value_of(self._bench.objectives[0], self._chosen))
        if self._front is not None:
            self._shares.append(self._front.share)

    def trace(self, trials: int, *, seconds: float) -> Trace:
        """Return the curves at the steps of the comparison."""
        limit = self._bench.rules.epochs
        steps = np.arange(1, trials + 1) if limit is None else np.arange(1, STEPS + 1) * (limit / STEPS)
        done = np.searchsorted(self.spent, steps, side="right")  # evaluations that have ended by each step
        return Trace(
            best=np.array([math.nan, *self._values])[done],
            front=None if self._front is None else np.array([0.0, *self._shares])[done],
            reported=self._chosen.metrics.get(self._bench.report_metric, math.nan),
            seconds=seconds,
            epochs=self.epochs,
            num_trials=len(self.spent),
        )


class _Front:
    """The front of a run so far; its volume is measured only when it moves."""

    def __init__(self, scale: FrontScale) -> None:
        self._scale = scale
        self._points = np.empty((0, len(scale.objectives)))
        self.share = 0.0

    def add(self, measurement: Measurement) -> None:
        scores = [objective.score(measurement) for objective in self._scale.objectives]
        point = np.array([score for score in scores if score is not None])
        if not len(point) or (point <= self._scale.reference).any() or (self._points >= point).all(axis=1).any():
            return
        self._points = non_dominated(np.vstack([self._points, point]))
        self.share = hypervolume(self._points, reference=self._scale.reference) / self._scale.volume


def read_columns(rules: BenchRules, names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that runs look at: those named and those of the rules."""
    prior = () if rules.prior is None else (rules.prior,)
    return (*names, *rules.costs, *rules.fidelities.values(), *prior)
