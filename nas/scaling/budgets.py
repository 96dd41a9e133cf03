"""What members may cost, and what they do cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from nas.errors import InvalidInputError
from nas.scaling.counting import run_without_weights, time_forward
from nas.scaling.dimensions import Scaler
from search_spaces.architecture import Blueprint


@dataclass(frozen=True, slots=True)
class Budgets:
    """The most that a member may cost; None where nothing is said.

    Attributes:
        macs, params: counted.
        memory: peak bytes of a forward pass of one image.
        latency_ms: measured milliseconds of a forward pass of one image.
    """

    macs: float | None = None
    params: float | None = None
    memory: float | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        """Refuse budgets of nothing."""
        for name, value in self.given.items():
            if not (math.isfinite(value) and value > 0):
                raise InvalidInputError(f"a budget of {name} must be larger than 0, got {value}.")

    @property
    def given(self) -> dict[str, float]:
        """Those that are stated, the cheapest to check first."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(slots=True)
class Meter:
    """Says how much of the budgets members use; each is looked at once."""

    scaler: Scaler
    budgets: Budgets
    device: str = "cpu"
    used: dict[Blueprint, dict[str, float]] = field(default_factory=dict)

    def cost(self, blueprint: Blueprint, name: str) -> float:
        """Return what a member costs in one kind of budget."""
        if name == "memory":
            return run_without_weights(blueprint, self.scaler.folder).memory_bytes
        if name == "latency_ms":
            return time_forward(blueprint, self.scaler.folder, device=self.device)
        return float(getattr(self.scaler.count(blueprint), name))

    def use(self, blueprint: Blueprint) -> float:
        """Return the largest share that a member uses; dear costs are not found out where cheap ones are over."""
        if blueprint not in self.used:
            shares: dict[str, float] = {}
            for name, budget in self.budgets.given.items():
                if max(shares.values(), default=0.0) <= 1:
                    shares[name] = self.cost(blueprint, name) / budget
            self.used[blueprint] = shares
        return max(self.used[blueprint].values())

    @property
    def quick(self) -> bool:
        """Whether many members can be looked at."""
        return self.scaler.quick and self.budgets.memory is None and self.budgets.latency_ms is None
