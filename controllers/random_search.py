"""Random search: the baseline that every other controller has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from controllers.controller import Controller, Proposal
from controllers.trial import Objective, Record
from controllers.unseen import UnseenNetworks
from search_spaces.space import SearchSpace


@final
class RandomSearch(Controller):
    """Draw uniformly, no choices twice.

    This is random search as it is published, so that the baseline is the field's: a network that can be drawn in
    several ways may come again in another one. A search knows it by its key and does not train it twice. It takes
    any number of objectives, since it learns nothing.
    """

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective] = (Objective(),), seed: int = 0) -> None:
        super().__init__(space, objectives, seed)
        self._unseen = UnseenNetworks(space, key=lambda architecture: architecture)

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return an architecture that was not proposed yet, or None when every one was."""
        architecture = self._unseen.draw(rng)
        return None if architecture is None else Proposal(architecture)

    def learn(self, record: Record) -> None:
        """Take in the record; nothing follows from it."""
