"""Which networks of a space were not proposed yet: what lets a controller never pay twice for one.

Networks are told apart by key, so one drawn differently counts as seen. Nothing here knows of results.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace

Mutator = Callable[[Architecture, np.random.Generator], Architecture]

ENUMERABLE_SIZE = 100_000  # at 0.5 ms a key, walking a whole space of this size takes 50 s, once in a run
MAX_DRAWS = 1_000  # in larger spaces: when this many draws in a row were seen before, 99 % of the space was
DRAWS_PER_DISTANCE = 10


class UnseenNetworks:
    """The networks of a space that were not taken yet."""

    def __init__(self, space: SearchSpace, *, key: Callable[[Architecture], Hashable] | None = None) -> None:
        """Start with every network of the space unseen.

        Args:
            space: of the networks.
            key: what makes two architectures the same; None for the space's own key.
        """
        self._space = space
        self._key = key or space.key
        self._keys: dict[Architecture, Hashable] = {}  # computing a key costs as much as a hundred draws
        self._seen: set[Hashable] = set()
        # Fisher-Yates without the array: `_untried` indices are left, and `_moved` holds those not in their own place.
        self._untried = space.size
        self._moved: dict[int, int] = {}

    def take(self, architecture: Architecture) -> bool:
        """Mark a network as seen; return whether it was not seen before."""
        if architecture not in self._keys:
            self._keys[architecture] = self._key(architecture)
        key = self._keys[architecture]
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def draw(self, rng: np.random.Generator) -> Architecture | None:
        """Take an unseen network, uniform over the architectures that draw one, or None when there is none.

        Exact in spaces of up to `ENUMERABLE_SIZE` architectures: every network is taken before the first
        None. In larger ones None means that `MAX_DRAWS` draws in a row were seen.
        """
        if self._space.size <= ENUMERABLE_SIZE:
            return self._draw_untried(rng)
        samples = (self._space.sample(rng) for _ in range(MAX_DRAWS))
        return next((sample for sample in samples if self.take(sample)), None)

    def draw_near(self, origin: Architecture, mutate: Mutator, rng: np.random.Generator) -> Architecture | None:
        """Take an unseen network a few mutations from `origin`, trying the nearest first.

        Each distance, from one mutation to as many as there are decisions, gets a few tries: so a
        neighbourhood that is all seen is left instead of proposed again. None when all tries were seen.
        """
        for distance in range(1, len(self._space.decisions) + 1):
            for _ in range(DRAWS_PER_DISTANCE):
                candidate = origin
                for _ in range(distance):
                    candidate = mutate(candidate, rng)
                if self.take(candidate):
                    return candidate
        return None

    def _draw_untried(self, rng: np.random.Generator) -> Architecture | None:
        while self._untried:
            place = int(rng.integers(self._untried))
            self._untried -= 1
            index = self._moved.get(place, place)
            self._moved[place] = self._moved.pop(self._untried, self._untried)
            architecture = self._at(index)
            if self.take(architecture):
                return architecture
        return None

    def _at(self, index: int) -> Architecture:
        choices = []
        for decision in self._space.decisions:
            index, choice = divmod(index, len(decision))
            choices.append(choice)
        return Architecture(self._space.name, tuple(choices))
