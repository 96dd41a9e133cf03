"""The largest member of a law that meets budgets.

**Rule.** Phi is raised as far as the budgets allow. Where rounding leaves a gap below the tightest of them, the
member is changed a little: the dimension with the finest steps, width or resolution, grows until its next step
breaks a budget, then the other one. If a gap is still left and counts are quick, members within one step of depth,
three of width and eight of resolution are counted, the nearest first, until one leaves no gap; if none does, the one
that uses most of the tightest budget is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas.errors import InvalidInputError
from nas.scaling.budgets import Budgets, Meter
from nas.scaling.dimensions import Scaler
from nas.scaling.filling import AIM, FULL, fill
from nas.scaling.laws import Law
from search_spaces.architecture import Blueprint

NEAR = 0.01  # steps of phi that are too small to matter: 0.7 % of MACs, which one dimension fills as well
STRETCH = 1.5  # of steps on the same side: memory, say, grows more slowly than MACs
QUICK_STEPS, SLOW_STEPS = 24, 9  # members tried along the law
LOWEST_PHI = -60.0


@dataclass(frozen=True, slots=True)
class Solution:
    """A member that meets all budgets.

    Attributes:
        blueprint: the member.
        phi: where it lies on the law.
        used: shares of the budgets that it uses.
        counted: how many members were looked at.
    """

    blueprint: Blueprint
    phi: float
    used: dict[str, float]
    counted: int

    @property
    def binds(self) -> str:
        """The tightest budget."""
        return max(self.used, key=lambda name: self.used[name])


@dataclass(frozen=True, slots=True)
class _Place:
    """A member on the law."""

    phi: float
    blueprint: Blueprint
    use: float


def solve(scaler: Scaler, law: Law, budgets: Budgets, *, device: str = "cpu") -> Solution:
    """Return the largest member that meets all budgets; see the module's rule.

    Args:
        scaler: the base network.
        law: how it grows.
        budgets: at least one.
        device: where latency is measured.

    Raises:
        InvalidInputError: no budget, or one that the smallest member exceeds.
    """
    if not budgets.given:
        raise InvalidInputError("a member is solved for a budget, got none: state macs, params, memory or latency_ms.")
    law = law.holding(scaler.missing)
    meter = Meter(scaler, budgets, device)
    place = _climb(meter, law)
    best = fill(meter, law, place.blueprint)
    return Solution(best, place.phi, meter.used[best], len(meter.used))


def _climb(meter: Meter, law: Law) -> _Place:
    """Return the member with the largest phi that meets the budgets, by false position on logarithms.

    Where a step of rounding lies between, that would come nearer from one side only: then the gap is halved.
    """
    low: _Place | None = None
    high: _Place | None = None
    rate = math.log(law.growth)
    phi, stride, last = 0.0, 1.0, math.inf
    for _ in range(QUICK_STEPS if meter.quick else SLOW_STEPS):
        blueprint = meter.scaler.member(law.factors(phi))
        here = _Place(phi, blueprint, meter.use(blueprint))
        if here.use <= 1:
            low = here if low is None or here.use >= low.use else low
        else:
            high = here if high is None or here.phi <= high.phi else high
        if low and (low.use >= FULL or (high and high.phi - low.phi < NEAR)):
            break
        if low and high:
            gap = high.phi - low.phi
            share = -math.log(low.use) / (math.log(high.use) - math.log(low.use))
            phi = low.phi + (min(0.9, max(0.1, share)) if gap < last / 2 else 0.5) * gap
            last = gap
        else:
            step = -math.log(here.use / AIM) / rate + (NEAR if low else -NEAR)
            phi = max(LOWEST_PHI, here.phi + stride * step)
            stride *= STRETCH
    return low or _least(meter, high)


def check_reachable(scaler: Scaler, budgets: Budgets) -> None:
    """Refuse budgets of MACs or parameters that no member meets, before anything is trained.

    Raises:
        InvalidInputError: the smallest member exceeds one.
    """
    counted = Budgets(macs=budgets.macs, params=budgets.params)
    if counted.given:
        _least(Meter(scaler, counted), None)


def _least(meter: Meter, high: _Place | None) -> _Place:
    """Return the smallest member, for budgets that nothing on the law was found to meet.

    Raises:
        InvalidInputError: it exceeds them too.
    """
    smallest = meter.scaler.smallest
    use = meter.use(smallest)
    if use <= 1:
        return _Place(high.phi if high else LOWEST_PHI, smallest, use)
    over = max(meter.used[smallest], key=lambda name: meter.used[smallest][name])
    budget = meter.budgets.given[over]
    raise InvalidInputError(
        f"no member meets the budget {over} {_amount(budget)}: the smallest, {describe_size(smallest)}, has "
        f"{_amount(meter.cost(smallest, over))}. Raise the budget, or scale a smaller network."
    )


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def describe_size(blueprint: Blueprint) -> str:
    """Return depth, width and resolution in words."""
    sizes = [f"{name} {getattr(blueprint, name):g}" for name in ("depth", "width") if getattr(blueprint, name)]
    return ", ".join([*sizes, f"images of {blueprint.resolution} pixels"])
