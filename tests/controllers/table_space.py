"""A small synthetic space with a known score for every network, and ways to run a controller on it.

As a script, it prints what controllers ask for in a fresh process: `python table_space.py NAME ...`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from controllers import Controller, Measurement, Objective, Record, Trial, make_controller
from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
from search_spaces.space import SearchSpace

Evaluate = Callable[[Trial], Measurement]

# Settings with which every controller starts to learn after a handful of trials.
QUICK: dict[str, dict[str, Any]] = {
    "evolution": {"population": 4, "tournament": 2},
    "asha": {"budgets": [1, 3, 9], "population": 4, "tournament": 2},
    "halving": {"budgets": [1, 3, 9], "population": 4, "tournament": 2},
    "hyperband": {"budgets": [1, 3, 9], "population": 4, "tournament": 2},
    "nsga2": {"population": 4},
    "rnn": {"minibatch": 2},
    "ppo": {"minibatch": 2},
    "reinforce": {"minibatch": 2},
    "optuna:gp": {"n_startup_trials": 3},
    "optuna:nsga2": {"population_size": 4},
    "optuna:nsga3": {"population_size": 4},
    "optuna:tpe": {"n_startup_trials": 3},
}


class TableSpace(SearchSpace):
    """Networks scored by a table: an effect of every choice and of every pair of choices, in (0, 1).

    The first decision has no effect of its own, so that a test can let one of its options fail. The last
    `num_equal` options of every decision give the same network.
    """

    def __init__(self, num_decisions: int = 6, num_options: int = 5, *, num_equal: int = 1, table: int = 0) -> None:
        decisions = [Decision(f"d{i}", tuple(range(num_options))) for i in range(num_decisions)]
        super().__init__("table", decisions)
        self._last = num_options - num_equal
        rng = np.random.default_rng(table)
        single = rng.normal(size=(num_decisions, num_options))
        pairs = 0.5 * rng.normal(size=(num_decisions, num_decisions, num_options, num_options))
        single[0], pairs[0], pairs[:, 0] = 0, 0, 0
        self._single, self._pairs = single, pairs
        self.num_keys = 0

    def network(self, architecture: Architecture) -> tuple[int, ...]:
        return tuple(min(choice, self._last) for choice in architecture.choices)

    def key(self, architecture: Architecture) -> str:
        self.num_keys += 1
        return "-".join(map(str, self.network(architecture)))

    def score(self, architecture: Architecture) -> float:
        choices = np.array(self.network(architecture))
        i, j = np.triu_indices(len(choices), k=1)
        total = self._single[np.arange(len(choices)), choices].sum() + self._pairs[i, j, choices[i], choices[j]].sum()
        return float(1 / (1 + np.exp(-total / 4)))

    def build(self, blueprint: Blueprint) -> nn.Module:
        raise NotImplementedError

    def complexity(self, blueprint: Blueprint) -> Complexity:
        raise NotImplementedError


def ok(score: float, **metrics: float) -> Measurement:
    return Measurement("ok", {"val_accuracy": score, **metrics})


def failed() -> Measurement:
    return Measurement("error", error="out of luck")


def by_table(space: TableSpace) -> Evaluate:
    return lambda trial: ok(space.score(trial.architecture))


def run(controller: Controller, evaluate: Evaluate, num_trials: int) -> list[Record]:
    """Ask, evaluate and tell one trial after the other; stop early when the space is exhausted."""
    records = []
    for _ in range(num_trials):
        for trial in controller.ask():
            records.append(Record(trial, evaluate(trial)))
            controller.tell(records[-1:])
    return records


def run_late(controller: Controller, evaluate: Evaluate, num_trials: int) -> list[tuple[str, Any]]:
    """Run as with four workers whose results come out of order; return the events: asked trials, told records."""
    events: list[tuple[str, Any]] = []
    while len(controller.pending) < 4:
        events += [("asked", trial) for trial in controller.ask()]
    for step in range(num_trials):
        trial = controller.pending[(step * 7) % 4]
        record = Record(trial, failed() if step % 5 == 3 else evaluate(trial))
        controller.tell([record])
        events += [("told", record), *(("asked", trial) for trial in controller.ask())]
    return events


def best_score(records: list[Record]) -> float:
    return max(record.measurement.metrics["val_accuracy"] for record in records)


def quick(name: str, space: SearchSpace, *, seed: int = 0, objectives: tuple[Objective, ...] = (Objective(),)) -> Any:
    return make_controller(name, space, objectives, seed, QUICK.get(name))


def trace(name: str, *, seed: int) -> list[dict[str, Any]]:
    """Return what a controller asks for in sixteen rounds."""
    space = TableSpace()
    trials = [record.trial for record in run(quick(name, space, seed=seed), by_table(space), 16)]
    return [{"choices": list(trial.architecture.choices), "parents": list(trial.parents)} for trial in trials]


if __name__ == "__main__":
    print(json.dumps({name: trace(name, seed=0) for name in sys.argv[1:]}))
