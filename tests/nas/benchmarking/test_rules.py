"""What a comparison is about: objectives, rows that count, the scale of hypervolumes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from controllers.trial import Measurement, Objective
from nas.benchmarking.rules import BenchRules, complete_rows, differing_costs, front_scale, value_of, values_of_rows
from nas.errors import InvalidInputError, UnknownNameError
from nas.evaluators.table import Table
from nas.hypervolume import hypervolume

OPS = np.array(list(itertools.product(range(2), repeat=2)))
TABLE = Table(OPS, {"valid": np.array([1.0, 2, 3, 4]), "ms": np.array([1.0, 2, 3, 8]), "early": np.arange(4.0)})
SIDES = (Objective("valid"), Objective("ms", "minimize"))


def test_costs_are_further_objectives() -> None:
    assert BenchRules(costs=("ms",)).objectives("valid", "maximize") == SIDES


@pytest.mark.parametrize(("direction", "weight"), [("maximize", -0.07), ("minimize", 0.07)])
def test_a_target_makes_one_objective_that_never_rewards_the_cost(direction: Any, weight: float) -> None:
    (objective,) = BenchRules(costs=("ms",), target=2.0).objectives("valid", direction)
    assert objective == Objective("valid", direction, cost="ms", target=2.0, weight=weight)
    cheap, dear = (objective.score(Measurement("ok", {"valid": 5.0, "ms": ms})) for ms in (1.0, 3.0))
    assert cheap > dear


def test_values_of_rows_are_those_of_a_search_to_the_last_digit() -> None:
    (objective,) = BenchRules(costs=("ms",), target=2.5).objectives("valid", "maximize")
    values = values_of_rows(TABLE, objective)
    for row in range(4):
        metrics = {name: float(TABLE.column(name)[row]) for name in ("valid", "ms")}
        assert values[row] == value_of(objective, Measurement("ok", metrics))
        assert values[row] == pytest.approx(metrics["valid"] * (metrics["ms"] / 2.5) ** -0.07)


def test_a_row_without_a_cost_is_a_failed_one() -> None:
    table = Table(OPS, {"valid": np.arange(4.0), "ms": np.array([1, np.nan, 1, np.inf])})
    complete = complete_rows(table, BenchRules(costs=("ms",)), metric="valid")
    assert np.isfinite(complete.column("valid")).tolist() == [True, False, True, False]
    nothing = Table(OPS, {"valid": np.array([1, np.nan, 1, np.nan]), "ms": np.array([np.nan, 1, np.nan, 1])})
    with pytest.raises(InvalidInputError, match="no row has all of valid, ms"):
        complete_rows(nothing, BenchRules(costs=("ms",)), metric="valid")


def test_rows_of_one_network_with_different_costs_are_different_networks() -> None:
    classes = np.array([0, 1, 0, 2])
    table = Table(OPS, {"valid": np.arange(4.0), "ms": np.arange(4.0), "params": np.array([5.0, 6, 5, 7])}, classes)
    assert differing_costs(table, ["ms", "params"]) == ["ms"]
    assert complete_rows(table, BenchRules(costs=("ms",)), metric="valid").classes is None
    assert complete_rows(table, BenchRules(costs=("params",)), metric="valid").classes is classes


@pytest.mark.parametrize(
    ("reference", "corner", "volume"),
    [("median", (2.5, 2.5), 0.0), ("nadir", (1.0, 8.0), 1 * 6 + 1 * 5), ("worst", (1.0, 8.0), 1 * 6 + 1 * 5)],
)
def test_references_by_hand(reference: Any, corner: tuple[float, float], volume: float) -> None:
    """All four rows are on the front; none beats both medians."""
    if not volume:
        with pytest.raises(InvalidInputError, match=f"no row beats the reference '{reference}'"):
            front_scale(TABLE, SIDES, reference=reference)
        return
    scale = front_scale(TABLE, SIDES, reference=reference)
    assert tuple(scale.named_reference().values()) == corner
    assert scale.volume == volume


def test_without_a_choice_the_first_reference_with_a_volume_is_taken() -> None:
    assert front_scale(TABLE, SIDES, reference=None).named_reference() == {"valid": 1.0, "ms": 8.0}
    one_best = Table(OPS, {"valid": np.array([1.0, 2, 3, 9]), "ms": np.array([4.0, 3, 2, 1])})
    scale = front_scale(one_best, SIDES, reference=None)
    assert scale.named_reference() == {"valid": 2.5, "ms": 2.5}
    assert scale.volume == hypervolume([[9.0, -1.0]], reference=[2.5, -2.5])
    with pytest.raises(InvalidInputError, match="'nadir'"):
        front_scale(one_best, SIDES, reference="nadir")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 3.0}, "a target belongs to exactly one cost, got 0"),
        ({"target": 3.0, "costs": ("a", "b")}, "exactly one cost, got 2"),
        ({"target": 0.0, "costs": ("a",)}, "target must be larger than 0"),
        ({"weight": -0.1, "costs": ("a",)}, "a weight needs a target"),
        ({"weight": 0.1, "target": 3.0, "costs": ("a",)}, "would reward a large cost: give -0.1"),
        ({"costs": ("a", "a")}, "each named once"),
        ({"costs": ("valid",)}, "another column than the metric"),
        ({"reference": "nadir"}, "add --cost"),
        ({"epochs": 100}, "add --fidelity"),
        ({"fidelities": {0: "early"}}, "a number of epochs >= 1"),
        ({"fidelities": {12: "early", 200: "valid"}, "epochs": 100}, "one evaluation of 200"),
        ({"fidelities": {12: "valid", 200: "early"}}, "column of the highest fidelity"),
    ],
)
def test_rules_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        BenchRules(**options).objectives("valid", "maximize")


def test_an_unknown_reference_is_refused_with_the_known() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'median'"):
        BenchRules(costs=("ms",), reference="medain")  # type: ignore[arg-type]


def test_a_cost_that_is_not_positive_cannot_be_weighed() -> None:
    with pytest.raises(InvalidInputError, match="larger than 0, got 0 in 'early'"):
        complete_rows(TABLE, BenchRules(costs=("early",), target=1.0), metric="valid")
