"""Who is trained further, and who starts: the promotion rules of successive halving, Hyperband and ASHA.

A network climbs a ladder of rungs, each a number of epochs; only a share of those that a rung measured is promoted
to the next. Here are scores and numbers only: no spaces, no trials. Networks are called by the number of
the trial that trained them first; failures are never promoted, and a rung's size counts results only.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any, final

from search_spaces.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class HalvingOptions:
    """The ladder.

    Attributes:
        budgets: epochs that a network has behind it at each rung, strictly rising; the last one is the full training.
        reduction: eta, one in how many is promoted from every rung; None for the ratio of a rung's budget to the
            next one's, which gives every rung the same number of epochs, as successive halving has it.
        first: networks that start a bracket of successive halving; None for as many as leave one at the top.
    """

    budgets: tuple[int, ...]
    reduction: int | None = None
    first: int | None = None

    def __post_init__(self) -> None:
        """Refuse a ladder that does not rise, and shares that promote nobody or everybody."""
        given: Any = self.budgets
        if not isinstance(given, list | tuple):
            raise InvalidInputError(f"budgets are a list of epochs such as [3, 9, 27], got {given!r}.")
        object.__setattr__(self, "budgets", tuple(given))
        whole = all(_is_whole(budget) for budget in self.budgets)
        if not (self.budgets and whole and self.budgets[0] >= 1 and all(a < b for a, b in pairwise(self.budgets))):
            raise InvalidInputError(
                f"budgets are whole epochs >= 1, at least one and each above the one before, got {list(self.budgets)}."
            )
        for name, least in (("reduction", 2), ("first", 1)):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and value >= least):
                raise InvalidInputError(f"{name} must be a whole number >= {least}, got {value!r}.")

    @property
    def shares(self) -> tuple[Fraction, ...]:
        """Share of the results that each rung but the last promotes."""
        if self.reduction is not None:
            return (Fraction(1, self.reduction),) * (len(self.budgets) - 1)
        return tuple(Fraction(low, high) for low, high in pairwise(self.budgets))

    def entrants(self, rung: int) -> int:
        """Return how many must start at a rung so that one is left at the top."""
        return math.ceil(1 / math.prod(self.shares[rung:], start=Fraction(1)))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Promotion:
    """A network that is to be trained on: the trial that trained it first, and the rung to reach."""

    root: int
    rung: int


class Schedule(ABC):
    """Decides which rung each evaluation is for."""

    @abstractmethod
    def enter(self, root: int) -> int:
        """Take in a new network; return the rung that it starts at."""

    @abstractmethod
    def report(self, root: int, score: float | None) -> None:
        """Take in what came of a network at the rung it was last sent to; None when nothing did."""

    @abstractmethod
    def promote(self, *, last: bool = False) -> Promotion | None:
        """Return a network that is due for its next rung, and count it as sent there; None when none is.

        Args:
            last: whether there are no new networks to wait for. Nothing changes when None is returned.
        """


@final
class AsynchronousRungs(Schedule):
    """Promote whoever is in the top share of its rung by now; wait for nobody (Li 2020, Alg. 2).

    https://arxiv.org/abs/1810.05934. Rungs are looked through from the top, so promotions come before new
    networks. Whoever is promoted is in the top floor(n / eta) of the n results so far. Deviation: while there are new
    networks to train instead, no more than floor(n / eta) are promoted in all; as published, results that overtake
    earlier promotions add to them. Those are promoted at the end, when nobody new is to come: no network that
    belongs to the top of its rung is left behind because of whom it overtook (``results/tables/fidelity.md``).
    """

    def __init__(self, options: HalvingOptions) -> None:
        self._shares = options.shares
        self._rung: dict[int, int] = {}  # where each network is, or is being sent
        # (-score, root), best first, and those of them that were promoted
        self._results: list[list[tuple[float, int]]] = [[] for _ in options.budgets]
        self._promoted: list[set[int]] = [set() for _ in options.budgets]

    def enter(self, root: int) -> int:
        """Start every network at the lowest rung."""
        self._rung[root] = 0
        return 0

    def report(self, root: int, score: float | None) -> None:
        """Rank a result among those of its rung."""
        if score is not None:
            insort(self._results[self._rung[root]], (-score, root))

    def promote(self, *, last: bool = False) -> Promotion | None:
        """Return the best that is due at the highest rung that has one."""
        for rung in reversed(range(len(self._shares))):
            results, promoted = self._results[rung], self._promoted[rung]
            top = results[: math.floor(len(results) * self._shares[rung])]
            due = next((root for _, root in top if root not in promoted), None)
            if due is not None and (last or len(promoted) < len(top)):
                promoted.add(due)
                self._rung[due] = rung + 1
                return Promotion(due, rung + 1)
        return None


@dataclass(frozen=True, slots=True)
class BracketPlan:
    """A bracket to be: the rung at which its networks start, and how many results it starts from."""

    rung: int
    size: int


def halving_plans(options: HalvingOptions) -> tuple[BracketPlan, ...]:
    """Return successive halving's one bracket, from the lowest rung (Jamieson 2016, Alg. 1)."""
    return (BracketPlan(0, options.first or options.entrants(0)),)


def hyperband_plans(options: HalvingOptions) -> tuple[BracketPlan, ...]:
    """Return Hyperband's brackets, from the most networks to those that are trained in full at once.

    Sizes are those of Li 2018, Table 1 (https://arxiv.org/abs/1603.06560): whole multiples of what leaves one at
    the top, as many as fit into the epochs of the first bracket. Its Alg. 1 rounds up and gives a few more.
    """
    num_rungs = len(options.budgets)
    return tuple(
        BracketPlan(rung, num_rungs // (num_rungs - rung) * options.entrants(rung)) for rung in range(num_rungs)
    )


@dataclass(slots=True, eq=False)
class _Bracket:
    """Networks that climb together: a rung is left when all of its results are there."""

    rung: int
    size: int  # results to start from; 0 behind the first rung, which nobody enters from outside
    running: set[int] = field(default_factory=set)
    results: list[tuple[float, int]] = field(default_factory=list)
    due: deque[int] = field(default_factory=deque)

    @property
    def wants(self) -> bool:
        return len(self.results) + len(self.running) < self.size

    @property
    def waits(self) -> bool:
        return bool(self.running or self.due)

    def climb(self, share: Fraction) -> None:
        """Send the best share of the results, at least one of them, to the next rung."""
        num_promoted = max(1, math.floor(len(self.results) * share))
        self.due = deque(root for _, root in sorted(self.results)[:num_promoted])
        self.rung, self.size, self.results = self.rung + 1, 0, []


@final
class Brackets(Schedule):
    """Successive halving in brackets, one after the other: a rung is ranked when all of its results are there.

    While a rung waits for its last results, the next bracket begins, so no worker is idle (as Falkner 2018 runs
    Hyperband). In the first rung a failed network is replaced by another; above, it leaves the bracket smaller.
    """

    def __init__(self, options: HalvingOptions, plans: Sequence[BracketPlan]) -> None:
        """Start with the first plan; after the last one comes the first again."""
        self._shares = options.shares
        self._plans = deque(plans)
        self._open: list[_Bracket] = []  # oldest first
        self._bracket: dict[int, _Bracket] = {}  # of each network

    def enter(self, root: int) -> int:
        """Put a network into the oldest bracket that lacks one, or begin the next bracket."""
        bracket = next((bracket for bracket in self._open if bracket.wants), None)
        if bracket is None:
            plan = self._plans[0]
            self._plans.rotate(-1)
            bracket = _Bracket(plan.rung, plan.size)
            self._open.append(bracket)
        bracket.running.add(root)
        self._bracket[root] = bracket
        return bracket.rung

    def report(self, root: int, score: float | None) -> None:
        """Add a result to its bracket, whose rung may be complete by it."""
        bracket = self._bracket[root]
        bracket.running.remove(root)
        if score is not None:
            insort(bracket.results, (-score, root))
        if bracket.waits or bracket.wants:
            return
        if bracket.results and bracket.rung < len(self._shares):
            bracket.climb(self._shares[bracket.rung])
        else:
            self._open.remove(bracket)

    def promote(self, *, last: bool = False) -> Promotion | None:
        """Return a network of the oldest bracket that has one due; with `last`, fill no bracket up any more."""
        for bracket in self._open:
            cut_short = last and not bracket.waits and bracket.results and bracket.rung < len(self._shares)
            if cut_short:
                bracket.climb(self._shares[bracket.rung])
            if bracket.due:
                root = bracket.due.popleft()
                bracket.running.add(root)
                return Promotion(root, bracket.rung)
        return None
