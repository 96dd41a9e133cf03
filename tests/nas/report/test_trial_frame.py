"""The data frame of a run: a row a trial, a column a decision and a metric, empty for an empty run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

import nas
from nas.errors import MissingDependencyError
from nas.run import Run
from nas.trial_frame import decision_columns
from search_spaces.architecture import Decision
from search_spaces.registry import get_space


@pytest.fixture(scope="module")
def run(search_folder: Path) -> Run:
    """Return the run of an evolution."""
    return nas.load(search_folder)


def test_a_row_a_trial(run: Run) -> None:
    frame = run.trials
    assert frame["number"].tolist() == sorted(record.trial.number for record in run.records)
    assert set(frame["status"]) == {"ok", "diverged", "infeasible"}
    for record, (_, row) in zip(run.records, frame.iterrows(), strict=True):
        assert row["parents"] == record.trial.parents
        assert row["seconds"] == record.measurement.seconds
        assert row["time"].timestamp() == pytest.approx(record.time, abs=1e-3)
        assert row["error"] == record.measurement.error


def test_decisions_are_columns_of_options(run: Run) -> None:
    decisions = get_space("nasbench201").decisions
    frame = run.trials
    for record, (_, row) in zip(run.records, frame.iterrows(), strict=True):
        taken = [d.options[i] for d, i in zip(decisions, record.trial.architecture.choices, strict=True)]
        assert [row[decision.name] for decision in decisions] == taken


def test_failures_have_no_metrics(run: Run) -> None:
    frame = run.trials.set_index("status")
    assert frame.loc["ok", ["val_accuracy", "params", "macs", "epochs"]].notna().all(axis=None)
    assert frame.loc["diverged", ["val_accuracy", "epochs"]].isna().all(axis=None)
    assert (frame.loc["ok", "epochs"] == run.config.search_recipe.epochs).all()


def test_an_empty_run_has_the_same_columns_and_kinds(run: Run) -> None:
    empty = replace(run, records=()).trials
    assert len(empty) == 0
    assert set(empty.columns) == set(run.trials.columns)
    kinds = run.trials.dtypes
    for name in ("number", "val_accuracy", "seconds", "epochs", "reused_from", "time"):
        assert empty.dtypes[name] == kinds[name], name


def test_a_decision_named_as_a_column_is_renamed() -> None:
    decisions = [Decision("seconds", (1, 2)), Decision("width", (8, 16))]
    assert list(decision_columns(decisions, taken={"seconds", "params"})) == ["decision_seconds", "width"]


def test_a_grid_s_points_are_its_decisions(scaling_folder: Path) -> None:
    frame = nas.load(scaling_folder / "grid").trials
    assert {"point", "seed", "val_accuracy"} <= set(frame.columns)
    assert set(frame["seed"]) == {0, 1}


def test_without_pandas_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pip install pandas"):
        _ = run.trials
