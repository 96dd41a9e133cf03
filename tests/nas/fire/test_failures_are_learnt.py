"""Where failures depend on the architecture, controllers that learn propose failing ones less often than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controllers.registry import make_controller
from controllers.trial import Measurement, Status, Trial
from nas.executors.serial_executor import SerialExecutor
from nas.journal import Journal, read_journal
from nas.run import run_from_events
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from search_spaces.registry import get_space

SPACE = get_space("nasbench201")
KINDS: tuple[Status, ...] = ("diverged", "out_of_memory", "timeout", "error", "lost")
SEEDS, TRIALS = 20, 100
CHANCE = 1 / 5 + 4 / 5 * (2 / 5) * (2 / 5)  # the share of the space that fails


class Treacherous:
    """Fails by three choices, one of them alone and two together; all others have a worth drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.worth = np.random.default_rng(seed).normal(size=(len(SPACE.decisions), 5))

    def fails(self, trial: Trial) -> bool:
        choices = trial.architecture.choices
        return choices[0] == 3 or (choices[4] in (0, 1) and choices[5] in (0, 2))

    def evaluate(self, trial: Trial) -> Measurement:
        if self.fails(trial):
            return Measurement(KINDS[trial.number % len(KINDS)], error="as told")
        worth = sum(self.worth[i, choice] for i, choice in enumerate(trial.architecture.choices))
        return Measurement("ok", {"val_accuracy": float(1 / (1 + np.exp(-worth)))})


def failing_share(folder: Path, controller: str, seed: int) -> float:
    """Return the share of failures among the proposals of a search, as many results as asked for in it."""
    evaluator = Treacherous(seed)
    journal = Journal.create(folder, {"config": {}})
    screen = Screen(SPACE, Constraints(), lambda architecture: None)  # type: ignore[arg-type,return-value]
    loop = SearchLoop(make_controller(controller, SPACE, seed=seed), journal, screen)
    loop.run(SerialExecutor(evaluator), Limits(TRIALS))
    journal.close()
    records = run_from_events(folder, read_journal(folder).events).records
    assert sum(record.measurement.ok and record.reused_from is None for record in records) == TRIALS
    return float(np.mean([evaluator.fails(record.trial) for record in records]))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("controller", ["predictor", "evolution", "local", "reinforce", "optuna:tpe"])
def test_failing_points_are_proposed_less_often_than_by_chance(tmp_path: Path, controller: str) -> None:
    """The difference to random search with the same 20 seeds is at least four of its standard errors: one in 30,000."""
    shares = {
        name: np.array([failing_share(tmp_path / f"{name}-{seed}", name, seed) for seed in range(SEEDS)])
        for name in (controller, "random")
    }
    fewer = shares["random"] - shares[controller]
    error = fewer.std(ddof=1) / np.sqrt(SEEDS)
    mean = {name: f"{values.mean():.1%}" for name, values in shares.items()}
    print(f"\nfailing proposals: {mean}, a difference of {fewer.mean() / error:.1f} standard errors")
    assert shares["random"].mean() == pytest.approx(CHANCE, abs=0.04)
    assert fewer.mean() > 4 * error
