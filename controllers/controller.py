"""The contract of a controller: propose architectures, learn from records, nothing else.

The base class does what is the same for all: numbers the trials, derives each proposal's generator from
(seed, trial number), refuses records of trials it never asked for. A controller adds how to propose and how
to learn. It trains nothing, polls nothing, writes nothing.

Asking for n trials equals asking n times for one, so replaying a journal's asks and tells, in their order,
into a fresh controller of the same seed gives the same controller: that is how a search resumes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from controllers.trial import Objective, Record, Trial
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInputError
from search_spaces.randomness import derive_generator
from search_spaces.space import SearchSpace


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a controller wants evaluated; the base class numbers it and makes the `Trial`."""

    architecture: Architecture
    budget: int | None = None
    parents: tuple[int, ...] = ()
    continues: int | None = None


class Controller(ABC):
    """Proposes architectures of a space and learns from what came of them.

    Attributes:
        never_repeats: whether no network, told apart by key, is proposed twice; then an exhausted space is
            answered with no trials.
    """

    never_repeats: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective] = (Objective(),), seed: int = 0) -> None:
        """Start with nothing learnt.

        Args:
            space: where to search.
            objectives: what to search for; many controllers take exactly one.
            seed: every random draw derives from it.
        """
        if seed < 0:
            raise InvalidInputError(f"a seed must be >= 0, got {seed}.")
        self.space = space
        self.objectives = tuple(objectives)
        self.seed = seed
        self._asked = 0
        self._pending: dict[int, Trial] = {}

    @abstractmethod
    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return what to evaluate as trial `number`, or None when the space holds nothing new.

        Args:
            number: the number that the trial will have.
            rng: this trial's own generator; the only source of randomness.
        """

    @abstractmethod
    def learn(self, record: Record) -> None:
        """Take in one record of a trial that was proposed and not yet learnt from; failures included."""

    def propose_further(self, number: int) -> Proposal | None:
        """Return a network to train further as trial `number` when no new ones are to come; None when none is due.

        Nothing changes when None is returned. Only controllers that train networks in steps have any.
        """
        return None

    @property
    def has_further(self) -> bool:
        """Whether `propose_further` has a network by now."""
        return False

    @final
    def ask(self, n: int = 1, *, new: bool = True) -> list[Trial]:
        """Return up to `n` new trials; fewer, or none, when the space is exhausted.

        Args:
            n: how many.
            new: whether there may be networks among them that were never trained. Asking without them for a trial
                that continues another gives the trial that asking with them gave, so a replay need not know which
                it was.
        """
        if n < 0:
            raise InvalidInputError(f"ask takes a number of trials >= 0, got {n}.")
        trials: list[Trial] = []
        for _ in range(n):
            number = self._asked
            if new:
                proposal = self.propose(number, derive_generator(self.seed, number, "propose"))
            else:
                proposal = self.propose_further(number)
            if proposal is None:
                break
            trial = Trial(number, proposal.architecture, proposal.budget, proposal.parents, proposal.continues)
            self._asked += 1
            self._pending[number] = trial
            trials.append(trial)
        return trials

    @final
    def tell(self, records: Sequence[Record]) -> None:
        """Learn from records, in the given order; any number, failures included.

        Raises:
            InvalidInputError: a record's trial was never asked for here or was already told, or its
                measurement lacks a metric; nothing of that record or the later ones is learnt.
        """
        for record in records:
            number = record.trial.number
            if self._pending.get(number) != record.trial:
                state = "was already told" if 0 <= number < self._asked else "was never asked for"
                raise InvalidInputError(f"tell takes records of asked trials: trial {number} {state} here.")
            self.learn(record)
            del self._pending[number]

    @property
    @final
    def pending(self) -> tuple[Trial, ...]:
        """Trials asked for and not yet told, in the order of asking."""
        return tuple(self._pending.values())


def single_objective(name: str, objectives: Sequence[Objective]) -> Objective:
    """Return the one objective of a controller that can handle no more.

    Raises:
        InvalidInputError: there is not exactly one.
    """
    if len(objectives) != 1:
        raise InvalidInputError(
            f"controller {name!r} takes one objective, got {len(objectives)}: use a multi-objective one."
        )
    return objectives[0]
