"""Evaluators around evaluators: a given duration, and metrics without which a result is none."""

from __future__ import annotations

from dataclasses import dataclass, replace

from controllers.trial import Measurement, Trial
from nas.evaluators.evaluator import Evaluator


@dataclass(frozen=True, slots=True)
class FixedDuration:
    """Says that every evaluation took so long; one of a budget, that share of the longest.

    Attributes:
        inner: what evaluates.
        seconds: of an evaluation at full length.
        longest: the budget of that length in epochs; None when there are no budgets.
    """

    inner: Evaluator
    seconds: float
    longest: int | None = None

    def evaluate(self, trial: Trial) -> Measurement:
        """Return the inner measurement with these seconds; what was refused unevaluated took none."""
        measured = self.inner.evaluate(trial)
        share = trial.budget / self.longest if trial.budget and self.longest else 1.0
        return replace(measured, seconds=0.0 if measured.status == "infeasible" else share * self.seconds)


@dataclass(frozen=True, slots=True)
class RequiredMetrics:
    """Makes a failure of a result that lacks a metric of the search's objectives."""

    inner: Evaluator
    names: tuple[str, ...]

    def evaluate(self, trial: Trial) -> Measurement:
        """Return the inner measurement, or an ``error`` that names what it lacks."""
        measured = self.inner.evaluate(trial)
        missing = [name for name in self.names if name not in measured.metrics]
        if not (measured.ok and missing):
            return measured
        return replace(measured, status="error", error=f"no measurement of {', '.join(missing)}")
