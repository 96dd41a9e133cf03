"""Constraints on what a network may cost, checked from shapes before anything is trained.

Counts take a millisecond; the memory of a training takes 0.1 to 2 s (`nas.memory_bounds`) and is asked for last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self

import numpy as np

from controllers.trial import Measurement
from nas.building import count_architecture, keeps_counts
from nas.errors import InvalidInputError
from search_spaces.architecture import Architecture, Blueprint, Complexity
from search_spaces.local_file import is_local
from search_spaces.randomness import derive_generator
from search_spaces.space import SearchSpace

COUNTED_BOUNDS = ("min_params", "max_params", "min_macs", "max_macs")
PREVIEW_SAMPLES = 500
PREVIEW_SAMPLES_OF_FILES = 100  # counting somebody else's network runs it: 20 ms instead of one
PREVIEW_SAMPLES_WITH_PARTS = 20  # parts are put into a network that is there, which takes 200 ms
PREVIEW_FORECASTS = 4  # of the sample's networks of fewest MACs; activations, which fill memory, go with MACs


@dataclass(frozen=True, slots=True)
class Constraints:
    """Bounds that a network must keep; None for no bound.

    Attributes:
        min_params, max_params, min_macs, max_macs: of what is counted.
        max_memory: bytes of torch's tensors in the training of a search; see `nas.memory_bounds`.
    """

    min_params: int | None = None
    max_params: int | None = None
    min_macs: int | None = None
    max_macs: int | None = None
    max_memory: int | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that nothing can keep."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value < 0:
                raise InvalidInputError(f"{field.name} must be >= 0, got {value}.")
        for low, high in (("min_params", "max_params"), ("min_macs", "max_macs")):
            smallest, largest = getattr(self, low), getattr(self, high)
            if smallest is not None and largest is not None and smallest > largest:
                raise InvalidInputError(f"{low} must not exceed {high}, got {smallest} > {largest}.")

    @property
    def any(self) -> bool:
        """Whether there is a bound on what is counted."""
        return any(getattr(self, name) is not None for name in COUNTED_BOUNDS)

    def broken(self, cost: Complexity) -> str:
        """Return the first broken bound on what is counted in words; empty when all are kept."""
        for name in COUNTED_BOUNDS:
            bound, kind, metric = getattr(self, name), *name.split("_")
            value = getattr(cost, metric)
            if bound is not None and (value < bound if kind == "min" else value > bound):
                return f"{metric} {value:,} is {'below' if kind == 'min' else 'above'} {name} {bound:,}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a random sample of a space says about constraints.

    Attributes:
        feasible: share of the sample that keeps them, in [0, 1].
        smallest: fewest parameters, and fewest MACs, of the sample.
        median: median parameters and MACs of the feasible networks; None when there are none.
    """

    feasible: float
    smallest: Complexity
    median: Complexity | None


class MemoryRule(Protocol):
    """Refuses networks by the memory that training them takes."""

    def check(self, blueprint: Blueprint) -> Measurement | None:
        """Return an ``infeasible`` measurement, or None for a network that may fit."""

    def refuse_hopeless(self, leanest: Sequence[Blueprint]) -> None:
        """Raise `InvalidInputError` when none of these networks may fit."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Decides from shapes whether an architecture is worth training.

    Attributes:
        space: what the architectures are of.
        constraints: bounds on what is counted.
        blueprint: makes of an architecture what is trained.
        memory: the bounds on memory; None for none.
    """

    space: SearchSpace
    constraints: Constraints
    blueprint: Callable[[Architecture], Blueprint]
    memory: MemoryRule | None = None

    def check(self, architecture: Architecture) -> Measurement | None:
        """Return an ``infeasible`` measurement, or None when all constraints are kept."""
        if not self.constraints.any and self.memory is None:
            return None
        blueprint = self.blueprint(architecture)
        try:
            cost = count_architecture(self.space, blueprint)
        except InvalidInputError as error:  # choices that do not go together, in a space that does not say so
            return Measurement("error", error=str(error))
        counts: dict[str, float] = {"params": cost.params, "macs": cost.macs}
        if reason := self.constraints.broken(cost):
            return Measurement("infeasible", counts, error=reason)
        refused = None if self.memory is None else self.memory.check(blueprint)
        return None if refused is None else replace(refused, metrics={**counts, **refused.metrics})

    def preview(self, seed: int) -> Preview:
        """Draw architectures at random and count them.

        Raises:
            InvalidInputError: none of them keeps the constraints; says what is reachable.
        """
        rng = derive_generator(seed, 0, "preview")
        drawn = self._draw_costs(rng, self._preview_samples(seed))
        costs = [cost for _, cost in drawn]
        kept = [cost for cost in costs if not self.constraints.broken(cost)]
        params, macs = [cost.params for cost in costs], [cost.macs for cost in costs]
        smallest, largest = Complexity(min(params), min(macs)), Complexity(max(params), max(macs))
        if not kept:
            bounds = ", ".join(
                f"{name} {value:,}"
                for name, value in self.constraints.to_json().items()
                if value is not None and name in COUNTED_BOUNDS
            )
            raise InvalidInputError(
                f"no network of {len(costs)} drawn from {self.space.name!r} keeps {bounds}: at this depth and "
                f"width they have {smallest.params:,} to {largest.params:,} parameters and {smallest.macs:,} to "
                f"{largest.macs:,} MACs. Loosen the bound, or change depth or width."
            )
        self._preview_memory(drawn)
        median = Complexity(int(np.median([c.params for c in kept])), int(np.median([c.macs for c in kept])))
        return Preview(len(kept) / len(costs), smallest, median)

    def _preview_memory(self, drawn: list[tuple[Blueprint, Complexity]]) -> None:
        """Refuse bounds on memory that the smallest networks of a sample break."""
        if self.memory is None:
            return
        kept = sorted(((b, c) for b, c in drawn if not self.constraints.broken(c)), key=lambda pair: pair[1].macs)
        self.memory.refuse_hopeless([blueprint for blueprint, _ in kept[:PREVIEW_FORECASTS]])

    def _preview_samples(self, seed: int) -> int:
        some = self.space.sample(derive_generator(seed, 0, "preview of the preview"))
        if not keeps_counts(self.blueprint(some)):
            return PREVIEW_SAMPLES_WITH_PARTS
        return PREVIEW_SAMPLES_OF_FILES if is_local(self.space.name) else PREVIEW_SAMPLES

    def _draw_costs(self, rng: np.random.Generator, count: int) -> list[tuple[Blueprint, Complexity]]:
        """Count random architectures; those that cannot be built are left out, unless all of them are."""
        costs, failure = [], None
        for _ in range(count):
            try:
                blueprint = self.blueprint(self.space.sample(rng))
                costs.append((blueprint, count_architecture(self.space, blueprint)))
            except InvalidInputError as error:
                failure = error
        if failure is not None and not costs:
            raise failure
        return costs
