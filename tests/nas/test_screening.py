"""Constraints before training, and what can be said of them beforehand."""

from __future__ import annotations

import pytest

from nas.errors import InvalidInputError
from nas.screening import Constraints, Screen
from search_spaces.architecture import Architecture, Blueprint, Complexity
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=2")


def blueprint(architecture: Architecture) -> Blueprint:
    return Blueprint(architecture, 8, channels=1, stem="tiny", depth=1, width=4)


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({}, ""),
        ({"max_params": 100, "min_macs": 5000}, ""),
        ({"max_params": 99}, "params 100 is above max_params 99"),
        ({"min_params": 101}, "params 100 is below min_params 101"),
        ({"max_macs": 4999}, "macs 5,000 is above max_macs 4,999"),
    ],
)
def test_bounds_are_inclusive(bounds: dict[str, int], reason: str) -> None:
    assert Constraints(**bounds).broken(Complexity(100, 5000)) == reason


def test_contradictory_bounds_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="min_params must not exceed max_params, got 10 > 5"):
        Constraints(min_params=10, max_params=5)
    with pytest.raises(InvalidInputError, match="max_macs must be >= 0"):
        Constraints(max_macs=-1)


def test_preview_says_how_much_of_the_space_is_feasible() -> None:
    free = Screen(SPACE, Constraints(), blueprint).preview(0)
    assert free.feasible == 1.0
    assert free.median is not None
    half = Screen(SPACE, Constraints(max_params=free.median.params), blueprint).preview(0)
    assert half.feasible == pytest.approx(0.5, abs=0.02)


def test_bound_that_nothing_keeps_says_what_is_reachable() -> None:
    smallest = Screen(SPACE, Constraints(), blueprint).preview(0).smallest.params
    with pytest.raises(InvalidInputError, match=rf"max_params {smallest - 1:,}.*they have {smallest:,} to"):
        Screen(SPACE, Constraints(max_params=smallest - 1), blueprint).preview(0)


def test_without_bounds_nothing_is_counted() -> None:
    def never(architecture: Architecture) -> Blueprint:
        raise AssertionError

    import numpy as np

    assert Screen(SPACE, Constraints(), never).check(SPACE.sample(np.random.default_rng(0))) is None
