"""Random search: the baseline that every other controller has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np

from controllers.controller import Controller, Proposal
from controllers.trial import Objective, Record
from controllers.unseen import UnseenNetworks
from search_spaces.space import SearchSpace


@final
class RandomSearch(Controller):
    """Draw uniformly, never the same network twice.

    Uniform over architectures: a network that can be drawn in k ways is k times likelier to come next. It
    takes any number of objectives, since it learns nothing.
    """

    never_repeats: ClassVar[bool] = True

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective] = (Objective(),), seed: int = 0) -> None:
        super().__init__(space, objectives, seed)
        self._unseen = UnseenNetworks(space)

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return a network that was not proposed yet, or None when every one was."""
        architecture = self._unseen.draw(rng)
        return None if architecture is None else Proposal(architecture)

    def learn(self, record: Record) -> None:
        """Take in the record; nothing follows from it."""
