"""The contract of an evaluator: failures become measurements, the same trial gives the same metrics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from controllers.trial import Measurement, Trial
from nas.data import load_data
from nas.errors import DivergedError, InvalidInputError
from nas.evaluators.evaluator import evaluate_safely, trial_seed
from nas.evaluators.training_evaluator import TrainingEvaluator
from nas.training.recipe import Recipe
from search_spaces.architecture import Blueprint
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=2")
TRIAL = Trial(3, SPACE.sample(np.random.default_rng(0)))


@pytest.fixture(scope="module")
def evaluator() -> TrainingEvaluator:
    blueprint = Blueprint(TRIAL.architecture, 8, channels=1, classes=10, stem="tiny", depth=1, width=4)
    data = load_data("digits", train_limit=200).for_search()
    return TrainingEvaluator(SPACE, blueprint, data, Recipe("test", epochs=2, batch_size=50), seed=1)


def comparable(measurement: Measurement) -> dict[str, float]:
    return {name: value for name, value in measurement.metrics.items() if not name.endswith("_s")}


def test_metrics_have_their_units_and_ranges(evaluator: TrainingEvaluator) -> None:
    found = evaluate_safely(evaluator, TRIAL)
    cost = SPACE.complexity(replace(evaluator.blueprint, network=TRIAL.architecture))
    assert found.ok
    assert 0 <= found.metrics["val_accuracy"] <= 1
    assert (found.metrics["params"], found.metrics["macs"]) == (cost.params, cost.macs)
    assert found.metrics["epochs"] == 2
    assert 0 < found.metrics["train_s"] <= found.seconds
    assert all(type(value) in (int, float) for value in found.metrics.values())


def test_same_trial_gives_the_same_metrics_and_another_number_others(evaluator: TrainingEvaluator) -> None:
    first = evaluate_safely(evaluator, TRIAL)
    assert comparable(first) == comparable(evaluate_safely(evaluator, TRIAL))
    assert comparable(first) != comparable(evaluate_safely(evaluator, replace(TRIAL, number=4)))


def test_a_budget_stops_the_recipe_early(evaluator: TrainingEvaluator) -> None:
    """The first of two epochs of a cosine, not a cosine of one epoch."""
    stopped = evaluate_safely(evaluator, replace(TRIAL, budget=1)).metrics
    short = evaluate_safely(replace(evaluator, recipe=replace(evaluator.recipe, epochs=1)), TRIAL).metrics
    assert (stopped["epochs"], stopped["epochs_spent"]) == (short["epochs"], short["epochs_spent"]) == (1, 1)
    assert stopped["val_loss"] != short["val_loss"]


def test_a_budget_above_the_recipe_is_refused(evaluator: TrainingEvaluator) -> None:
    with pytest.raises(InvalidInputError, match="at most the 2 epochs of recipe 'test', got 3"):
        evaluator.evaluate(replace(TRIAL, budget=3))


ROOT = replace(TRIAL, budget=1)
NEXT = replace(TRIAL, number=8, budget=2, continues=3)
FULL = replace(TRIAL, number=11, budget=3, continues=3)


def without_cost(measurement: Measurement) -> dict[str, float]:
    return {name: value for name, value in comparable(measurement).items() if name != "epochs_spent"}


@pytest.fixture
def continuing(evaluator: TrainingEvaluator, tmp_path: Path) -> TrainingEvaluator:
    recipe = replace(evaluator.recipe, epochs=3, drop_path=0.2)
    return replace(evaluator, recipe=recipe, checkpoints=tmp_path / "checkpoints")


@pytest.mark.parametrize("lost", [(), (2,), (1, 2)])
def test_rung_by_rung_is_straight_through(continuing: TrainingEvaluator, lost: tuple[int, ...]) -> None:
    """Whichever checkpoints are lost, the accuracy and losses are the same; only what is paid differs."""
    assert continuing.checkpoints is not None
    straight = continuing.evaluate(replace(TRIAL, budget=3))
    assert list(continuing.checkpoints.glob("*")) == []
    spent = []
    for trial in (ROOT, NEXT, FULL):
        found = continuing.evaluate(trial)
        assert found.metrics["epochs"] == trial.budget
        spent.append(found.metrics["epochs_spent"])
        if trial.budget in lost:
            (continuing.checkpoints / f"3-{trial.budget}.pt").unlink()
    assert without_cost(found) == without_cost(straight)
    assert spent == {(): [1, 1, 1], (2,): [1, 1, 2], (1, 2): [1, 2, 3]}[lost]
    assert list(continuing.checkpoints.glob("*")) == []


def test_without_a_folder_continued_trials_begin_again(continuing: TrainingEvaluator, tmp_path: Path) -> None:
    forgetful = replace(continuing, checkpoints=None)
    found = [forgetful.evaluate(trial) for trial in (ROOT, FULL)]
    assert [m.metrics["epochs_spent"] for m in found] == [1, 3]
    assert list(tmp_path.glob("*")) == []


def test_a_checkpoint_of_another_recipe_is_not_gone_on_with(continuing: TrainingEvaluator) -> None:
    continuing.evaluate(ROOT)
    other = replace(continuing, recipe=replace(continuing.recipe, learning_rate=0.01))
    assert other.evaluate(FULL).metrics["epochs_spent"] == 3


def test_a_trial_that_is_run_again_goes_on_from_the_same_place(continuing: TrainingEvaluator) -> None:
    """Killed between its checkpoint and the journal's line, it finds its own checkpoint and does not start there."""
    continuing.evaluate(ROOT)
    assert comparable(continuing.evaluate(NEXT)) == comparable(continuing.evaluate(NEXT))


def test_equal_networks_drawn_differently_score_the_same(evaluator: TrainingEvaluator) -> None:
    """What lets a stored result stand for a new drawing of the same network."""
    options = SPACE.options(TRIAL.architecture)
    swapped = dict(options)
    for what in ("state", "operation"):
        left, right = f"normal_block0_left_{what}", f"normal_block0_right_{what}"
        swapped[left], swapped[right] = options[right], options[left]
    twin = SPACE.from_options(swapped)
    assert twin != TRIAL.architecture
    assert SPACE.key(twin) == SPACE.key(TRIAL.architecture)
    assert comparable(evaluator.evaluate(TRIAL)) == comparable(evaluator.evaluate(replace(TRIAL, architecture=twin)))


def test_the_search_cannot_reach_the_test_images(evaluator: TrainingEvaluator) -> None:
    with pytest.raises(ValueError, match="held back"):
        _ = evaluator.data.test


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DivergedError("nan"), "diverged"),
        (MemoryError("no"), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), "out_of_memory"),
        (RuntimeError("shapes differ"), "error"),
        (ValueError("x"), "error"),
    ],
)
def test_exceptions_become_measurements(error: Exception, status: str) -> None:
    class Failing:
        def evaluate(self, trial: Trial) -> Measurement:
            raise error

    found = evaluate_safely(Failing(), TRIAL)
    assert found.status == status
    assert str(error) in found.error
    assert found.seconds >= 0


def test_diverging_network_is_a_measurement(evaluator: TrainingEvaluator) -> None:
    wild = replace(evaluator, recipe=Recipe("wild", epochs=2, batch_size=50, learning_rate=1e30, gradient_clip=0.0))
    found = evaluate_safely(wild, TRIAL)
    assert found.status == "diverged"


def test_interruption_is_not_swallowed() -> None:
    class Interrupted:
        def evaluate(self, trial: Trial) -> Measurement:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_safely(Interrupted(), TRIAL)


def test_seeds_differ_between_trials_and_runs() -> None:
    seeds = {trial_seed(run, replace(TRIAL, number=number)) for run in range(5) for number in range(50)}
    assert len(seeds) == 250


def test_a_continued_network_keeps_its_seed() -> None:
    assert trial_seed(1, NEXT) == trial_seed(1, TRIAL)
