"""What a comparison found: curves over all seeds of each controller, and their means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

CHECKPOINTS = (25, 50, 100, 150, 200)  # trials
STEPS = 100  # of a curve over epochs
QUARTERS = (25, 50, 75, 100)  # the steps of such a curve that are shown
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ControllerResult:
    """What the runs of one controller found; run s has seed s.

    Curves have a value after every trial or, where the epochs are limited, after every hundredth of them.

    Attributes:
        best: (seeds, steps) best value so far; the table's worst one until there is a result.
        regret: (seeds, steps) distance of `best` from the optimum, >= 0, in the unit of the value.
        reported: (seeds,) report metric of the network that was best; NaN if it has none.
        seconds: (seeds,) wall time of a run.
        hypervolume: (seeds, steps) hypervolume of the front so far as a share of that of the table's front, in
            [0, 1]; None without costs.
        epochs: (seeds,) epochs spent; None where evaluations have no length.
        max_epochs: at how many epochs runs were stopped; None where trials were counted.
        num_trials: (seeds,) evaluations of a run; None if nobody counted.
    """

    best: Array
    regret: Array
    reported: Array
    seconds: Array
    hypervolume: Array | None = None
    epochs: Array | None = None
    max_epochs: int | None = None
    num_trials: Array | None = None

    @property
    def steps(self) -> Array:
        """After how many trials, or epochs, the curves have their values, (steps,)."""
        num_steps = self.regret.shape[1]
        counts: Array = np.arange(1, num_steps + 1) * ((self.max_epochs or num_steps) / num_steps)
        return counts

    @property
    def checkpoints(self) -> dict[int, int]:
        """The trials, or epochs, to show, each with its index in the curves."""
        if self.max_epochs is not None:
            return {round(self.steps[step - 1]): step - 1 for step in QUARTERS}
        return {trials: trials - 1 for trials in CHECKPOINTS if trials <= self.regret.shape[1]}

    @property
    def found_optimum(self) -> float:
        """Share of the runs whose best value is the optimum, in [0, 1]."""
        return float(np.mean(self.regret[:, -1] == 0))

    def mean_regret(self) -> dict[int, float]:
        """Return the mean regret over the runs at each of `checkpoints`."""
        return {count: float(self.regret[:, i].mean()) for count, i in self.checkpoints.items()}

    def spread_of_hypervolume(self) -> dict[int, list[float]]:
        """Return mean and standard deviation of the hypervolume at each of `checkpoints`; empty without costs."""
        if self.hypervolume is None:
            return {}
        curves = self.hypervolume
        return {count: mean_and_sd(curves[:, i]) or [0.0, 0.0] for count, i in self.checkpoints.items()}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; ``reported`` is null when no chosen network has that metric.

        ``hypervolume`` and ``hypervolume_sd`` are there with costs, ``epochs`` where evaluations have a length.
        """
        entry: dict[str, Any] = {
            "regret": {str(count): regret for count, regret in self.mean_regret().items()},
            "best": mean_and_sd(self.best[:, -1]),
            "reported": mean_and_sd(self.reported),
            "found_optimum": self.found_optimum,
            "seconds": float(self.seconds.mean()),
        }
        if self.hypervolume is not None:
            spreads = self.spread_of_hypervolume()
            entry["hypervolume"] = {str(count): mean for count, (mean, _) in spreads.items()}
            entry["hypervolume_sd"] = {str(count): sd for count, (_, sd) in spreads.items()}
        if self.epochs is not None:
            entry["epochs"] = float(self.epochs.mean())
        return entry


@dataclass(frozen=True, slots=True, eq=False)
class BenchResult:
    """The comparison, in the order of the request.

    Attributes:
        optimum: the table's best value of what was searched for.
        controllers: what every controller found.
        reference: by column, the point that hypervolumes are measured from; empty without costs.
    """

    optimum: float
    controllers: dict[str, ControllerResult]
    reference: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; ``reference`` is there with costs."""
        found: dict[str, Any] = {"optimum": self.optimum}
        if self.reference:
            found["reference"] = dict(self.reference)
        return {**found, "controllers": {name: result.to_json() for name, result in self.controllers.items()}}


def mean_and_sd(values: Array) -> list[float] | None:
    """Return mean and sample standard deviation (0 for one value) of the finite values; None without any."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    return [float(finite.mean()), float(finite.std(ddof=1)) if len(finite) > 1 else 0.0]
