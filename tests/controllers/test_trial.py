"""Trials: what a continued one is, and that journals written before there were any can be read."""

from __future__ import annotations

import math

import pytest

from controllers.trial import Trial
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInputError

NETWORK = Architecture("toy", (0, 1))


def test_a_continued_trial_survives_json() -> None:
    trial = Trial(7, NETWORK, 9, (5,), 2)
    assert Trial.from_json(trial.to_json()) == trial
    assert (trial.root, Trial(7, NETWORK).root) == (2, 7)


def test_a_trial_written_before_any_could_be_continued_is_read() -> None:
    old = {"number": 3, "architecture": NETWORK.to_json(), "budget": None, "parents": [1]}
    assert Trial.from_json(old) == Trial(3, NETWORK, None, (1,))


def test_no_budget_is_the_highest_fidelity() -> None:
    assert [Trial(0, NETWORK, budget).fidelity for budget in (1, 200, None)] == [1, 200, math.inf]


@pytest.mark.parametrize("root", [-1, 3, 4])
def test_only_an_earlier_trial_can_be_continued(root: int) -> None:
    with pytest.raises(InvalidInputError, match=f"trial 3 can continue an earlier trial only, got {root}"):
        Trial(3, NETWORK, 9, (), root)
