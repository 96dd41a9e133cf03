"""Regularized evolution: a tournament picks a parent, a mutation makes a child, the oldest dies.

Selection is a function, mutation a function given from outside, survival a queue with a length: a variant is
another composition, not a subclass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, final

import numpy as np

from controllers.controller import Controller, Proposal, single_objective
from controllers.trial import Objective, Record
from controllers.unseen import Mutator, UnseenNetworks
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInputError
from search_spaces.space import SearchSpace


@dataclass(frozen=True, slots=True)
class EvolutionOptions:
    """Sizes of the population and of the tournament.

    The defaults are for about a hundred trials: a fifth of them start the search, and half of the living
    compete, the strongest pressure that Real 2019 tried (100/50), since few generations follow.

    Attributes:
        population: how many of the latest measured networks are alive.
        tournament: how many of them compete to be a parent.
    """

    population: int = 20
    tournament: int = 10

    def __post_init__(self) -> None:
        """Refuse a tournament that the population cannot fill."""
        if not 1 <= self.tournament <= self.population:
            raise InvalidInputError(
                f"evolution needs 1 <= tournament <= population, got tournament {self.tournament} "
                f"and population {self.population}."
            )

    @classmethod
    def published(cls) -> Self:
        """Return the settings of Real 2019, chosen for 20,000 trials."""
        return cls(population=100, tournament=25)


@dataclass(frozen=True, slots=True)
class Individual:
    """A measured network: its trial number, its architecture, and its score to maximise."""

    number: int
    architecture: Architecture
    score: float


def select_by_tournament(population: Sequence[Individual], size: int, rng: np.random.Generator) -> Individual:
    """Return the best of `size` individuals drawn uniformly without replacement, of all when there are fewer.

    Real 2019 draws with replacement; without it, a tournament of the whole population is the best for sure.
    """
    drawn: list[int] = rng.permutation(len(population))[:size].tolist()
    return max((population[i] for i in drawn), key=lambda individual: individual.score)


@final
class RegularizedEvolution(Controller):
    """Evolve a population in which the oldest dies, not the worst (Real 2019, Alg. 1).

    https://arxiv.org/abs/1802.01548. Deviations: no network is proposed twice, so the mutation that changes
    nothing is left out and a child that was seen is mutated further; age counts from the end of the
    evaluation, since results arrive late and out of order; failed trials shorten the random start but never
    live, so where most of the space fails, the search soon stays near what worked.
    """

    never_repeats: ClassVar[bool] = True

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective] = (Objective(),),
        seed: int = 0,
        *,
        options: EvolutionOptions | None = None,
        mutate: Mutator | None = None,
    ) -> None:
        """Start with an empty population.

        Args:
            space: where to search.
            objectives: exactly one.
            seed: every random draw derives from it.
            options: sizes; None for the defaults.
            mutate: makes a child of a parent; None for the space's own mutation of one decision.
        """
        super().__init__(space, objectives, seed)
        self._objective = single_objective("evolution", objectives)
        self._options = options or EvolutionOptions()
        self._mutate = mutate or space.mutate
        self._unseen = UnseenNetworks(space)
        self._population: deque[Individual] = deque(maxlen=self._options.population)
        self._num_told = 0

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return a child of a tournament's winner, or a random network while too few trials are told."""
        if self._population and self._num_told >= self._options.population:
            parent = select_by_tournament(self._population, self._options.tournament, rng)
            child = self._unseen.draw_near(parent.architecture, self._mutate, rng)
            if child is not None:
                return Proposal(child, parents=(parent.number,))
        architecture = self._unseen.draw(rng)
        return None if architecture is None else Proposal(architecture)

    def learn(self, record: Record) -> None:
        """Add a measured network to the population, whose oldest leaves when it is full."""
        score = self._objective.score(record.measurement)
        self._num_told += 1
        if score is not None:
            self._population.append(Individual(record.trial.number, record.trial.architecture, score))
