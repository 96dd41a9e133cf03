"""Which networks a model is asked about: all of a small space; in a large one random ones and mutations of the best."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from controllers.encoding import Encoder, Features, Floats
from controllers.prior import StandardGuesses
from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace

ENUMERABLE_SIZE = 20_000  # in spaces up to here every network is a candidate
RANDOM_CANDIDATES, CHILDREN, PARENTS, FARTHEST = 300, 40, 20, 3
POOL_GROWTH = 20  # candidates that are guessed anew for a proposal when a guess is costly


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Networks to choose from.

    Attributes:
        space: name of their space.
        features: the networks.
        permanent: whether the next draw gives the same ones.
    """

    space: str
    features: Features
    permanent: bool = False

    def architecture(self, i: int) -> Architecture:
        """Return candidate `i`."""
        return Architecture(self.space, tuple(self.features.choices[i].tolist()))


class CandidateSource(ABC):
    """Where candidates come from."""

    @abstractmethod
    def draw(self, told: Sequence[Architecture], values: Floats, rng: np.random.Generator) -> Candidates:
        """Return candidates, given measured networks and their values, larger is better."""


@final
class WholeSpace(CandidateSource):
    """Every network of the space."""

    def __init__(self, space: SearchSpace, encoder: Encoder, guesses: StandardGuesses | None) -> None:
        """Enumerate the space."""
        counts = [len(decision) for decision in space.decisions]
        choices = np.indices(counts).reshape(len(counts), -1).T
        architectures = (Architecture(space.name, tuple(row)) for row in choices.tolist())
        guess = None if guesses is None else guesses(architectures)
        self._candidates = Candidates(space.name, encoder.encode(choices, guess), permanent=True)

    def draw(self, told: Sequence[Architecture], values: Floats, rng: np.random.Generator) -> Candidates:
        """Return all networks."""
        return self._candidates


@final
class AroundTheBest(CandidateSource):
    """Random networks, and networks a few mutations from the best measured ones; new ones every time."""

    def __init__(self, space: SearchSpace, encoder: Encoder, guesses: StandardGuesses | None) -> None:
        """Know the space."""
        self._space, self._encoder, self._guesses = space, encoder, guesses

    def draw(self, told: Sequence[Architecture], values: Floats, rng: np.random.Generator) -> Candidates:
        """Return `RANDOM_CANDIDATES` random networks and `CHILDREN` of each of the `PARENTS` best."""
        found = [self._space.sample(rng) for _ in range(RANDOM_CANDIDATES)]
        for parent in np.argsort(-values, kind="stable")[:PARENTS]:
            found += [_mutated(self._space, told[parent], 1 + i % FARTHEST, rng) for i in range(CHILDREN)]
        guess = None if self._guesses is None else self._guesses(found)
        return Candidates(self._space.name, self._encoder.encode(_choices(found), guess))


@final
class GrowingPool(CandidateSource):
    """For guesses that are costly: the scale's references, a few new ones a proposal, and all earlier ones again."""

    def __init__(self, space: SearchSpace, encoder: Encoder, guesses: StandardGuesses) -> None:
        """Start with the networks that are guessed already."""
        self._space, self._encoder, self._guesses = space, encoder, guesses
        self._pool = list(guesses.references)

    def draw(self, told: Sequence[Architecture], values: Floats, rng: np.random.Generator) -> Candidates:
        """Return the pool, grown by random networks and by mutations of the best ones in equal parts."""
        best = np.argsort(-values, kind="stable")[:PARENTS]
        for i in range(POOL_GROWTH // 2):
            parent = told[best[int(rng.integers(len(best)))]]
            self._pool += [self._space.sample(rng), _mutated(self._space, parent, 1 + i % FARTHEST, rng)]
        return Candidates(self._space.name, self._encoder.encode(_choices(self._pool), self._guesses(self._pool)))


def make_candidate_source(
    space: SearchSpace, encoder: Encoder, guesses: StandardGuesses | None, *, costly: bool
) -> CandidateSource:
    """Return the source that suits the size of the space and the cost of a guess."""
    if guesses is not None and costly:
        return GrowingPool(space, encoder, guesses)
    kind = WholeSpace if space.size <= ENUMERABLE_SIZE else AroundTheBest
    return kind(space, encoder, guesses)


def _mutated(space: SearchSpace, origin: Architecture, distance: int, rng: np.random.Generator) -> Architecture:
    for _ in range(distance):
        origin = space.mutate(origin, rng)
    return origin


def _choices(architectures: Sequence[Architecture]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array([architecture.choices for architecture in architectures])
