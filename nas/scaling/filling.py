"""What rounding leaves of budgets, filled by changing a member a little; see `nas.scaling.solver` for the rule."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from nas.errors import InvalidInputError
from nas.scaling.budgets import Meter
from nas.scaling.dimensions import MULTIPLIER_STEP, Scaler
from nas.scaling.laws import DIMENSIONS, Dimension, Factors, Law
from search_spaces.architecture import Blueprint

FULL = 0.97  # share of the tightest budget above which nothing more is tried
GAP = 0.94  # share below which quick counts look around
AIM = 0.985  # share that a next try aims at
RAISES = {True: 6, False: 3}  # tries in each dimension that fills a gap, where counts are quick and elsewhere
STRIDE = 1.02  # from a try that changed nothing to the next
AROUND: dict[Dimension, int] = {"depth": 1, "width": 3, "resolution": 8}  # steps in which quick counts look around
EXPECTED = 2.0  # members that can be expected to use more, or as many times less, are not counted


def fill(meter: Meter, law: Law, member: Blueprint) -> Blueprint:
    """Return a member that uses more of the budgets, by all of the rule that comes after phi."""
    best = _fill(meter, law, member)
    return _look_around(meter, law, best) if meter.use(best) < GAP and meter.quick else best


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
    for _ in range(RAISES[meter.quick]):
        if meter.use(best) >= FULL:
            break
        wanted = low * (AIM / meter.use(best)) ** 0.5
        factor = wanted if wanted < high else (low * high) ** 0.5
        found = _grown(meter.scaler, member, dimension, factor)
        if meter.use(found) > 1:
            high = factor
        elif meter.use(found) > meter.use(best):
            low, best = factor, found
        elif meter.used[found] == meter.used[best]:
            low = factor * STRIDE  # rounding gave the same filters
        else:
            break  # what binds does not depend on this dimension
    return best


def _grown(scaler: Scaler, member: Blueprint, dimension: Dimension, factor: float) -> Blueprint:
    if dimension == "resolution":
        step = scaler.resolution_step(member.resolution * factor)
        return scaler.at_resolution(member, max(member.resolution + step, member.resolution * factor // step * step))
    width = member.width or 1.0
    step_of_width = scaler.divisor if scaler.kind == "cells" else MULTIPLIER_STEP * width
    raised = max(width + step_of_width, width * factor // step_of_width * step_of_width)
    return replace(member, width=scaler.round_width(raised))


def _look_around(meter: Meter, law: Law, member: Blueprint) -> Blueprint:
    """Return the first member a few steps away, the nearest to the law first, that leaves no gap; or the fullest."""
    best = member
    for found in _around(meter, law, member):
        if meter.use(best) < meter.use(found) <= 1:
            best = found
        if meter.use(best) >= FULL:
            break
    return best


def _around(meter: Meter, law: Law, member: Blueprint) -> Iterator[Blueprint]:
    """Yield the members a few steps away that can be expected to fill the budgets, the nearest to it first."""
    changes = {near: _change(meter.scaler, member, near) for near in _neighbours(meter, law, member)}
    for near in sorted(changes, key=lambda one: sum([abs(math.log(factor)) for factor in changes[one].values])):
        if 1 / EXPECTED <= _expected(meter.used[member], changes[near]) <= EXPECTED and _is_taken(meter.scaler, near):
            yield near


def _neighbours(meter: Meter, law: Law, member: Blueprint) -> Iterator[Blueprint]:
    scaler, growing = meter.scaler, _growing(law)
    if "macs" not in meter.used[member]:
        growing -= {"resolution"}  # parameters do not depend on it
    cells = scaler.kind == "cells"
    steps: dict[Dimension, float] = {
        "depth": 1 if cells else 0.1,
        "width": scaler.divisor if cells else 2 * MULTIPLIER_STEP,
        "resolution": scaler.resolution_step(member.resolution),
    }
    ranges = [range(-AROUND[name], AROUND[name] + 1) if name in growing else range(1) for name in DIMENSIONS]
    for offsets in itertools.product(*ranges):
        moved = {n: i * steps[n] for n, i in zip(DIMENSIONS, offsets, strict=True) if i}
        sizes: dict[str, Any] = {name: (getattr(member, name) or 1) + more for name, more in moved.items()}
        if all(size > 0 for size in sizes.values()):
            yield replace(member, **sizes)


def _change(scaler: Scaler, member: Blueprint, near: Blueprint) -> Factors:
    """Return what one member's depth, width and resolution are of another's."""
    here, there = scaler.factors_of(member), scaler.factors_of(near)
    return Factors(*[new / old for new, old in zip(there.values, here.values, strict=True)])


def _expected(used: dict[str, float], change: Factors) -> float:
    """Return about what share of the tightest budget is used after a change of sizes."""
    params = change.depth * change.width**2
    growth = {"params": params, "macs": params * change.resolution**2}
    return max(share * growth[name] for name, share in used.items())


def _is_taken(scaler: Scaler, blueprint: Blueprint) -> bool:
    if blueprint.resolution < min(scaler.smallest_resolution, scaler.base.resolution):
        return False
    try:
        scaler.count(blueprint)
    except InvalidInputError:
        return False
    return True
