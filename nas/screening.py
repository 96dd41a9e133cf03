"""Constraints on what a network may cost, checked from shapes before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from controllers.trial import Measurement
from nas.building import count_architecture, keeps_counts
from nas.errors import InvalidInputError
from search_spaces.architecture import Architecture, Blueprint, Complexity
from search_spaces.local_file import is_local
from search_spaces.randomness import derive_generator
from search_spaces.space import SearchSpace

PREVIEW_SAMPLES = 500
PREVIEW_SAMPLES_OF_FILES = 100  # counting somebody else's network runs it: 20 ms instead of one
PREVIEW_SAMPLES_WITH_PARTS = 20  # parts are put into a network that is there, which takes 200 ms


@dataclass(frozen=True, slots=True)
class Constraints:
    """Bounds that a network must keep; None for no bound."""

    min_params: int | None = None
    max_params: int | None = None
    min_macs: int | None = None
    max_macs: int | None = None

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
        """Whether there is a bound at all."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def broken(self, cost: Complexity) -> str:
        """Return the first broken bound in words; empty when all are kept."""
        for field in fields(self):
            bound, kind, metric = getattr(self, field.name), *field.name.split("_")
            value = getattr(cost, metric)
            if bound is not None and (value < bound if kind == "min" else value > bound):
                return f"{metric} {value:,} is {'below' if kind == 'min' else 'above'} {field.name} {bound:,}"
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


@dataclass(frozen=True, slots=True)
class Screen:
    """Decides from shapes whether an architecture is worth training."""

    space: SearchSpace
    constraints: Constraints
    blueprint: Callable[[Architecture], Blueprint]

    def check(self, architecture: Architecture) -> Measurement | None:
        """Return an ``infeasible`` measurement, or None when all constraints are kept."""
        if not self.constraints.any:
            return None
        try:
            cost = count_architecture(self.space, self.blueprint(architecture))
        except InvalidInputError as error:  # choices that do not go together, in a space that does not say so
            return Measurement("error", error=str(error))
        reason = self.constraints.broken(cost)
        if not reason:
            return None
        return Measurement("infeasible", {"params": cost.params, "macs": cost.macs}, error=reason)

    def preview(self, seed: int) -> Preview:
        """Draw architectures at random and count them.

        Raises:
            InvalidInputError: none of them keeps the constraints; says what is reachable.
        """
        rng = derive_generator(seed, 0, "preview")
        costs = self._draw_costs(rng, self._preview_samples(seed))
        kept = [cost for cost in costs if not self.constraints.broken(cost)]
        params, macs = [cost.params for cost in costs], [cost.macs for cost in costs]
        smallest, largest = Complexity(min(params), min(macs)), Complexity(max(params), max(macs))
        if not kept:
            bounds = ", ".join(
                f"{name} {value:,}" for name, value in self.constraints.to_json().items() if value is not None
            )
            raise InvalidInputError(
                f"no network of {len(costs)} drawn from {self.space.name!r} keeps {bounds}: at this depth and "
                f"width they have {smallest.params:,} to {largest.params:,} parameters and {smallest.macs:,} to "
                f"{largest.macs:,} MACs. Loosen the bound, or change depth or width."
            )
        median = Complexity(int(np.median([c.params for c in kept])), int(np.median([c.macs for c in kept])))
        return Preview(len(kept) / len(costs), smallest, median)

    def _preview_samples(self, seed: int) -> int:
        some = self.space.sample(derive_generator(seed, 0, "preview of the preview"))
        if not keeps_counts(self.blueprint(some)):
            return PREVIEW_SAMPLES_WITH_PARTS
        return PREVIEW_SAMPLES_OF_FILES if is_local(self.space.name) else PREVIEW_SAMPLES

    def _draw_costs(self, rng: np.random.Generator, count: int) -> list[Complexity]:
        """Count random architectures; those that cannot be built are left out, unless all of them are."""
        costs, failure = [], None
        for _ in range(count):
            try:
                costs.append(count_architecture(self.space, self.blueprint(self.space.sample(rng))))
            except InvalidInputError as error:
                failure = error
        if failure is not None and not costs:
            raise failure
        return costs
