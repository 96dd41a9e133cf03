"""A trial's training when memory is short, its worker is lost, its loss is no number, or it cannot be built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from controllers.random_search import RandomSearch
from controllers.trial import Measurement, Trial
from nas.data import load_data
from nas.errors import DivergedError
from nas.evaluators import training_evaluator
from nas.evaluators.evaluator import evaluate_safely
from nas.evaluators.training_evaluator import TrainingEvaluator
from nas.executors.serial_executor import SerialExecutor
from nas.journal import Journal, read_journal
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from nas.training.checkpoint import Interim, interim_file, remove_interims
from nas.training.recipe import Recipe
from nas.training.training_loop import CHECKED_STEPS, Epoch, Training, train
from search_spaces.architecture import Blueprint
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=1")
TRIAL = Trial(3, SPACE.sample(np.random.default_rng(0)))
BLUEPRINT = Blueprint(TRIAL.architecture, 8, channels=1, classes=10, stem="tiny", depth=1, width=4)
DATA = load_data("digits", train_limit=200).for_search()
RECIPE = Recipe("test", epochs=4, batch_size=50, drop_path=0.2)


@pytest.fixture
def evaluator(tmp_path: Path) -> TrainingEvaluator:
    """Leaves its state after every epoch."""
    return TrainingEvaluator(SPACE, BLUEPRINT, DATA, RECIPE, seed=1, interim=tmp_path / "checkpoints", interim_s=0.0)


def comparable(measurement: Measurement) -> dict[str, float]:
    return {name: value for name, value in measurement.metrics.items() if not name.endswith("_s")}


# ------------------------------------------------------------------------------------------------- memory


class Hungry(nn.Module):
    """Wants more memory than there is for batches above a size; counts those that it was given."""

    def __init__(self, largest: int, error: Exception) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.largest, self.error = largest, error

    def forward(self, images: Tensor) -> Tensor:
        if self.training and len(images) > self.largest:
            raise self.error
        return self.layer(images.flatten(1))


CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def hungry(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Hungry]]:
    """Return a function that has every network want that much; it returns the list of those built."""

    def arrange(largest: int, error: Exception = CUDA) -> list[Hungry]:
        built: list[Hungry] = []

        def build(*arguments: Any, **settings: Any) -> nn.Module:
            torch.manual_seed(0)
            built.append(Hungry(largest, error))
            return built[-1]

        monkeypatch.setattr(training_evaluator, "build_seeded", build)
        return built

    return arrange


@pytest.mark.parametrize("error", [CUDA, MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_where_memory_is_short_the_batch_is_computed_in_halves(
    evaluator: TrainingEvaluator, hungry: Callable[..., list[Hungry]], error: Exception
) -> None:
    """A network without batch normalisation cannot tell: its result is that of plenty of memory."""
    hungry(50)
    plenty = evaluate_safely(evaluator, TRIAL)
    built = hungry(25, error)
    short = evaluate_safely(evaluator, TRIAL)
    assert short.ok, short.error
    assert len(built) == 2
    assert short.metrics["accumulation"] == 2
    assert "accumulation" not in plenty.metrics
    assert short.metrics["val_loss"] == pytest.approx(plenty.metrics["val_loss"], rel=1e-4)


def test_where_half_a_batch_is_too_much_the_trial_is_out_of_memory(
    evaluator: TrainingEvaluator, hungry: Callable[..., list[Hungry]]
) -> None:
    built = hungry(24)
    found = evaluate_safely(evaluator, TRIAL)
    assert (found.status, found.error) == ("out_of_memory", str(CUDA))
    assert len(built) == 2


def test_other_errors_are_not_tried_again(evaluator: TrainingEvaluator, hungry: Callable[..., list[Hungry]]) -> None:
    built = hungry(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    found = evaluate_safely(evaluator, TRIAL)
    assert (found.status, len(built)) == ("error", 1)
    assert found.error.endswith("mat1 and mat2 shapes cannot be multiplied")


# ---------------------------------------------------------------------------------------------- lost workers


class Killed(BaseException):
    """Ends a training as a kill does: nothing of ours catches it."""


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The epochs that are trained from now on; number `KILLER` of them is the last."""
    trained: list[int] = []
    run_epoch = Training.run_epoch

    def counted(training: Training) -> Epoch:
        if len(trained) == KILLER:
            trained.append(-1)
            raise Killed
        epoch = run_epoch(training)
        trained.append(epoch.index)
        return epoch

    monkeypatch.setattr(Training, "run_epoch", counted)
    return trained


KILLER = 3


@pytest.mark.parametrize("budget", [None, 4])
def test_a_lost_trial_goes_on_from_its_last_epoch_and_ends_as_if_undisturbed(
    evaluator: TrainingEvaluator, epochs: list[int], tmp_path: Path, budget: int | None
) -> None:
    trial = replace(TRIAL, budget=budget)
    with pytest.raises(Killed):
        evaluator.evaluate(trial)
    assert interim_file(tmp_path / "checkpoints", 3).exists()
    again = evaluator.evaluate(trial)
    assert epochs == [0, 1, 2, -1, 3]
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert comparable(again) == comparable(replace(evaluator, interim=None).evaluate(trial))
    assert again.metrics["epochs_spent"] == 4


def test_a_continued_trial_is_lost_and_found_as_well(
    evaluator: TrainingEvaluator, epochs: list[int], tmp_path: Path
) -> None:
    """The first trial trains one epoch, the second three more, and is killed before its last."""
    evaluator = replace(evaluator, checkpoints=tmp_path / "checkpoints")
    evaluator.evaluate(replace(TRIAL, budget=1))
    rest = replace(TRIAL, number=8, budget=4, continues=3)
    with pytest.raises(Killed):
        evaluator.evaluate(rest)
    again = evaluator.evaluate(rest)
    assert epochs == [0, 1, 2, -1, 3]
    assert again.metrics["epochs_spent"] == 3
    assert comparable(again)["val_loss"] == evaluator.evaluate(replace(TRIAL, number=3)).metrics["val_loss"]


def test_short_trials_leave_nothing_while_they_run(evaluator: TrainingEvaluator, monkeypatch: Any) -> None:
    written: list[int] = []
    monkeypatch.setattr(Interim, "write", lambda self, state: written.append(state.epochs))
    evaluator.evaluate(TRIAL)
    assert written == [1, 2, 3]
    replace(evaluator, interim_s=30.0).evaluate(TRIAL)
    assert written == [1, 2, 3]


def test_a_machine_without_the_runs_folder_is_left_alone(evaluator: TrainingEvaluator, tmp_path: Path) -> None:
    elsewhere = tmp_path / "run" / "checkpoints"
    assert replace(evaluator, interim=elsewhere).evaluate(TRIAL).ok
    assert not elsewhere.parent.exists()


def test_what_stopped_trials_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    interim_file(folder, 3).touch()
    (folder / "3-1.pt").touch()
    remove_interims(folder)
    assert [path.name for path in folder.iterdir()] == ["3-1.pt"]
    (folder / "3-1.pt").unlink()
    remove_interims(folder)
    remove_interims(folder)
    assert not folder.exists()


# ---------------------------------------------------------------------------------- divergence and build errors


def test_a_loss_that_is_no_number_ends_the_epoch_early() -> None:
    """An epoch has 200 steps; the loss is lost at the fourth."""
    network = Hungry(1000, CUDA)
    steps = 0

    def spoil(module: nn.Module, inputs: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == 4:
            with torch.no_grad():
                network.layer.weight.fill_(torch.nan)

    network.register_forward_pre_hook(spoil)
    with pytest.raises(DivergedError, match="loss became nan in epoch 1 of 1"):
        train(network, DATA, recipe=Recipe("test", epochs=1, batch_size=1), seed=0)
    assert len(DATA.train) == 200
    assert steps == CHECKED_STEPS


def test_a_diverged_trial_leaves_nothing(evaluator: TrainingEvaluator, tmp_path: Path, monkeypatch: Any) -> None:
    run_epoch = Training.run_epoch

    def run(training: Training) -> Epoch:
        if training.done == 2:
            raise DivergedError("the training loss became inf in epoch 3 of 4")
        return run_epoch(training)

    monkeypatch.setattr(Training, "run_epoch", run)
    assert evaluate_safely(evaluator, TRIAL).status == "diverged"
    assert list((tmp_path / "checkpoints").iterdir()) == []


def broken_layer() -> nn.Module:
    raise ValueError("kernel of size 7 on a map of 4")


def test_the_traceback_of_a_network_that_cannot_be_built_is_in_the_journal(
    evaluator: TrainingEvaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_evaluator, "build_seeded", lambda *arguments, **settings: broken_layer())
    journal = Journal.create(tmp_path / "run", {})
    screen = Screen(SPACE, Constraints(), lambda architecture: BLUEPRINT)
    loop = SearchLoop(RandomSearch(SPACE), journal, screen)
    reason = loop.run(SerialExecutor(evaluator), Limits(3, failures=2))
    journal.close()
    told = [event.data["measurement"] for event in read_journal(tmp_path / "run").events if event.kind == "told"]
    assert [one["status"] for one in told] == ["error", "error"]
    assert all(one["error"].startswith("Traceback (most recent call last)") for one in told)
    assert all("in broken_layer" in one["error"] and one["error"].endswith("on a map of 4") for one in told)
    assert "all of them: ValueError: kernel of size 7 on a map of 4" in reason
