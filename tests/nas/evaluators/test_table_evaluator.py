"""Evaluation by look-up: a row's numbers, what a row that lacks them is, and a whole search on a table."""

from __future__ import annotations

import itertools
from pathlib import Path

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
