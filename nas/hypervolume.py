"""The hypervolume of a front: how much of the objectives' space it dominates, for any number of objectives.

The one measure of a front that never grows worse by a better point (Zitzler 1999). Everything is maximised here;
what is to be small is negated before it comes in.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nas.errors import InvalidInputError

Array = npt.NDArray[np.float64]


def hypervolume(points: npt.ArrayLike, *, reference: npt.ArrayLike) -> float:
    """Return the volume of all that lies between a reference point and at least one of the points; exact.

    Two objectives take n log n steps. More are computed by the volumes that points add to those behind them
    (While 2012, WFG, https://doi.org/10.1109/TEVC.2010.2077298), which is meant for fronts of some dozens.

    Args:
        points: (n, objectives) finite numbers to maximise; those not better than the reference in every
            objective add nothing.
        reference: (objectives,) finite numbers.

    Raises:
        InvalidInputError: other shapes, or a number that is not finite.
    """
    corner = np.asarray(reference, dtype=np.float64)
    found = np.asarray(points, dtype=np.float64).reshape(-1, corner.size) if np.size(points) == 0 else points
    heights = np.asarray(found, dtype=np.float64)
    if corner.ndim != 1 or heights.ndim != 2 or heights.shape[1] != corner.size or not corner.size:
        raise InvalidInputError(
            f"a hypervolume takes points (n, objectives) and a reference (objectives,), "
            f"got {heights.shape} and {corner.shape}."
        )
    if not (np.isfinite(heights).all() and np.isfinite(corner).all()):
        raise InvalidInputError("a hypervolume takes finite numbers: leave out points that lack one.")
    sizes = heights - corner
    return _volume(non_dominated(sizes[(sizes > 0).all(axis=1)]))


def non_dominated(points: Array) -> Array:
    """Return the points that no other dominates, each once, by falling first objective.

    Args:
        points: (n, objectives) numbers to maximise.
    """
    left = np.unique(points, axis=0)[::-1]  # whoever dominates a point comes before it
    if points.shape[1] == 2:
        before = np.concatenate([[-np.inf], np.maximum.accumulate(left[:-1, 1])]) if len(left) else left[:, 1]
        return left[left[:, 1] > before]
    front: list[Array] = []
    while len(left):
        front.append(left[0])
        left = left[(left > left[0]).any(axis=1)]
    return np.array(front).reshape(-1, points.shape[1])


def _volume(sizes: Array) -> float:
    """Return the volume of the union of boxes from the origin, (n, objectives), none inside another."""
    if not len(sizes):
        return 0.0
    if sizes.shape[1] == 1:
        return float(sizes[0, 0])
    if sizes.shape[1] == 2:  # by falling width, so by rising height: each adds a strip above the one before
        steps = np.diff(sizes[:, 1], prepend=0.0)
        return float(sizes[:, 0] @ steps)
    return sum(_added_volume(sizes[i], sizes[i + 1 :]) for i in range(len(sizes)))


def _added_volume(box: Array, others: Array) -> float:
    """Return the volume of a box that none of the others holds (While 2012, `exclhv`)."""
    return float(np.prod(box)) - _volume(non_dominated(np.minimum(others, box)))
