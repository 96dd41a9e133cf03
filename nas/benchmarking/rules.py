"""What a comparison is about: a metric, costs beside it, and at which fidelities networks are measured.

Here the table's own columns become objectives, the optimum, and the scale of hypervolumes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from controllers.trial import Direction, Measurement, Objective
from nas.errors import InvalidInputError, UnknownNameError
from nas.evaluators.table import Table
from nas.hypervolume import hypervolume, non_dominated

Array = npt.NDArray[np.float64]
Reference = Literal["median", "nadir", "worst"]


@dataclass(frozen=True, slots=True)
class BenchRules:
    """What a comparison is about beyond its metric.

    Attributes:
        costs: columns to keep small: further objectives, or with a target one that is weighed against the metric.
        target: the cost that leaves the metric as it is (Tan 2019, eq. 2); None for no weighing.
        weight: the exponent; None for -0.07 as published, or 0.07 where less of the metric is better.
        reference: which point hypervolumes are measured from, see `front_scale`; None for the first of `median`,
            `nadir` and `worst` that leaves the table's front a volume.
        prior: column that is known before anything is evaluated, for the controllers that can use one.
        fidelities: by epochs, the column that holds the metric after them; empty where evaluations have no length.
        epochs: a run ends before it would spend more; None to count trials.
    """

    costs: tuple[str, ...] = ()
    target: float | None = None
    weight: float | None = None
    reference: Reference | None = None
    prior: str | None = None
    fidelities: Mapping[int, str] = field(default_factory=dict)
    epochs: int | None = None

    def __post_init__(self) -> None:
        """Refuse parts that do not go together."""
        object.__setattr__(self, "fidelities", dict(self.fidelities))
        if len(set(self.costs)) < len(self.costs):
            raise InvalidInputError(f"costs are columns, each named once, got {', '.join(self.costs)}.")
        if self.target is not None and len(self.costs) != 1:
            raise InvalidInputError(
                f"a target belongs to exactly one cost, got {len(self.costs)}: name one with --cost."
            )
        if self.weight is not None and self.target is None:
            raise InvalidInputError(f"a weight needs a target, got weight {self.weight:g} alone: add --target.")
        if self.reference is not None and self.reference not in get_args(Reference):
            raise UnknownNameError("reference", str(self.reference), get_args(Reference))
        if self.reference is not None and not self.costs:
            raise InvalidInputError("a reference is for hypervolumes, which need costs: add --cost.")
        self._check_lengths()

    def _check_lengths(self) -> None:
        for epochs in self.fidelities:
            if epochs < 1:
                raise InvalidInputError(f"a fidelity is a number of epochs >= 1, got {epochs}.")
        if self.epochs is not None and not self.fidelities:
            raise InvalidInputError("epochs can be counted only where a column has a length: add --fidelity.")
        if self.epochs is not None and self.epochs < max(self.fidelities):
            raise InvalidInputError(
                f"epochs must allow one evaluation of {max(self.fidelities)}, got {self.epochs}: allow more."
            )

    @property
    def full_epochs(self) -> int | None:
        """Epochs of an evaluation in full; None where evaluations have no length."""
        return max(self.fidelities, default=None)

    def objectives(self, metric: str, direction: Direction) -> tuple[Objective, ...]:
        """Return what controllers are to search for.

        Raises:
            InvalidInputError: a weight that would reward the cost, or a fidelity that is not the metric's.
        """
        if self.fidelities and self.fidelities[max(self.fidelities)] != metric:
            raise InvalidInputError(
                f"the metric is the column of the highest fidelity, got metric {metric!r} "
                f"and {self.fidelities[max(self.fidelities)]!r} after {max(self.fidelities)} epochs: make them one."
            )
        if metric in self.costs:
            raise InvalidInputError(f"a cost is another column than the metric, got {metric!r} for both.")
        if self.target is None:
            return (Objective(metric, direction), *(Objective(cost, "minimize") for cost in self.costs))
        sign = -1 if direction == "maximize" else 1
        weight = sign * 0.07 if self.weight is None else self.weight
        if weight * sign < 0:
            raise InvalidInputError(f"a weight of {weight:g} would reward a large cost: give {-weight:g}.")
        return (Objective(metric, direction, cost=self.costs[0], target=self.target, weight=weight),)


def complete_rows(table: Table, rules: BenchRules, *, metric: str) -> Table:
    """Return a table in which a row without one of the costs has no metric either, so that it counts as failed.

    Rows that are the same network but differ in a cost come out as different ones: a network that is drawn with
    dead parts costs what they cost, and a search that sees one drawing of it may miss the cheap one.

    Raises:
        UnknownNameError: no such column.
        InvalidInputError: a column, or all of them together, without any row; a cost <= 0 that is to be weighed.
    """
    known = np.isfinite(table.column(metric))
    for cost in rules.costs:
        values = table.column(cost)
        if rules.target is not None and np.nanmin(values) <= 0:
            raise InvalidInputError(f"a cost with a target is larger than 0, got {np.nanmin(values):g} in {cost!r}.")
        known &= np.isfinite(values)
    if not known.any():
        raise InvalidInputError(f"no row has all of {', '.join((metric, *rules.costs))}: use other columns.")
    masked = {name: np.where(known, table.column(name), np.nan) for name in (metric, *rules.fidelities.values())}
    classes = None if differing_costs(table, rules.costs) else table.classes
    return Table(table.ops, {**table.columns, **masked}, classes)


def differing_costs(table: Table, costs: Sequence[str]) -> list[str]:
    """Return those costs in which rows of one network differ."""
    if table.classes is None:
        return []
    order = np.argsort(table.classes, kind="stable")
    same = np.diff(table.classes[order]) == 0
    return [cost for cost in costs if (same & (np.diff(table.column(cost)[order]) != 0)).any()]


def values_of_rows(table: Table, objective: Objective) -> Array:
    """Return what each row that has a metric is worth by an objective, in its unit, (measured rows,).

    By the same arithmetic as in a search, or equal values would differ in their last digit.
    """
    if objective.target is None:
        column = table.column(objective.metric)
        return column[np.isfinite(column)]
    pairs = zip(table.column(objective.metric).tolist(), table.column(objective.cost).tolist(), strict=True)
    return np.array(
        [
            value_of(objective, Measurement("ok", {objective.metric: value, objective.cost: cost}))
            for value, cost in pairs
            if math.isfinite(value)
        ]
    )


def value_of(objective: Objective, measurement: Measurement) -> float:
    """Return what a measurement is worth in the objective's own unit, which may be one to minimise; NaN for none."""
    score = objective.score(measurement)
    if score is None:
        return math.nan
    return score if objective.direction == "maximize" else -score


@dataclass(frozen=True, slots=True, eq=False)
class FrontScale:
    """What hypervolumes are measured by.

    Attributes:
        objectives: of the front, the metric first.
        reference: (objectives,) scores of the point that volumes start at.
        volume: of the front of the whole table; > 0.
    """

    objectives: tuple[Objective, ...]
    reference: Array
    volume: float

    def named_reference(self) -> dict[str, float]:
        """Return the reference by column, in the columns' own units."""
        pairs = zip(self.objectives, self.reference.tolist(), strict=True)
        return {o.metric: score if o.direction == "maximize" else -score for o, score in pairs}


def front_scale(table: Table, objectives: tuple[Objective, ...], *, reference: Reference | None) -> FrontScale:
    """Return the scale of hypervolumes on a table.

    - ``median``: the median of every column over the measured rows. So a network counts where it beats what a
      draw is worth, in everything; the unit, the spread and the few worst networks do not matter.
    - ``nadir``: the worst of every column over the table's own front (as usual for known fronts). Where an end
      of the front is a network that learnt nothing but is small, that end alone fixes it.
    - ``worst``: the worst of every column over the table, which any network beats.

    Args:
        table: its rows without a metric are left out.
        objectives: of the front.
        reference: one of them; None for the first that leaves a volume.

    Raises:
        InvalidInputError: no row is better than the reference in every objective.
    """
    signs = np.array([1.0 if objective.direction == "maximize" else -1.0 for objective in objectives])
    rows = np.column_stack([table.column(objective.metric) for objective in objectives]) * signs
    scores = rows[np.isfinite(rows).all(axis=1)]
    corners = {
        "median": np.median(scores, axis=0),
        "nadir": non_dominated(scores).min(axis=0),
        "worst": scores.min(axis=0),
    }
    for name in (reference,) if reference else get_args(Reference):
        volume = hypervolume(scores, reference=corners[name])
        if volume > 0:
            return FrontScale(objectives, corners[name], volume)
    columns = ", ".join(objective.metric for objective in objectives)
    raise InvalidInputError(
        f"no row beats the reference {reference or 'worst'!r} in all of {columns}: "
        "use another reference, or other columns."
    )
