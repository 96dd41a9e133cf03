"""A trial's worth by a training-free score: built, looked at once, thrown away."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import final

from controllers.trial import Measurement, Trial
from nas.building import count_architecture, exchange_parts
from nas.evaluators.evaluator import trial_seed
from nas.evaluators.training_free.minibatch import Minibatch
from nas.evaluators.training_free.score import TrainingFreeScore, UnscorableError
from nas.training.seeding import seeded, weights_from
from search_spaces.architecture import Blueprint
from search_spaces.randomness import derive_seed, derive_torch_generator
from search_spaces.space import SearchSpace


@final
@dataclass(frozen=True, slots=True)
class TrainingFreeEvaluator:
    """Scores each trial's network at its first weights; a trial's budget says nothing here.

    Attributes:
        space: builds the networks.
        blueprint: what to build, with any architecture in it: each trial's takes its place.
        score: what to compute.
        batch: the images to look at, the same for every trial; None for a count.
        seed: the run's seed.
        device: where to compute.
    """

    space: SearchSpace
    blueprint: Blueprint
    score: TrainingFreeScore
    batch: Minibatch | None
    seed: int
    device: str = "cpu"

    def evaluate(self, trial: Trial) -> Measurement:
        """Return the score under its name, ``params`` and ``macs``; ``error`` where the network has no such score."""
        start = time.perf_counter()
        blueprint = replace(self.blueprint, network=trial.architecture, auxiliary=False)
        cost = count_architecture(self.space, blueprint)
        metrics: dict[str, float] = {"params": cost.params, "macs": cost.macs}
        if self.batch is not None:
            try:
                metrics[self.score.name] = self._measure(blueprint, self.batch, trial_seed(self.seed, trial))
            except UnscorableError as error:
                return Measurement("error", metrics, time.perf_counter() - start, str(error))
        return Measurement("ok", metrics, time.perf_counter() - start)

    def _measure(self, blueprint: Blueprint, batch: Minibatch, seed: int) -> float:
        with weights_from(seed):
            network = exchange_parts(self.space.build(blueprint), blueprint, sample=batch.images)
        generator = derive_torch_generator(seed, 0, "score")
        with seeded(derive_seed(seed, 0, "forward"), self.device):  # for layers that draw even in evaluation mode
            return self.score.measure(network.to(self.device), batch.to(self.device), generator=generator)
