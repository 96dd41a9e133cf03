"""Members of a family: networks at steps of phi, or at budgets, with all that is known of each.

**Rounding.** Rounded repeats, filters and pixels can carry a member far from the MACs that its phi intends: every
depth above 1 repeats all of EfficientNet-B0's stages once more, half of the base's MACs again. So where a member's
MACs are more than `CLOSE` away from the intended, phi is moved until they are as near as they come; B1 as published,
1.1 deep where the law says 1.2, is such a correction by hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from nas.errors import InvalidInputError
from nas.scaling.budgets import Budgets
from nas.scaling.counting import run_without_weights, time_forward
from nas.scaling.dimensions import Scaler
from nas.scaling.laws import Factors, Law
from nas.scaling.solver import solve
from search_spaces.architecture import Blueprint

CLOSE = 0.05
STEPS = {True: 40, False: 8}  # members looked at to come near the intended MACs, where counts are quick and elsewhere


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What trainings of a member gave.

    Attributes:
        mean, std: of the validation accuracy, in [0, 1]; the deviation is that of the sample, 0 for one seed.
        seeds: trainings.
    """

    mean: float
    std: float
    seeds: int

    def to_json(self) -> dict[str, float]:
        """Return a JSON-ready dict."""
        return {"val_accuracy": self.mean, "val_accuracy_std": self.std, "seeds": self.seeds}


@dataclass(frozen=True, slots=True)
class Member:
    """A scaled network.

    Attributes:
        name: of its file.
        law: name of the law that it follows.
        phi: its step on the law; where a budget made it, the step that comes nearest.
        blueprint: what to build.
        intended: factors of the law at this phi.
        realised: factors after rounding.
        intended_macs: the base's, times the law's growth; the budget, where one of MACs made it.
        layers, params, macs, memory_bytes: counted; see `nas.scaling.counting`.
        latency_ms: measured; None where nobody asked.
        accuracy: None where it was not trained.
        budgets, used: budgets that made it, and the shares of them that it uses; empty for a step of phi.
    """

    name: str
    law: str
    phi: float
    blueprint: Blueprint
    intended: Factors
    realised: Factors
    intended_macs: float
    layers: int
    params: int
    macs: int
    memory_bytes: int
    latency_ms: float | None = None
    accuracy: Accuracy | None = None
    budgets: dict[str, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)

    @property
    def binds(self) -> str:
        """The budget that is used most; empty for a step of phi."""
        return max(self.used, key=lambda name: self.used[name]) if self.used else ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; depth, width and resolution are the blueprint's, 1 where it says nothing."""
        accuracy: dict[str, Any] = {"val_accuracy": None, "val_accuracy_std": None, "seeds": 0}
        return {
            "name": self.name,
            "law": self.law,
            "phi": self.phi,
            "blueprint": self.blueprint.to_json(),
            "depth": self.blueprint.depth or 1.0,
            "width": self.blueprint.width or 1.0,
            "resolution": self.blueprint.resolution,
            "intended": {**self.intended.to_json(), "macs": self.intended_macs},
            "realised": self.realised.to_json(),
            "layers": self.layers,
            "params": self.params,
            "macs": self.macs,
            "memory_bytes": self.memory_bytes,
            "latency_ms": self.latency_ms,
            **(self.accuracy.to_json() if self.accuracy else accuracy),
            "budgets": self.budgets,
            "used": self.used,
            "binds": self.binds,
        }


@dataclass(frozen=True, slots=True)
class Line:
    """A law on a base network, from which members are taken.

    Attributes:
        scaler: the base.
        law: with what the base lacks held at 1.
        name: begins the names of members.
        measure: whether latency is measured.
        device: where.
    """

    scaler: Scaler
    law: Law
    name: str
    measure: bool = False
    device: str = "cpu"

    def at(self, phi: float) -> Member:
        """Return the member at a step of phi, which may be negative; at 0, the base itself."""
        wanted = self.intended_macs(phi)
        return self._member(f"phi{phi:g}", self.blueprint_at(phi), phi=phi, wanted=wanted)

    def intended_macs(self, phi: float) -> float:
        """Return the base's MACs times the law's growth."""
        return float(self.scaler.count(self.scaler.base).macs * self.law.growth**phi)

    def blueprint_at(self, phi: float) -> Blueprint:
        """Return the network at a step of phi; see the module on rounding."""
        wanted, blueprint = self.intended_macs(phi), self.scaler.member(self.law.factors(phi))
        if abs(self.scaler.count(blueprint).macs / wanted - 1) <= CLOSE:
            return blueprint
        return nearest(self.scaler, self.law, wanted, phi=phi)

    def matching(self, other: Member) -> Member:
        """Return the member whose MACs are nearest to those of another law's member."""
        blueprint = nearest(self.scaler, self.law, other.macs, phi=other.phi)
        return self._member(f"phi{other.phi:g}", blueprint, phi=other.phi, wanted=other.macs)

    def within(self, budgets: Budgets) -> Member:
        """Return the largest member that meets budgets.

        Raises:
            InvalidInputError: the smallest member exceeds one.
        """
        found = solve(self.scaler, self.law, budgets, device=self.device)
        label = "-".join(f"{name.partition('_')[0]}{_short(value)}" for name, value in budgets.given.items())
        wanted = budgets.macs or self.scaler.count(found.blueprint).macs
        return self._member(
            label, found.blueprint, phi=found.phi, wanted=wanted, budgets=budgets.given, used=found.used
        )

    def _member(self, label: str, blueprint: Blueprint, *, phi: float, wanted: float, **stated: Any) -> Member:
        cost = self.scaler.count(blueprint)
        shape = run_without_weights(blueprint, self.scaler.folder)
        latency = time_forward(blueprint, self.scaler.folder, device=self.device) if self.measure else None
        return Member(
            f"{self.name}-{self.law.name}-{label}",
            self.law.name,
            round(phi, 4),
            blueprint,
            self.law.factors(phi),
            self.scaler.factors_of(blueprint),
            wanted,
            shape.layers,
            cost.params,
            cost.macs,
            shape.memory_bytes,
            latency,
            **stated,
        )


def nearest(scaler: Scaler, law: Law, macs: float, *, phi: float) -> Blueprint:
    """Return the member of a law whose MACs are nearest to some number, by ratio.

    Args:
        scaler: the base network.
        law: how it grows.
        macs: wanted.
        phi: where to look first.
    """
    low, high = -math.inf, math.inf
    seen: dict[Blueprint, float] = {}
    for _ in range(STEPS[scaler.quick]):
        blueprint = scaler.member(law.factors(phi))
        ratio = scaler.count(blueprint).macs / macs
        seen[blueprint] = abs(math.log(ratio))
        low, high = (phi, high) if ratio <= 1 else (low, phi)
        if seen[blueprint] < CLOSE / 10 or high - low < 1e-3:
            break
        step = math.log(ratio) / math.log(law.growth)
        phi = (low + high) / 2 if math.isfinite(high - low) else phi - step - math.copysign(0.01, step)
    return min(seen, key=lambda member: seen[member])


def _short(value: float) -> str:
    """Return a budget for a file's name: 50M, 1.5G, 3.2."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def check_phis(phis: list[float]) -> None:
    """Refuse steps of phi that no network would survive.

    Raises:
        InvalidInputError: there is one.
    """
    for phi in phis:
        if not -10 <= phi <= 12:
            raise InvalidInputError(f"phi is between -10 and 12, twice the MACs a step; got {phi:g}.")
