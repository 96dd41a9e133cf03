"""The Pareto front, on cases worked out by hand and against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from nas.errors import InvalidInputError
from nas.report.pareto import non_dominated, pareto_front


def test_front_of_nothing_is_empty() -> None:
    assert pareto_front([], []) == []


def test_single_point_is_the_front() -> None:
    assert pareto_front([3.0], [0.5]) == [0]


def test_dominated_points_are_left_out() -> None:
    assert pareto_front([1, 2, 3, 4], [0.5, 0.4, 0.8, 0.7]) == [0, 2]


def test_of_equal_cost_only_the_best_stays() -> None:
    assert pareto_front([1, 1, 2], [0.5, 0.6, 0.7]) == [1, 2]


def test_of_equal_value_only_the_cheapest_stays() -> None:
    assert pareto_front([3, 2, 1], [0.5, 0.5, 0.5]) == [2]


def test_points_equal_in_both_all_stay() -> None:
    assert pareto_front([2, 1, 2, 1], [0.9, 0.5, 0.9, 0.5]) == [1, 3, 0, 2]


def test_front_meets_its_definition() -> None:
    """A point is on the front exactly when no other dominates it; many ties on a grid of 5 x 5."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        costs, values = rng.integers(5, size=12).tolist(), rng.integers(5, size=12).tolist()
        expected = {
            i
            for i in range(12)
            if not any(
                costs[j] <= costs[i] and values[j] >= values[i] and (costs[j], values[j]) != (costs[i], values[i])
                for j in range(12)
            )
        }
        front = pareto_front(costs, values)
        assert set(front) == expected
        assert len(front) == len(expected)
        assert [costs[i] for i in front] == sorted(costs[i] for i in front)


def test_lengths_must_agree() -> None:
    with pytest.raises(InvalidInputError, match="2 costs and 1 values"):
        pareto_front([1, 2], [1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_must_be_finite(bad: float) -> None:
    with pytest.raises(InvalidInputError, match="finite"):
        pareto_front([1.0, bad], [1.0, 1.0])


def test_of_several_objectives_the_undominated_stay_in_their_order() -> None:
    points = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)]
    assert non_dominated(points) == [0, 1, 3]


def test_two_objectives_give_the_same_front_either_way() -> None:
    rng = np.random.default_rng(0)
    costs, values = rng.integers(0, 6, 60).tolist(), rng.integers(0, 6, 60).tolist()
    flipped = [(-cost, value) for cost, value in zip(costs, values, strict=True)]
    assert non_dominated(flipped) == sorted(pareto_front(costs, values))


@pytest.mark.parametrize("points", [[(1.0,), (1.0, 2.0)], [(float("nan"), 1.0)]])
def test_points_without_an_objective_are_refused(points: list[tuple[float, ...]]) -> None:
    with pytest.raises(InvalidInputError, match="a front needs"):
        non_dominated(points)
