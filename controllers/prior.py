"""What may be guessed of a network before it is evaluated: a training-free score, its size, a column of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from controllers.encoding import Floats
from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace

REFERENCES = 200


@dataclass(frozen=True, slots=True)
class Prior:
    """A guess of a network's score, known before any evaluation; whether large or small is good need not be known.

    Attributes:
        name: for messages.
        guess: the number; not finite where there is none.
        costly: whether a guess takes so long that only some hundreds should be made.
    """

    name: str
    guess: Callable[[Architecture], float]
    costly: bool = False


class StandardGuesses:
    """Guesses on a common scale: a network's place among random ones, whatever the unit and outliers are.

    Zero is the middle, and a guess that is missing counts as the middle; +-1.7 are the ends, so that the
    variance over the space is 1.

    Attributes:
        references: the random networks.
    """

    def __init__(self, prior: Prior, space: SearchSpace, rng: np.random.Generator) -> None:
        """Guess random networks, the scale's marks."""
        self._prior = prior
        self._known: dict[Architecture, float] = {}
        self.references = tuple([space.sample(rng) for _ in range(REFERENCES)])
        marks = [self._guess(architecture) for architecture in self.references]
        self._marks = np.sort([mark for mark in marks if math.isfinite(mark)])

    def __call__(self, architectures: Iterable[Architecture]) -> Floats:
        """Return (n,) guesses between -sqrt(3) and sqrt(3)."""
        raw = np.array([self._guess(architecture) for architecture in architectures])
        if not len(self._marks):
            return np.zeros(len(raw))
        below = np.searchsorted(self._marks, raw, side="left") + np.searchsorted(self._marks, raw, side="right")
        share = np.where(np.isfinite(raw), below / (2 * len(self._marks)), 0.5)
        return np.asarray(np.sqrt(3.0) * (2 * share - 1))

    def _guess(self, architecture: Architecture) -> float:
        if architecture not in self._known:
            self._known[architecture] = float(self._prior.guess(architecture))
        return self._known[architecture]
