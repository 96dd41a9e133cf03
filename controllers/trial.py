"""The values between a controller and whoever evaluates: trials, measurements, records, objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from search_spaces.architecture import Architecture, expect_keys
from search_spaces.checks import check_list, check_number, check_text, check_whole, is_finite, shown
from search_spaces.errors import InvalidInputError, UnknownNameError

Status = Literal["ok", "infeasible", "diverged", "out_of_memory", "timeout", "error", "lost"]
STATUSES: tuple[str, ...] = get_args(Status)
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class Trial:
    """A network to evaluate.

    Attributes:
        number: counts from 0 in the order of asking.
        architecture: what to build.
        budget: epochs that the network has behind it at the end; None for the recipe's full length.
        parents: numbers of the trials that it was made from.
        continues: number of the trial that trained this network first; None when this is the first.
    """

    number: int
    architecture: Architecture
    budget: int | None = None
    parents: tuple[int, ...] = ()
    continues: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers and budgets below their smallest value, and a continuation of what comes later."""
        check_whole("a trial's number", self.number, least=0)
        if self.budget is not None:
            check_whole("a trial's budget in epochs", self.budget, least=1)
        for parent in self.parents:
            check_whole("a trial's parent", parent, least=0)
        if self.continues is not None:
            check_whole("the trial that another continues", self.continues)
            if not 0 <= self.continues < self.number:
                raise InvalidInputError(
                    f"trial {self.number} can continue an earlier trial only, got {self.continues}."
                )

    @property
    def root(self) -> int:
        """Number of the trial that trained this network first: this one's own, unless it continues another."""
        return self.number if self.continues is None else self.continues

    @property
    def fidelity(self) -> float:
        """The budget as a number that compares: infinity for the recipe's full length."""
        return math.inf if self.budget is None else self.budget

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "number": self.number,
            "architecture": self.architecture.to_json(),
            "budget": self.budget,
            "parents": list(self.parents),
            "continues": self.continues,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; trials written before any could be continued lack that key.

        Raises:
            InvalidInputError: a key is missing or unknown, or a value is of the wrong kind or out of range.
        """
        if isinstance(data, dict):
            data = {"continues": None, **data}
        expect_keys("trial", data, {"number", "architecture", "budget", "parents", "continues"})
        return cls(
            number=data["number"],
            architecture=Architecture.from_json(data["architecture"]),
            budget=data["budget"],
            parents=tuple(check_list("a trial's parents", data["parents"])),
            continues=data["continues"],
        )


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an evaluation found, or why it found nothing.

    Attributes:
        status: ``ok``, or the kind of failure.
        metrics: finite numbers by name, with units in the names (``val_accuracy`` in [0, 1], ``macs``, ``train_s``).
        seconds: wall time of the evaluation.
        error: the failure's text; empty when ``ok``.
    """

    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""

    def __post_init__(self) -> None:
        """Refuse an unknown status and numbers that JSON and comparisons cannot hold."""
        if self.status not in STATUSES:
            raise UnknownNameError("status", str(self.status), STATUSES)
        for name, value in self.metrics.items():
            if not is_finite(value):
                raise InvalidInputError(
                    f"metric {name!r} must be finite, got {shown(value)}: record a failure instead."
                )
        check_number("seconds of a measurement", self.seconds)
        check_text("the error of a measurement", self.error)
        object.__setattr__(self, "metrics", dict(self.metrics))

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.status == "ok"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"status": self.status, "metrics": self.metrics, "seconds": self.seconds, "error": self.error}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: a key is missing or unknown, or a value is of the wrong kind or out of range.
        """
        expect_keys("measurement", data, {"status", "metrics", "seconds", "error"})
        if not isinstance(data["metrics"], dict):
            raise InvalidInputError(f"metrics of a measurement must be a JSON object, got {shown(data['metrics'])}.")
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal: a trial, what came of it, and how to repeat it.

    Attributes:
        trial: what was evaluated.
        measurement: what was found.
        seed: the seed that the evaluation drew from.
        worker: who evaluated it.
        time: end of the evaluation, seconds since 1970 (UTC).
        reused_from: number of the trial whose result this is, when the same network was already evaluated.
    """

    trial: Trial
    measurement: Measurement
    seed: int = 0
    worker: str = ""
    time: float = 0.0
    reused_from: int | None = None

    def __post_init__(self) -> None:
        """Refuse what a journal could not hold or a report could not show."""
        check_whole("the seed of a record", self.seed)
        check_text("the worker of a record", self.worker)
        check_number("the time of a record", self.time)
        if self.reused_from is not None:
            check_whole("the trial that a result is reused from", self.reused_from, least=0)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "trial": self.trial.to_json(),
            "measurement": self.measurement.to_json(),
            "seed": self.seed,
            "worker": self.worker,
            "time": self.time,
            "reused_from": self.reused_from,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: a key is missing or unknown, or a value is of the wrong kind or out of range.
        """
        expect_keys("record", data, {"trial", "measurement", "seed", "worker", "time", "reused_from"})
        parsed = {**data, "trial": Trial.from_json(data["trial"])}
        return cls(**{**parsed, "measurement": Measurement.from_json(data["measurement"])})


@dataclass(frozen=True, slots=True)
class Objective:
    """What is searched for; the one place that knows which sign is better.

    With a `target`, the metric is weighed against a cost as MnasNet and EfficientNet do
    (Tan 2019, eq. 2): metric x (cost / target)^weight.

    Attributes:
        metric: name of a metric of `Measurement`.
        direction: whether larger or smaller is better.
        cost: name of the metric weighed against, used with `target`.
        target: the cost that leaves the metric as it is; None for no weighing.
        weight: the exponent; -0.07 as published.
    """

    metric: str = "val_accuracy"
    direction: Direction = "maximize"
    cost: str = "macs"
    target: float | None = None
    weight: float = -0.07

    def __post_init__(self) -> None:
        """Refuse an unknown direction and a target that cannot divide."""
        check_text("an objective's metric", self.metric)
        check_text("an objective's cost", self.cost)
        check_number("an objective's weight", self.weight)
        if self.direction not in get_args(Direction):
            raise UnknownNameError("direction", str(self.direction), get_args(Direction))
        if self.target is not None and not (is_finite(self.target) and self.target > 0):
            raise InvalidInputError(f"an objective's target must be larger than 0, got {shown(self.target)}.")

    def score(self, measurement: Measurement) -> float | None:
        """Return the number to maximise, or None when there is no result.

        Raises:
            InvalidInputError: the measurement is ``ok`` but lacks a metric of this objective.
        """
        if not measurement.ok:
            return None
        value = self._metric(measurement, self.metric)
        if self.target is not None:
            value *= (self._metric(measurement, self.cost) / self.target) ** self.weight
        return value if self.direction == "maximize" else -value

    @staticmethod
    def _metric(measurement: Measurement, name: str) -> float:
        if name not in measurement.metrics:
            raise UnknownNameError("metric", name, measurement.metrics)
        return float(measurement.metrics[name])

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "metric": self.metric,
            "direction": self.direction,
            "cost": self.cost,
            "target": self.target,
            "weight": self.weight,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: a key is missing or unknown, or a value is of the wrong kind or out of range.
        """
        expect_keys("objective", data, {"metric", "direction", "cost", "target", "weight"})
        return cls(**data)
