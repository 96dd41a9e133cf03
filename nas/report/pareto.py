"""The Pareto front of networks: those that no other network beats at lower or equal cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nas.errors import InvalidInputError


def non_dominated(points: Sequence[Sequence[float]]) -> list[int]:
    """Return the indices of the points that no other point dominates, in their order.

    A point dominates another if it is at least as large in every coordinate and larger in one. Equal points do not
    dominate each other.

    Args:
        points: (n, d) larger is better in each of the d coordinates.

    Raises:
        InvalidInputError: the points differ in length, or a number is not finite.
    """
    if len({len(point) for point in points}) > 1:
        raise InvalidInputError("a front needs points of one length: leave out those that lack an objective.")
    values = np.array(points, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InvalidInputError("a front needs finite numbers: leave out points that lack one.")
    return [
        i for i, point in enumerate(values) if not ((values >= point).all(axis=1) & (values > point).any(axis=1)).any()
    ]


def pareto_front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Return the indices of the points that no other point dominates, by rising cost.

    A point dominates another if it costs no more, is worth no less, and is strictly better in one of the two.
    Points equal in both do not dominate each other: all of them are returned, in their order.

    Args:
        costs: (n,) what each point costs; smaller is better.
        values: (n,) what each point is worth; larger is better.

    Raises:
        InvalidInputError: the lengths differ, or a number is not finite.
    """
    if len(costs) != len(values):
        raise InvalidInputError(f"a front needs one value per cost, got {len(costs)} costs and {len(values)} values.")
    if not all(map(math.isfinite, (*costs, *values))):
        raise InvalidInputError("a front needs finite costs and values: leave out points that lack one.")
    front: list[int] = []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -values[i])):
        last = front[-1] if front else None
        if last is None or values[i] > values[last] or (costs[i], values[i]) == (costs[last], values[last]):
            front.append(i)
    return front
