"""Hypervolume: by hand, by inclusion and exclusion, and by counting random points."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from nas.errors import InvalidInputError
from nas.hypervolume import hypervolume, non_dominated


def by_inclusion_and_exclusion(points: np.ndarray, reference: np.ndarray) -> float:
    """Add the boxes, take away what two share, add what three share, and so on."""
    boxes = np.maximum(points - reference, 0)
    total = 0.0
    for size in range(1, len(boxes) + 1):
        total -= (-1) ** size * sum(np.prod(np.min(some, axis=0)) for some in combinations(boxes, size))
    return total


def test_two_steps_by_hand() -> None:
    """Boxes of 3 x 1 and 1 x 2 share 1 x 1; the third lies inside."""
    assert hypervolume([[3, 1], [1, 2], [2, 1]], reference=[0, 0]) == 4


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_equals_inclusion_and_exclusion(objectives: int) -> None:
    """Whole numbers, so that many points are equal in an objective or wholly, and the sums are exact."""
    rng = np.random.default_rng(objectives)
    for _ in range(30):
        points = rng.integers(0, 6, size=(rng.integers(1, 9), objectives)).astype(float)
        reference = rng.integers(0, 3, size=objectives).astype(float)
        assert hypervolume(points, reference=reference) == by_inclusion_and_exclusion(points, reference)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_is_the_share_of_random_points_that_are_dominated(objectives: int) -> None:
    """40,000 draws have a standard deviation of 0.0025 at most; five of them are passed twice in a million."""
    rng = np.random.default_rng(0)
    front = rng.dirichlet(np.ones(objectives), size=25)
    draws = rng.random((40_000, objectives))
    share = (draws[:, None] <= front[None]).all(axis=2).any(axis=1).mean()
    assert hypervolume(front, reference=np.zeros(objectives)) == pytest.approx(share, abs=5 * 0.0025)


def test_order_and_copies_and_dominated_points_change_nothing() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((12, 3))
    volume = hypervolume(points, reference=np.zeros(3))
    more = np.concatenate([points[::-1], points[:4], points / 2])
    assert hypervolume(more, reference=np.zeros(3)) == pytest.approx(volume, rel=1e-12)


def test_points_not_better_than_the_reference_add_nothing() -> None:
    assert hypervolume([[1, 5], [5, 1], [2, 2]], reference=[1, 1]) == 1
    assert hypervolume([[1, 5]], reference=[1, 1]) == 0
    assert hypervolume([], reference=[1, 1]) == 0


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_non_dominated_equals_comparing_all_pairs(objectives: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        points = rng.integers(0, 5, size=(10, objectives)).astype(float)
        kept = {tuple(p) for p in points if not any((q >= p).all() and (q > p).any() for q in points)}
        found = non_dominated(points)
        assert {tuple(point) for point in found} == kept
        assert len(found) == len(kept)
        assert np.all(np.diff(found[:, 0]) <= 0)


@pytest.mark.parametrize(
    ("points", "reference", "message"),
    [
        ([[1, 2, 3]], [0, 0], r"got \(1, 3\) and \(2,\)"),
        ([1, 2], [0, 0], r"got \(2,\) and \(2,\)"),
        ([[1.0, np.nan]], [0, 0], "finite"),
        ([[1.0, 2.0]], [0, -np.inf], "finite"),
    ],
)
def test_what_has_no_volume_is_refused(points: list[float], reference: list[float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        hypervolume(points, reference=reference)
