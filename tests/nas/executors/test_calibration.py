"""How many processes: more for as long as that pays and fits; measured by training in them."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from controllers.trial import Trial
from nas.data import ImageData, Split
from nas.evaluators.training_evaluator import TrainingEvaluator
from nas.executors.calibration import RATE, Load, Rehearsal, best_count, calibrate, choose_workers, measure_load
from nas.executors.child_executor import ChildExecutor
from nas.training.recipe import Recipe
from search_spaces.architecture import Blueprint
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=1")


@pytest.mark.parametrize(
    ("rates", "memory", "tried", "chosen"),
    [
        ({1: 100, 2: 180, 4: 250, 8: 260}, 0.05, [1, 2, 4, 8], 4),  # 8 are 4 % faster than 4
        ({1: 100, 2: 180, 4: 182, 8: 999}, 0.05, [1, 2, 4], 2),  # 4 gain nothing, so 8 are not tried
        ({1: 100, 2: 90}, 0.05, [1, 2], 1),
        ({1: 100, 2: 200, 4: 400}, 0.3, [1, 2], 2),  # four of them would take 1.2 of the memory
        ({1: 100, 2: 200, 4: 400, 8: 800}, 0.01, [1, 2, 4, 8], 8),
    ],
)
def test_more_processes_are_tried_while_they_pay_and_fit(
    rates: dict[int, float], memory: float, tried: list[int], chosen: int
) -> None:
    loads = calibrate(lambda count: Load(rates[count], memory * count))
    assert list(loads) == tried
    assert best_count(loads) == chosen


def evaluator() -> TrainingEvaluator:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (64, 1, 8, 8)).astype(np.uint8))
    split = Split(images, torch.from_numpy(rng.integers(0, 2, 64)))
    data = ImageData("noise", split, split, None, ("a", "b"))
    architecture = SPACE.sample(rng)
    blueprint = Blueprint(architecture, 8, channels=1, classes=2, stem="tiny", depth=1, width=4)
    return TrainingEvaluator(SPACE, blueprint, data, Recipe("test", epochs=2, batch_size=16), 0)


def test_a_rehearsal_trains_and_says_how_fast() -> None:
    given = evaluator()
    trial = Trial(0, SPACE.sample(np.random.default_rng(1)))
    measured = Rehearsal(given, window_s=0.2).evaluate(trial)
    assert measured.status == "ok"
    assert measured.seconds >= 0.2
    assert measured.metrics[RATE] > 4 / 0.2  # an epoch of four steps at least


def test_on_a_cpu_there_is_a_process_for_each_processor() -> None:
    processors = len(os.sched_getaffinity(0))
    for threads, expected in ((1, processors), (processors, 1), (100, 1)):
        settings = SimpleNamespace(threads=threads, device="cpu")
        assert choose_workers(evaluator(), settings, said=pytest.fail) == expected


@pytest.mark.slow
def test_processes_are_measured_together() -> None:
    load = measure_load(evaluator(), 2)
    assert load.steps_per_s > 2
    assert load.memory_share == 0


@pytest.mark.slow
def test_trainings_in_processes_come_to_what_they_come_to_one_after_the_other() -> None:
    """Bit for bit, whoever trains them and whatever was trained there before."""
    given, rng = evaluator(), np.random.default_rng(2)
    trials = [Trial(number, SPACE.sample(rng)) for number in range(4)]
    results = []
    for workers in (None, 2):
        executor = ChildExecutor(given, workers=workers)
        for trial in trials:
            executor.submit(trial)
        done: dict[int, float] = {}
        while len(done) < len(trials):
            done |= {one.trial.number: one.measurement.metrics["val_loss"] for one in executor.wait(10.0)}
        executor.close()
        results.append(done)
    assert results[0] == results[1]
