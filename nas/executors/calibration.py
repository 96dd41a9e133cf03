"""How many processes to evaluate in: one a processor, or on a GPU as many as make it faster, found by trying.

Small networks leave a GPU idle between their kernels, so several at a time are faster, up to a number that depends on
the networks and the card. Processes take turns on a card unless CUDA's Multi-Process Service runs
(`nvidia-cuda-mps-control -d`), under which their kernels run side by side; what is found holds for how it was then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from controllers.trial import Measurement, Trial
from nas.errors import NASError
from nas.evaluators.evaluator import Evaluator, trial_seed
from nas.evaluators.training_evaluator import TrainingEvaluator, build_seeded
from nas.executors.child_executor import ChildExecutor
from nas.training.training_loop import Training
from search_spaces.randomness import derive_generator

COUNTS = (1, 2, 4, 8)
GAIN = 0.05  # twice as many processes that train less than this share faster are not worth their memory
WINDOW_S = 4.0  # that each process trains for; a step takes milliseconds
STEPS = 20  # at a time, between two looks at the clock
RATE, MEMORY = "steps_per_s", "memory_share"


@dataclass(frozen=True, slots=True)
class Load:
    """What so many processes at a time do together.

    Attributes:
        steps_per_s: training steps a second, of all of them.
        memory_share: of the card's memory, taken while all of them train, in [0, 1].
    """

    steps_per_s: float
    memory_share: float = 0.0


class _Settings(Protocol):
    @property
    def threads(self) -> int: ...
    @property
    def device(self) -> str: ...


def calibrate(measure: Callable[[int], Load], *, counts: Sequence[int] = COUNTS) -> dict[int, Load]:
    """Measure more and more processes for as long as that pays and they fit; return what was measured.

    Args:
        measure: says what so many processes do together.
        counts: numbers to try, rising.
    """
    loads: dict[int, Load] = {}
    for count in counts:
        last = loads[max(loads)] if loads else None
        if last is not None and last.memory_share * count / max(loads) > 1:
            break  # each takes what each took before
        loads[count] = measure(count)
        if last is not None and loads[count].steps_per_s < last.steps_per_s * (1 + GAIN):
            break
    return loads


def best_count(loads: dict[int, Load]) -> int:
    """Return the smallest number of processes that is less than `GAIN` slower than the fastest."""
    fastest = max(load.steps_per_s for load in loads.values())
    return min(count for count, load in loads.items() if load.steps_per_s * (1 + GAIN) > fastest)


def choose_workers(evaluator: Evaluator, settings: _Settings, *, said: Callable[[str], None]) -> int:
    """Return how many processes to evaluate in.

    Args:
        evaluator: what they will do; only trainings on a GPU are tried, others get a process for each processor.
        settings: torch threads of each process, and the device.
        said: told what was found.

    Raises:
        NASError: not even one process can train.
    """
    device = torch.device(settings.device)
    if device.type == "cpu" or not isinstance(evaluator, TrainingEvaluator):
        return max(1, len(os.sched_getaffinity(0)) // settings.threads)
    loads = calibrate(lambda count: measure_load(evaluator, count, threads=settings.threads))
    chosen = best_count(loads)
    rates = ", ".join(f"{count}: {load.steps_per_s:,.0f} steps/s" for count, load in loads.items())
    said(f"{chosen} processes on {settings.device} ({rates})")
    return chosen


def measure_load(evaluator: TrainingEvaluator, count: int, *, threads: int = 1) -> Load:
    """Return what so many processes do together when each trains a random network of the space for some seconds.

    Raises:
        NASError: one of them fails, as where memory does not suffice for the first.
    """
    executor = ChildExecutor(Rehearsal(evaluator), workers=count, threads=threads)
    rng = derive_generator(evaluator.seed, 0, "calibration")
    try:
        for number in range(count):
            executor.submit(Trial(number, evaluator.space.sample(rng)))
        done: list[Measurement] = []
        while len(done) < count:
            done += [completion.measurement for completion in executor.wait(1.0)]
    finally:
        executor.close()
    failed = [one for one in done if one.status != "ok"]
    if failed and count == 1:
        raise NASError(f"a network of the space cannot be trained on {evaluator.device}: {failed[0].error}")
    if failed:
        return Load(0.0, 1.0)  # too many
    return Load(float(np.sum([one.metrics[RATE] for one in done])), max(one.metrics[MEMORY] for one in done))


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Trains every trial for a few seconds and says how fast, in steps a second; an evaluator.

    Attributes:
        evaluator: whose trainings are rehearsed.
        window_s: seconds to train for, those in which the first steps are recorded left out.
    """

    evaluator: TrainingEvaluator
    window_s: float = WINDOW_S

    def evaluate(self, trial: Trial) -> Measurement:
        """Return `RATE` and `MEMORY` of a training that is thrown away."""
        of, seed = self.evaluator, trial_seed(self.evaluator.seed, trial)
        blueprint = replace(of.blueprint, network=trial.architecture)
        recipe = replace(of.recipe, epochs=10**6, patience=0)  # the time ends it
        few = torch.arange(min(len(of.data.train), STEPS * recipe.batch_size))
        data = replace(of.data, train=of.data.train.select(few))
        network = build_seeded(of.space, blueprint, data=data, recipe=recipe, seed=seed)
        training = Training(network, data, recipe=recipe, seed=seed, device=of.device)
        training.run_epoch()
        begun, epochs = time.perf_counter(), 0
        while (seconds := time.perf_counter() - begun) < self.window_s:
            training.run_epoch()
            epochs += 1
        rate = epochs * training.steps_per_epoch / seconds
        return Measurement("ok", {RATE: rate, MEMORY: _memory_share(of.device)}, seconds=seconds)


def _memory_share(device: str) -> float:
    """Return the share of a card's memory that is taken, by whomever; 0 on a CPU."""
    if torch.device(device).type != "cuda":
        return 0.0
    free, total = torch.cuda.mem_get_info(device)
    return 1 - free / total
