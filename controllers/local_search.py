"""Local search: climb from a random network to better neighbours, and start again where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from controllers.controller import Controller, Proposal, single_objective
from controllers.evolution import Individual
from controllers.trial import Objective, Record
from controllers.unseen import UnseenNetworks
from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace


@final
class LocalSearch(Controller):
    """Move to the first neighbour that is better; restart at random from a network that has no better one.

    White 2021 (https://arxiv.org/abs/2005.02960), "query until lower" variant. Neighbours are tried in random
    order and never a network that was proposed before. With several workers, results that arrive late still
    count: the climb goes on from the best network of its own start that is known.
    """

    never_repeats = True

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective] = (Objective(),), seed: int = 0) -> None:
        super().__init__(space, objectives, seed)
        self._objective = single_objective("local", objectives)
        self._unseen = UnseenNetworks(space)
        self._top: Individual | None = None  # where the climb stands; None while its start is being measured
        self._neighbours: list[Architecture] | None = None  # those left to try; None before the first
        self._climb: set[int] = set()  # trials of this climb

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return the next unseen neighbour of the top, or a random network to start from."""
        top = self._top
        if top is not None:
            if self._neighbours is None:
                around = list(self.space.neighbours(top.architecture))
                self._neighbours = [around[i] for i in rng.permutation(len(around))]
            while self._neighbours:
                neighbour = self._neighbours.pop()
                if self._unseen.take(neighbour):
                    self._climb.add(number)
                    return Proposal(neighbour, parents=(top.number,))
        start = self._unseen.draw(rng)
        if start is None:
            return None
        if top is not None:  # the climb is at its end: the next begins here
            self._top, self._neighbours, self._climb = None, None, set()
        self._climb.add(number)
        return Proposal(start)

    def learn(self, record: Record) -> None:
        """Move to a better network of this climb; a failure moves nowhere."""
        score = self._objective.score(record.measurement)
        if score is None or record.trial.number not in self._climb:
            return
        if self._top is None or score > self._top.score:
            self._top = Individual(record.trial.number, record.trial.architecture, score)
            self._neighbours = None
