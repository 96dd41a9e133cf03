"""What a benchmark of the engine found."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.training.clock import PHASES, Phase

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Side:
    """One way of training in one round.

    Attributes:
        seconds: wall time of the round.
        workers: trainings at a time.
        phases: seconds by phase, of all workers together.
        accuracies: share of validation images that are right, a network.
        steps: optimizer steps, all networks together.
    """

    seconds: float
    workers: int
    phases: Mapping[Phase, float]
    accuracies: tuple[float, ...]
    steps: int

    @property
    def networks_per_hour(self) -> float:
        """Networks that are trained and measured in an hour at this pace."""
        return len(self.accuracies) / self.seconds * SECONDS_AN_HOUR

    @property
    def step_ms(self) -> float:
        """Milliseconds from one optimizer step of a worker to its next."""
        inside = sum(seconds for phase, seconds in self.phases.items() if phase not in ("building", "evaluation"))
        return inside / self.steps * 1000

    def shares(self) -> dict[str, float]:
        """Return each phase's share of the workers' time; what is left is idle."""
        whole = self.seconds * self.workers
        found: dict[str, float] = {phase: self.phases.get(phase, 0.0) / whole for phase in PHASES}
        return {**found, "idle": max(0.0, 1 - sum(found.values()))}


@dataclass(frozen=True, slots=True)
class Round:
    """The same networks trained in both ways, one after the other."""

    ours: Side
    plain: Side | None

    @property
    def ratio(self) -> float | None:
        """Our networks per hour over the plain loop's."""
        return None if self.plain is None else self.plain.seconds / self.ours.seconds


@dataclass(frozen=True, slots=True)
class EngineResult:
    """All rounds.

    Attributes:
        stream: its name.
        device: where both ran.
        rounds: in order.
        threads: of torch: in a worker of ours, and in the plain loop.
        again: accuracies of ours with another seed, for what seeds alone change; empty where not asked for.
    """

    stream: str
    device: str
    rounds: tuple[Round, ...]
    threads: tuple[int, int]
    again: tuple[float, ...] = field(default=())

    @property
    def ratios(self) -> tuple[float, ...]:
        """Speed over the plain loop's, a round."""
        return tuple(one.ratio for one in self.rounds if one.ratio is not None)

    def side(self, name: str) -> Side | None:
        """Return ``ours`` or ``plain`` over all rounds; None where it was not run."""
        sides = [getattr(one, name) for one in self.rounds]
        if None in sides:
            return None
        phases = {phase: sum(side.phases.get(phase, 0.0) for side in sides) for phase in PHASES}
        accuracies = tuple(accuracy for side in sides for accuracy in side.accuracies)
        seconds, steps = sum(side.seconds for side in sides), sum(side.steps for side in sides)
        return Side(seconds, sides[0].workers, phases, accuracies, steps)

    def difference(self) -> tuple[float, float] | None:
        """Return mean and standard error of our accuracies less the plain loop's, network by network."""
        ours, plain = self.side("ours"), self.side("plain")
        return None if ours is None or plain is None else _paired(ours.accuracies, plain.accuracies)

    def seed_difference(self) -> tuple[float, float] | None:
        """Return the same of ours with two seeds."""
        ours = self.side("ours")
        return _paired(ours.accuracies, self.again) if ours and self.again else None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        sides = {name: self._side_json(name) for name in ("ours", "plain") if self.side(name)}
        return {
            "stream": self.stream,
            "device": self.device,
            "threads": {"ours": self.threads[0], "plain": self.threads[1]},
            **sides,
            "ratios": list(self.ratios),
            "accuracy_difference": self.difference(),
            "seed_difference": self.seed_difference(),
        }

    def _side_json(self, name: str) -> dict[str, Any]:
        side = self.side(name)
        assert side is not None
        return {
            "networks": len(side.accuracies),
            "networks_per_hour": side.networks_per_hour,
            "workers": side.workers,
            "step_ms": side.step_ms,
            "shares": side.shares(),
            "val_accuracy": list(side.accuracies),
        }


def _paired(ours: tuple[float, ...], others: tuple[float, ...]) -> tuple[float, float] | None:
    differences = [a - b for a, b in zip(ours, others, strict=True)]
    if len(differences) < 2:
        return None
    return statistics.mean(differences), statistics.stdev(differences) / len(differences) ** 0.5
