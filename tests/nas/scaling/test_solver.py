"""Budgets: always kept, nearly used up, found at once; and what cannot be met is said."""

from __future__ import annotations

import time

import numpy as np
import pytest

import nas
from nas.errors import InvalidInputError
from nas.scaling import counting
from nas.scaling.budgets import Budgets
from nas.scaling.dimensions import Scaler, make_scaler
from nas.scaling.laws import SINGLE, Law, make_law
from nas.scaling.solver import check_reachable, solve
from search_spaces.architecture import Blueprint
from search_spaces.registry import get_space

COMPOUND = make_law("compound")


def found_cell() -> Blueprint:
    architecture = get_space("nasnet").sample(np.random.default_rng(3))
    return nas.get_blueprint(architecture, classes=10, input_shape=(3, 32, 32))


NETS = {
    "nasnet-a": lambda: nas.get_blueprint("nasnet-a-mobile"),
    "a found cell": found_cell,
    "efficientnet-b0": lambda: nas.get_blueprint("efficientnet-b0"),
    "resnet-18": lambda: nas.get_blueprint("resnet-18"),
    "mobilenet-v2": lambda: nas.get_blueprint("mobilenet-v2"),
}


def cell_scaler() -> Scaler:
    return make_scaler(found_cell())


@pytest.mark.parametrize("budgets", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_random_budgets_are_kept_and_used(budgets: int) -> None:
    """5 nets, budgets from 0.1 to 20 times the base: never above, above 90 % in at least 95 of 100, under a second."""
    used, seconds = [], []
    for i, make in enumerate(NETS.values()):
        scaler = make_scaler(make())
        base = scaler.count(scaler.base).macs
        for factor in np.exp(np.random.default_rng(i).uniform(np.log(0.1), np.log(20), budgets)):
            counting.count.cache_clear()
            start = time.process_time()
            found = solve(scaler, COMPOUND, Budgets(macs=base * factor))
            seconds.append(time.process_time() - start)
            used.append(nas.complexity(found.blueprint).macs / (base * factor))
    assert max(used) <= 1
    assert sum(share > 0.9 for share in used) >= 0.95 * len(used)
    assert max(seconds) < 1


def test_several_budgets_are_met_at_once_and_the_tightest_binds() -> None:
    scaler = cell_scaler()
    base = scaler.count(scaler.base)
    found = solve(scaler, COMPOUND, Budgets(macs=4 * base.macs, params=1.2 * base.params))
    cost = scaler.count(found.blueprint)
    assert cost.macs <= 4 * base.macs
    assert cost.params <= 1.2 * base.params
    assert found.binds == "params"
    assert found.used["params"] == pytest.approx(cost.params / (1.2 * base.params))


def test_smaller_members_than_the_base_are_found() -> None:
    scaler = cell_scaler()
    found = solve(scaler, COMPOUND, Budgets(macs=scaler.count(scaler.base).macs / 8))
    assert found.phi < 0
    assert found.blueprint.resolution < scaler.base.resolution


def test_memory_is_a_budget() -> None:
    scaler = cell_scaler()
    budget = 2 * counting.run_without_weights(scaler.base).memory_bytes
    found = solve(scaler, COMPOUND, Budgets(memory=budget))
    assert 0.7 * budget < counting.run_without_weights(found.blueprint).memory_bytes <= budget


def test_latency_is_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that goes by MACs: 1 ms a million."""
    scaler = cell_scaler()
    monkeypatch.setattr("nas.scaling.budgets.time_forward", lambda b, folder, device: scaler.count(b).macs / 1e6)
    found = solve(scaler, COMPOUND, Budgets(latency_ms=100.0))
    assert 90e6 < scaler.count(found.blueprint).macs <= 100e6


def test_what_a_law_leaves_alone_is_not_touched() -> None:
    scaler = cell_scaler()
    found = solve(scaler, Law("depth", SINGLE["depth"]), Budgets(macs=5 * scaler.count(scaler.base).macs))
    assert (found.blueprint.width, found.blueprint.resolution) == (scaler.base.width, scaler.base.resolution)
    assert found.blueprint.depth is not None
    assert found.blueprint.depth > 2


def test_a_budget_that_the_smallest_exceeds_is_refused_with_its_size() -> None:
    for ask in (lambda b: solve(cell_scaler(), COMPOUND, b), lambda b: check_reachable(cell_scaler(), b)):
        with pytest.raises(InvalidInputError, match=r"budget macs 1,000: the smallest, depth 1, width 2"):
            ask(Budgets(macs=1000))


def test_budgets_are_larger_than_nothing() -> None:
    with pytest.raises(InvalidInputError, match="larger than 0"):
        Budgets(macs=0)
    with pytest.raises(InvalidInputError, match="got none"):
        solve(cell_scaler(), COMPOUND, Budgets())


def test_the_same_question_has_the_same_answer() -> None:
    scaler = cell_scaler()
    assert solve(scaler, COMPOUND, Budgets(macs=3e8)) == solve(scaler, COMPOUND, Budgets(macs=3e8))
