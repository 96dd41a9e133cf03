"""The largest member of a law that meets budgets.

**Rule.** Phi is raised as far as the budgets allow. Where rounding leaves a gap below the tightest of them, the
member is changed a little: the dimension with the finest steps, width or resolution, grows until its next step
breaks a budget, then the other one. If a gap is still left and counts are quick, all members within one step of depth,
three of width and eight of resolution are counted, and the one that uses most of the tightest budget is taken; of
equal ones the one nearest to the law.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from nas.errors import InvalidInputError
from nas.scaling.counting import run_without_weights, time_forward
from nas.scaling.dimensions import MULTIPLIER_STEP, Scaler
from nas.scaling.laws import DIMENSIONS, Dimension, Law
from search_spaces.architecture import Blueprint

FULL = 0.97  # share of the tightest budget above which nothing more is tried
GAP = 0.94  # share below which quick counts look around
AIM = 0.985  # share that a next try aims at
NEAR = 0.002  # steps of phi that are too small to matter
STRETCH = 1.5  # of steps on the same side: memory, say, grows more slowly than MACs
QUICK_STEPS, SLOW_STEPS = 24, 9  # members tried along the law
FILLS = {True: 6, False: 3}  # and in each dimension that fills the gap
AROUND: dict[Dimension, int] = {"depth": 1, "width": 3, "resolution": 8}  # steps in which quick counts look around
LOWEST_PHI = -60.0


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
    best = _fill(meter, law, place.blueprint)
    if meter.use(best) < GAP and meter.quick:
        best = max((best, *_around(scaler, law, best)), key=lambda member: _rank(meter, member, near=best))
    return Solution(best, place.phi, meter.used[best], len(meter.used))


def _climb(meter: Meter, law: Law) -> _Place:
    """Return the member with the largest phi that meets the budgets, by false position on logarithms."""
    low: _Place | None = None
    high: _Place | None = None
    rate = math.log(law.growth)
    phi, stride = 0.0, 1.0
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
            share = -math.log(low.use) / (math.log(high.use) - math.log(low.use))
            phi = low.phi + min(0.9, max(0.1, share)) * (high.phi - low.phi)
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


def _fill(meter: Meter, law: Law, member: Blueprint) -> Blueprint:
    """Raise width or resolution, whichever has the finer steps, then the other, as far as the budgets allow."""
    scaler = meter.scaler
    for dimension in sorted(_growing(law) - {"depth"}, key=lambda name: _step(scaler, member, name)):
        if meter.use(member) < FULL:
            member = _raise(meter, member, dimension)
    return member


def _growing(law: Law) -> set[Dimension]:
    """Return what a law changes: others stay as they are, so that depth alone, say, is not helped out by width."""
    step = law.factors(1.0)
    return {name for name in DIMENSIONS if getattr(step, name) > 1}


def _step(scaler: Scaler, member: Blueprint, dimension: Dimension) -> float:
    """Return the relative size of a dimension's next step."""
    if dimension == "resolution":
        return scaler.resolution_step(member.resolution) / member.resolution
    return scaler.divisor / (member.width or 1.0) if scaler.kind == "cells" else MULTIPLIER_STEP


def _raise(meter: Meter, member: Blueprint, dimension: Dimension) -> Blueprint:
    """Return a member with one dimension as large as the budgets allow; both multiply MACs by their square."""
    low, high = 1.0, math.inf
    best = member
    for _ in range(FILLS[meter.quick]):
        wanted = low * (AIM / meter.use(best)) ** 0.5
        factor = wanted if wanted < high else (low * high) ** 0.5
        found = _grown(meter.scaler, member, dimension, factor)
        if found in meter.used and factor >= high:
            break
        if meter.use(found) <= 1:
            if meter.use(found) <= meter.use(best):
                break  # what binds does not depend on it
            low, best = factor, found
        else:
            high = factor
        if meter.use(best) >= FULL:
            break
    return best


def _grown(scaler: Scaler, member: Blueprint, dimension: Dimension, factor: float) -> Blueprint:
    if dimension == "resolution":
        step = scaler.resolution_step(member.resolution * factor)
        return scaler.at_resolution(member, max(member.resolution + step, member.resolution * factor // step * step))
    width = member.width or 1.0
    step_of_width = scaler.divisor if scaler.kind == "cells" else MULTIPLIER_STEP * width
    raised = max(width + step_of_width, width * factor // step_of_width * step_of_width)
    return replace(member, width=scaler.round_width(raised))


def _around(scaler: Scaler, law: Law, member: Blueprint) -> Iterator[Blueprint]:
    """Yield the members a few steps away."""
    cells = scaler.kind == "cells"
    steps: dict[Dimension, float] = {
        "depth": 1 if cells else 0.1,
        "width": scaler.divisor if cells else 2 * MULTIPLIER_STEP,
        "resolution": scaler.resolution_step(member.resolution),
    }
    growing = _growing(law)
    ranges = [range(-AROUND[name], AROUND[name] + 1) if name in growing else range(1) for name in DIMENSIONS]
    for offsets in itertools.product(*ranges):
        moved = {n: i * steps[n] for n, i in zip(DIMENSIONS, offsets, strict=True) if i}
        sizes: dict[str, Any] = {name: (getattr(member, name) or 1) + more for name, more in moved.items()}
        if all(size > 0 for size in sizes.values()):
            near = replace(member, **sizes)
            if _is_taken(scaler, near):
                yield near


def _is_taken(scaler: Scaler, blueprint: Blueprint) -> bool:
    if blueprint.resolution < min(scaler.smallest_resolution, scaler.base.resolution):
        return False
    try:
        scaler.count(blueprint)
    except InvalidInputError:
        return False
    return True


def _rank(meter: Meter, member: Blueprint, *, near: Blueprint) -> tuple[float, float]:
    """Order members by what they use of the budgets, those over them last, and by nearness."""
    use = meter.use(member)
    here, there = meter.scaler.factors_of(member), meter.scaler.factors_of(near)
    distance = sum(abs(math.log(getattr(here, entry.name) / getattr(there, entry.name))) for entry in fields(here))
    return (use if use <= 1 else -use, -distance)
