"""Evaluation by look-up: a row's numbers, what a row that lacks them is, and a whole search on a table."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers import make_controller
from controllers.trial import Objective, Trial
from nas.errors import InvalidInputError, UnknownNameError
from nas.evaluators.table import Table
from nas.evaluators.table_evaluator import TableEvaluator
from nas.executors.serial_executor import SerialExecutor
from nas.journal import Journal
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from search_spaces.architecture import Architecture, Blueprint

OPS = np.array(list(itertools.product(range(4), repeat=3)))[1:]
SCORE = np.linspace(0, 1, 63)
SCORE[5] = np.nan
TABLE = Table(OPS, {"score": SCORE, "late": SCORE[::-1], "took_s": np.arange(63.0)})


def trial(*choices: int) -> Trial:
    return Trial(0, TABLE.space.architecture(choices))


def test_row_becomes_metrics_and_seconds() -> None:
    evaluator = TableEvaluator(TABLE, metric="score", report_metric="late", seconds="took_s")
    measured = evaluator.evaluate(trial(0, 1, 0))
    assert measured.ok
    assert measured.metrics == {"score": SCORE[3], "late": SCORE[59], "took_s": 3.0}
    assert measured.seconds == 3.0


def test_other_columns_without_a_number_are_left_out() -> None:
    measured = TableEvaluator(TABLE, metric="score").evaluate(trial(3, 2, 2))
    assert TABLE.space.row(trial(3, 2, 2).architecture) == 57
    assert measured.metrics.keys() == {"score", "took_s"}


def test_row_without_the_metric_is_a_failure_that_says_why() -> None:
    measured = TableEvaluator(TABLE, metric="score").evaluate(trial(0, 1, 2))
    assert (measured.status, measured.error) == ("error", "no measurement of score in row 5")


def test_point_without_a_row_is_infeasible() -> None:
    assert TableEvaluator(TABLE, metric="score").evaluate(trial(0, 0, 0)).status == "infeasible"


def test_architecture_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="takes its own architectures"):
        TableEvaluator(TABLE, metric="score").evaluate(Trial(0, Architecture("nasnet", (0, 0, 1))))


@pytest.mark.parametrize("role", ["metric", "report_metric", "seconds"])
def test_unknown_columns_are_refused(role: str) -> None:
    with pytest.raises(UnknownNameError, match="Known: late, score, took_s"):
        TableEvaluator(TABLE, **{"metric": "score", role: "unknown"})


LADDER = {3: "early", 9: "middle", 27: "score"}
STAGES = Table(OPS, {"score": SCORE, "early": SCORE + 1, "middle": SCORE + 2, "cost": np.ones(63), "took_s": OPS[:, 0]})


def staged(**settings: Any) -> TableEvaluator:
    return TableEvaluator(STAGES, metric="score", fidelities=LADDER, **settings)


@pytest.mark.parametrize(("budget", "epochs", "gain"), [(3, 3, 1.0), (9, 9, 2.0), (27, 27, 0.0), (None, 27, 0.0)])
def test_the_budget_picks_the_column_of_the_metric(budget: int | None, epochs: int, gain: float) -> None:
    measured = staged().evaluate(replace(trial(1, 0, 0), budget=budget))
    row = STAGES.space.row(trial(1, 0, 0).architecture)
    assert measured.metrics["score"] == SCORE[row] + gain
    assert (measured.metrics["epochs"], measured.metrics["epochs_spent"]) == (epochs, epochs)


def test_what_is_measured_after_more_epochs_is_not_shown() -> None:
    seen = staged().evaluate(replace(trial(1, 0, 0), budget=3)).metrics.keys()
    assert seen == {"score", "early", "cost", "took_s", "epochs", "epochs_spent"}


@pytest.mark.parametrize(("continued", "paid"), [(False, [3, 9, 27]), (True, [3, 6, 18])])
def test_separate_runs_are_paid_in_full_and_stages_by_their_difference(continued: bool, paid: list[int]) -> None:
    first = replace(trial(1, 0, 0), budget=3)
    trials = [first, *(replace(first, number=n, budget=b, continues=0) for n, b in ((1, 9), (2, 27)))]
    evaluator = staged(continued=continued)
    assert [evaluator.evaluate(t).metrics["epochs_spent"] for t in trials] == paid


def test_seconds_are_those_of_the_highest_fidelity_in_shares() -> None:
    evaluator = staged(seconds="took_s")
    assert evaluator.evaluate(trial(3, 0, 0)).seconds == 3.0
    assert evaluator.evaluate(replace(trial(3, 0, 0), budget=9)).seconds == 1.0


def test_an_unmeasured_fidelity_is_a_failure_of_its_column() -> None:
    measured = staged().evaluate(replace(trial(0, 1, 2), budget=9))
    assert (measured.status, measured.error) == ("error", "no measurement of middle in row 5")


def test_a_budget_without_a_column_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInputError, match="after 3, 9, 27 epochs, got a budget of 5"):
        staged().evaluate(replace(trial(1, 0, 0), budget=5))


def test_fidelities_that_cannot_be_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'early'"):
        TableEvaluator(STAGES, metric="score", fidelities={3: "eraly", 27: "score"})
    with pytest.raises(InvalidInputError, match="none of the fidelities"):
        TableEvaluator(STAGES, metric="cost", fidelities=LADDER)
    for fidelities in ({}, {0: "score"}):
        with pytest.raises(InvalidInputError, match="at least one, from 1 epoch"):
            TableEvaluator(STAGES, metric="score", fidelities=fidelities)


def test_search_loop_finds_the_optimum(tmp_path: Path) -> None:
    def no_network(architecture: Architecture) -> Blueprint:
        raise AssertionError("nothing is built")

    controller = make_controller("random", TABLE.space, [Objective("score")], 0)
    journal = Journal.create(tmp_path / "run", {})
    loop = SearchLoop(controller, journal, Screen(TABLE.space, Constraints(), no_network))
    reason = loop.run(SerialExecutor(TableEvaluator(TABLE, metric="score")), Limits(100))
    journal.close()
    assert reason == "the search space is exhausted"
    assert (loop.progress.evaluated, loop.progress.failed, loop.progress.infeasible) == (62, 1, 1)
    assert loop.progress.best_score == 1.0
