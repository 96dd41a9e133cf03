"""Predictor-guided search: a model of the space proposes what may be best, given how little it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from scipy.stats import norm, rankdata

from controllers.controller import Controller, Proposal, single_objective
from controllers.gaussian_process import CategoricalGaussianProcess, Choices, fit_parameters, start_parameters
from controllers.trial import Objective, Record
from controllers.unseen import UnseenNetworks
from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace

RANDOM_START = 10  # networks measured before the model is asked
ENUMERABLE_SIZE = 20_000  # in spaces up to here every network is a candidate
RANDOM_CANDIDATES, CHILDREN, PARENTS, FARTHEST = 300, 40, 20, 3
REFIT_GROWTH = 1.1  # the model's parameters are fitted again when there is so much more data


@final
class PredictorSearch(Controller):
    """Propose by Thompson sampling from a Gaussian process over the choices.

    For each candidate a value is drawn from what the model believes of it, and the largest draw is proposed
    (Thompson 1933; independent draws, one per candidate). There is no exploration constant to tune, and since
    draws differ, several workers get different networks. Scores enter as normal scores of their ranks, so their
    unit and outliers do not matter, and a failure is simply the lowest rank. Candidates are all networks of a
    small space; in a large one random networks and mutations of the best (as in BANANAS, White 2021,
    https://arxiv.org/abs/1910.11858).
    """

    never_repeats = True

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective] = (Objective(),), seed: int = 0) -> None:
        super().__init__(space, objectives, seed)
        self._objective = single_objective("predictor", objectives)
        self._unseen = UnseenNetworks(space)
        self._told: list[Architecture] = []
        self._scores: list[float] = []
        self._parameters = start_parameters(len(space.decisions))
        self._fitted = 0  # number of results at the last fit
        self._model: CategoricalGaussianProcess | None = None
        self._all = _enumerate(space) if space.size <= ENUMERABLE_SIZE else None

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return the candidate with the largest draw, or a random network while too little is known."""
        if len(self._told) >= RANDOM_START and len(set(self._scores)) > 1:  # equal scores teach nothing
            candidates = self._candidates(rng)
            mean, deviation = self._updated_model().predict(candidates)
            draws = mean + deviation * rng.standard_normal(len(candidates))
            for i in np.argsort(-draws):
                architecture = Architecture(self.space.name, tuple(int(choice) for choice in candidates[i]))
                if self._unseen.take(architecture):
                    return Proposal(architecture)
        unseen = self._unseen.draw(rng)
        return None if unseen is None else Proposal(unseen)

    def learn(self, record: Record) -> None:
        """Add a result, or a failure as worse than all results."""
        score = self._objective.score(record.measurement)
        self._told.append(record.trial.architecture)
        self._scores.append(-np.inf if score is None else score)
        self._model = None

    def _updated_model(self) -> CategoricalGaussianProcess:
        if self._model is None:
            points = np.array([architecture.choices for architecture in self._told])
            values = norm.ppf((rankdata(self._scores) - 0.5) / len(points))
            if len(points) >= REFIT_GROWTH * self._fitted:
                self._parameters = fit_parameters(points, values, start=self._parameters)
                self._fitted = len(points)
            self._model = CategoricalGaussianProcess.condition(points, values, self._parameters)
        return self._model

    def _candidates(self, rng: np.random.Generator) -> Choices:
        """Return (m, decisions) choices worth a draw; most of them were not proposed yet."""
        if self._all is not None:
            return self._all
        found = [self.space.sample(rng) for _ in range(RANDOM_CANDIDATES)]
        for parent in np.argsort(-np.array(self._scores), kind="stable")[:PARENTS]:
            for i in range(CHILDREN):
                child = self._told[parent]
                for _ in range(1 + i % FARTHEST):
                    child = self.space.mutate(child, rng)
                found.append(child)
        return np.array([architecture.choices for architecture in found])


def _enumerate(space: SearchSpace) -> Choices:
    return np.indices([len(decision) for decision in space.decisions]).reshape(len(space.decisions), -1).T
