"""NSGA-II: the non-dominated networks live, spread along their front; tournaments among them pick the parents.

Sorting, crowding and survival are functions of scores alone; the controller composes them with the space's own
crossover and mutation, and knows nothing of what the objectives are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, final

import numpy as np
import numpy.typing as npt

from controllers.controller import Controller, Proposal
from controllers.trial import Objective, Record
from controllers.unseen import UnseenNetworks
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInputError
from search_spaces.space import SearchSpace

Scores = npt.NDArray[np.float64]
Order = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NSGA2Options:
    """Size of the population, and how often two parents share a child.

    The defaults are for one to a few hundred trials, a tenth of which start the search at random.

    Attributes:
        population: how many measured networks survive, and how many random ones are told before the first child.
        crossover: share of the children that take their decisions from two parents before the mutation, in [0, 1].
    """

    population: int = 20
    crossover: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a population without a pair, and a share that is none."""
        if self.population < 2:
            raise InvalidInputError(f"nsga2 needs a population of at least 2, got {self.population}.")
        if not 0 <= self.crossover <= 1:
            raise InvalidInputError(f"crossover of nsga2 is a share in [0, 1], got {self.crossover}.")

    @classmethod
    def published(cls) -> Self:
        """Return the settings of Deb 2002, Sec. IV, chosen for 25,000 evaluations."""
        return cls(population=100, crossover=0.9)


def rank_by_dominance(scores: Scores) -> Order:
    """Return the front that each point is on: 0 if no other dominates it, 1 if only those on 0 do, and so on.

    Deb 2002, Sec. III-A. A point dominates another if it is nowhere worse and somewhere better.

    Args:
        scores: (points, objectives) numbers to maximise.

    Returns:
        (points,) ranks from 0.
    """
    not_worse = np.all(scores[:, None] >= scores[None], axis=2)
    dominates = not_worse & ~not_worse.T
    ranks = np.full(len(scores), -1)
    front = 0
    while np.any(left := ranks < 0):
        beaten = np.any(dominates & left[:, None], axis=0)
        ranks[left & ~beaten] = front
        front += 1
    return ranks


def crowding_distances(scores: Scores) -> Scores:
    """Return how far each point of a front is from its neighbours; infinite for the ends of each objective.

    Deb 2002, Sec. III-B: over the objectives, the sum of the gap between a point's two neighbours as a share of
    the front's extent. Deviation: of points that are equal all but the first have the distance 0, since they add
    nothing to the front.

    Args:
        scores: (points, objectives) numbers to maximise, none of which dominates another.

    Returns:
        (points,) distances >= 0.
    """
    points, first = np.unique(scores, axis=0, return_index=True)
    distances = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        extent = values[order[-1]] - values[order[0]]
        if extent > 0:
            distances[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / extent
        if extent > 0 or len(points) == 1:  # an objective in which all are equal has no ends
            distances[order[[0, -1]]] = np.inf
    spread = np.zeros(len(scores))
    spread[first] = distances
    return spread


def order_by_fitness(scores: Scores) -> Order:
    """Return the indices of points, the fittest first: lower front, then larger crowding distance, then earlier.

    Deb 2002, Sec. III-C, the crowded-comparison operator.

    Args:
        scores: (points, objectives) numbers to maximise.
    """
    ranks = rank_by_dominance(scores)
    distances = np.zeros(len(scores))
    for front in range(int(ranks.max(initial=-1)) + 1):
        on_front = np.flatnonzero(ranks == front)
        if len(on_front) > 1:  # one alone is compared with nobody; with one objective nearly all are
            distances[on_front] = crowding_distances(scores[on_front])
    return np.lexsort((-distances, ranks))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A measured network: its trial number, its architecture, and its scores to maximise."""

    number: int
    architecture: Architecture
    scores: tuple[float, ...]


@final
class NSGA2(Controller):
    """Evolve a front (Deb 2002, https://doi.org/10.1109/4235.996017), one child at a time.

    Deviations: every result enters the population at once, which then loses its least fit member, so that results
    may come late and in any order (steady state, Durillo 2009); a child has a decision changed rather than each with
    a small probability, and is changed further while it was seen; no network is proposed twice; failures,
    worse than every result, shorten the random start but never live. With one objective this is a search in which
    the best survive.
    """

    never_repeats: ClassVar[bool] = True

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective] = (Objective(),),
        seed: int = 0,
        *,
        options: NSGA2Options | None = None,
    ) -> None:
        """Start with an empty population.

        Args:
            space: where to search.
            objectives: one or more.
            seed: every random draw derives from it.
            options: size and share; None for the defaults.

        Raises:
            InvalidInputError: no objective.
        """
        super().__init__(space, objectives, seed)
        if not self.objectives:
            raise InvalidInputError("controller 'nsga2' takes one objective or more, got none.")
        self._options = options or NSGA2Options()
        self._unseen = UnseenNetworks(space)
        self._population: list[Candidate] = []  # the fittest first
        self._num_told = 0

    @property
    def population(self) -> tuple[Candidate, ...]:
        """Who is alive, the fittest first."""
        return tuple(self._population)

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return a child of the winners of two tournaments, or a random network while too few trials are told."""
        if self._population and self._num_told >= self._options.population:
            parents = self._select_parents(rng)
            origin = parents[0].architecture
            if len(parents) == 2:
                origin = self.space.crossover(origin, parents[1].architecture, rng)
            child = self._unseen.draw_near(origin, self.space.mutate, rng)
            if child is not None:
                return Proposal(child, parents=tuple(parent.number for parent in parents))
        architecture = self._unseen.draw(rng)
        return None if architecture is None else Proposal(architecture)

    def learn(self, record: Record) -> None:
        """Let a measured network live, and the least fit die when there are too many."""
        scores = [objective.score(record.measurement) for objective in self.objectives]
        result = tuple(score for score in scores if score is not None)
        self._num_told += 1
        if result:
            self._population.append(Candidate(record.trial.number, record.trial.architecture, result))
            order = order_by_fitness(np.array([candidate.scores for candidate in self._population]))
            self._population = [self._population[i] for i in order[: self._options.population].tolist()]

    def _select_parents(self, rng: np.random.Generator) -> tuple[Candidate, ...]:
        """Return one parent, or the two of a crossover."""
        first = select_by_rank(self._population, rng)
        if rng.random() >= self._options.crossover:
            return (first,)
        second = select_by_rank(self._population, rng)
        return (first,) if second is first else (first, second)


def select_by_rank(population: Sequence[Candidate], rng: np.random.Generator) -> Candidate:
    """Return the fitter of two drawn uniformly, the same one twice included; the population is in order of fitness."""
    return population[int(rng.integers(len(population), size=2).min())]
