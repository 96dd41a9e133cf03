"""Which record is best: the highest fidelity first, then the score, each network once."""

from __future__ import annotations

import itertools

from controllers.trial import Measurement, Objective, Record, Trial
from nas.ranking import rank_records, standing
from search_spaces.architecture import Architecture

ACCURACY = Objective()


def record(
    number: int, score: float | None, budget: int | None = None, *, root: int | None = None, source: int | None = None
) -> Record:
    measured = Measurement("error", error="x") if score is None else Measurement("ok", {"val_accuracy": score})
    trial = Trial(number, Architecture("toy", (number if root is None else root,)), budget, (), root)
    return Record(trial, measured, reused_from=source)


def test_a_lucky_score_at_a_low_budget_is_behind_any_score_at_a_higher_one() -> None:
    ranks = [standing(record(0, score, budget), ACCURACY) for score, budget in ((0.9, 3), (0.5, 9), (0.4, None))]
    assert sorted(ranks, key=lambda rank: rank or ()) == ranks


def test_a_failure_has_no_standing() -> None:
    assert standing(record(0, None, 9), ACCURACY) is None


def test_each_network_is_listed_once_by_its_highest_budget_in_whatever_order_records_come() -> None:
    records = [
        record(0, 0.9, 3),
        record(1, 0.8, 3),
        record(2, 0.6, 9, root=0),
        record(3, 0.7, 9, root=1),
        record(4, None, 27, root=1),
        record(5, 0.95, 3),
    ]
    for order in itertools.permutations(records, len(records)):
        assert [r.trial.number for r in rank_records(order, ACCURACY)] == [3, 2, 5]


def test_without_budgets_it_is_the_order_of_scores_the_earlier_of_equals_first() -> None:
    records = [record(0, 0.5), record(1, 0.7), record(2, 0.7), record(3, None), record(4, 0.9, source=1)]
    assert [r.trial.number for r in rank_records(records, ACCURACY)] == [1, 2, 0]
    assert [r.trial.number for r in rank_records(records, Objective(direction="minimize"))] == [0, 1, 2]
