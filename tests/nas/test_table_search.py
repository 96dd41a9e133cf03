"""A search among measured networks from end to end: the row at the end, the same after a kill, simulated time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from controllers.trial import Objective
from nas.errors import InvalidInputError, UnknownNameError
from nas.finalizing import FOLDER
from nas.journal import FILE_NAME, read_journal
from nas.run import Run
from nas.table_answer import load_chosen

OPS = np.array(list(itertools.product(range(3), repeat=4)))  # 81 rows
QUALITY = OPS @ np.array([9.0, 3.0, 1.0, 0.5])  # the best row is the last
COLUMNS = {
    "early": QUALITY + np.resize([0.0, 2.0, 1.0], 81),
    "late": QUALITY,
    "test": QUALITY - 1,
    "size": 1.0 + OPS.sum(axis=1),
    "took_s": 10.0 + 7 * OPS[:, 0] + OPS[:, 3],
    "gap": np.where(np.arange(81) % 5 == 0, np.nan, QUALITY),
    "empty": np.full(81, np.nan),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in a file."""
    path = tmp_path_factory.mktemp("tables") / "measured.npz"
    np.savez(path, ops=OPS, **COLUMNS)
    return path


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One finished search."""
    out = tmp_path_factory.mktemp("runs") / "looked-up"
    return nas.search(**settings(table, report_metric="test"), out=out)


def settings(table: Path, **changes: Any) -> dict[str, Any]:
    return {"table": str(table), "objective": Objective("late"), "controller": "random", "trials": 20, **changes}


def told(folder: Path) -> list[Any]:
    """What the journal holds, without its times and its first line."""
    events = [{"kind": e.kind, **e.data} for e in read_journal(folder).events][1:]
    return [{key: value for key, value in event.items() if key != "time"} for event in events]


def test_the_best_row_seen_is_chosen_and_written_down(run: Run) -> None:
    chosen = load_chosen(run.folder / FOLDER)
    best = max(record.measurement.metrics["late"] for record in run.records)
    assert chosen.metrics["late"] == best == QUALITY[chosen.row]
    assert chosen.architecture == run.ranked()[0].trial.architecture
    assert list(chosen.options.values()) == OPS[chosen.row].tolist()
    assert "nothing to build" in (run.folder / FOLDER / "README.md").read_text()


def test_the_standing_is_counted_over_all_rows(run: Run) -> None:
    metrics = run.final
    assert metrics["table_optimum"] == QUALITY.max()
    assert metrics["distance_from_optimum"] == QUALITY.max() - metrics["late"]
    assert metrics["rank"] == 1 + np.count_nonzero(metrics["late"] < QUALITY)
    assert metrics["test"] == metrics["late"] - 1


def test_a_chosen_row_has_no_network_and_says_so(run: Run) -> None:
    with pytest.raises(InvalidInputError, match="there is no network to build"):
        load_chosen(run.folder / FOLDER).network()


def test_smaller_can_be_better(table: Path, tmp_path: Path) -> None:
    objective = Objective("late", "minimize")
    found = nas.search(**settings(table, objective=objective, trials=200), out=tmp_path / "run")
    assert (found.final["late"], found.final["rank"], found.final["distance_from_optimum"]) == (0.0, 1.0, 0.0)


def test_a_killed_search_resumes_where_it_was(run: Run, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(run.folder, tmp_path / "killed"))
    lines = (folder / FILE_NAME).read_bytes().splitlines(keepends=True)
    (folder / FILE_NAME).write_bytes(b"".join(lines[:12]))
    shutil.rmtree(folder / FOLDER)
    nas.resume(folder)
    assert told(folder) == told(run.folder)
    assert load_chosen(folder / FOLDER).metrics == run.final


def test_another_table_under_the_same_name_is_noticed(table: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.npz"
    copy.write_bytes(table.read_bytes())
    nas.search(**settings(copy), out=tmp_path / "run")
    np.savez(copy, ops=OPS, **{**COLUMNS, "test": QUALITY + 1})
    with pytest.raises(InvalidInputError, match="its contents differ"):
        nas.resume(tmp_path / "run", trials=30)


def test_a_table_that_moved_is_found_where_it_is_said_to_be(table: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.npz"
    copy.write_bytes(table.read_bytes())
    nas.search(**settings(copy), out=tmp_path / "run")
    copy.unlink()
    assert len(nas.resume(tmp_path / "run", trials=30, table=str(table)).records) == 30


def test_a_search_longer_than_the_table_ends_by_itself(table: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    answer = cli("search", "--table", table, "--metric", "late", "--controller", "random", "--trials", 999,
                 "--out", tmp_path / "run")  # fmt: skip
    assert answer.code == 0, answer.err
    assert "the search space is exhausted" in answer.err
    assert "rank 1 of 81 rows; 0 from the table's optimum 27" in answer.out
    before = (tmp_path / "run" / FILE_NAME).read_bytes()
    nas.resume(tmp_path / "run")
    assert (tmp_path / "run" / FILE_NAME).read_bytes() == before  # nothing is concluded twice


def test_rows_without_the_metric_or_a_cost_are_failures(table: Path, tmp_path: Path) -> None:
    found = nas.search(**settings(table, trials=200, costs=("gap",)), out=tmp_path / "run")
    failures = [record for record in found.records if not record.measurement.ok]
    assert len(failures) == 17  # every fifth of 81
    assert failures[0].measurement.error == "no measurement of gap"


def test_a_controller_of_one_objective_refuses_costs_and_names_those_that_can(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"'evolution' searches for one objective, got 2.*random, .*optuna:tpe"):
        nas.search(**settings(table, controller="evolution", costs=("size",)), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_target_weighs_a_column_into_the_objective(table: Path, tmp_path: Path) -> None:
    """So strong a weight makes the smallest rows of some quality the best: checked by counting over the table."""
    objective = Objective("late", cost="size", target=2.0, weight=-2.0)
    found = nas.search(**settings(table, objective=objective, trials=200), out=tmp_path / "run")
    scores = QUALITY * (COLUMNS["size"] / 2.0) ** -2.0
    assert load_chosen(found.folder / FOLDER).row == int(np.argmax(scores))
    assert found.final["table_optimum"] == pytest.approx(scores.max(), rel=1e-12)
    assert found.final["rank"] == 1


# ------------------------------------------------------------------------------------------- simulated time


def test_simulated_search_is_deterministic_and_resumes_on_the_same_clock(table: Path, tmp_path: Path) -> None:
    simulated = settings(table, executor="simulated", workers=3, seconds_metric="took_s", controller="evolution")
    whole = nas.search(**simulated, out=tmp_path / "whole")
    numbers = [record.trial.number for record in whole.records]
    assert numbers != sorted(numbers)  # three workers overtake each other
    for kept in (5, 14, 23):
        folder = tmp_path / f"killed-{kept}"
        folder.mkdir()
        lines = (whole.folder / FILE_NAME).read_bytes().splitlines(keepends=True)
        (folder / FILE_NAME).write_bytes(b"".join(lines[:kept]))
        nas.resume(folder)
        assert told(folder) == told(whole.folder)


def test_simulated_time_is_work_over_workers(table: Path, tmp_path: Path) -> None:
    found = nas.search(**settings(table, executor="simulated", workers=4, seconds_metric=50.0), out=tmp_path / "run")
    assert max(record.measurement.metrics["simulated_s"] for record in found.records) == 20 * 50 / 4


def test_simulated_time_limit_starts_nothing_new(table: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    answer = cli("search", "--table", table, "--metric", "late", "--executor", "simulated", "--workers", 2,
                 "--seconds-metric", 100, "--max-seconds", 250, "--out", tmp_path / "run")  # fmt: skip
    assert answer.code == 0, answer.err
    assert "the simulated time limit is reached" in answer.err
    assert "simulated time: 5 min" in answer.out
    assert len(nas.load(tmp_path / "run").records) == 6


def test_a_run_keeps_its_clock(run: Run) -> None:
    with pytest.raises(InvalidInputError, match="--executor simulated needs"):
        nas.resume(run.folder, executor="simulated")


# ------------------------------------------------------------------------------------------ the command line


def test_front_is_printed_and_on_the_page(table: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    answer = cli("search", "--table", table, "--metric", "late", "--cost", "size", "--cost", "took_s",
                 "--controller", "random", "--trials", 81, "--out", tmp_path / "run")  # fmt: skip
    assert answer.code == 0, answer.err
    points = np.column_stack([QUALITY, -COLUMNS["size"], -COLUMNS["took_s"]])
    front = sum(not ((points >= p).all(1) & (points > p).any(1)).any() for p in points)
    assert f"Pareto front: {front} networks" in answer.out
    page = (tmp_path / "run" / "report.html").read_text()
    assert '<h2 id="front">Pareto front</h2>' in page
    assert f"{front} networks: no other one found" in page
    assert "minimize size; minimize took_s" in page


def test_page_needs_no_table(table: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    copy = tmp_path / "copy.npz"
    copy.write_bytes(table.read_bytes())
    nas.search(**settings(copy), out=tmp_path / "run")
    copy.unlink()
    assert cli("report", tmp_path / "run").code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Distance from optimum" in page
    assert "decision3" in page
    assert "Recipe" not in page


def test_settings_file_repeats_the_run(run: Run, tmp_path: Path, cli: Callable[..., Any]) -> None:
    answer = cli("search", "--config", run.folder / "config.toml", "--out", tmp_path / "again")
    assert answer.code == 0, answer.err
    assert told(tmp_path / "again") == told(run.folder)
    assert "digits" not in (run.folder / "config.toml").read_text()  # no settings that say nothing here


def test_fidelities_search_by_the_longest_training(table: Path, tmp_path: Path) -> None:
    found = nas.search(
        table=str(table), controller="asha", trials=60, fidelities={3: "early", 27: "late"}, out=tmp_path / "run"
    )
    assert found.config.objective.metric == "late"
    assert {record.trial.budget for record in found.records} == {3, 27}
    full = [record for record in found.records if record.trial.budget == 27]
    assert found.final["late"] == max(record.measurement.metrics["late"] for record in full)


MISTAKES = {
    "no metric": ([], "needs --metric"),
    "unknown column": (["--metric", "lat"], "Did you mean 'late'"),
    "unknown report column": (["--metric", "late", "--report-metric", "tst"], "Did you mean 'test'"),
    "column of nothing": (["--metric", "empty"], "holds no finite number"),
    "data": (["--metric", "late", "--data", "digits"], "leave out --data"),
    "bound": (["--metric", "late", "--max-params", "1M"], "leave out the bounds"),
    "direction": (["--metric", "late", "--direction", "up"], "Known: maximize, minimize"),
    "prior": (["--metric", "late", "--prior", "naswot"], "unknown column"),
    "fidelities": (["--metric", "late", "--controller", "asha"], "--fidelity 12=COLUMN"),
    "fidelity": (["--fidelity", "x=late"], "--fidelity takes EPOCHS=COLUMN"),
    "clock": (["--metric", "late", "--executor", "simulated"], "--seconds-metric"),
    "target": (["--metric", "late", "--target-macs", "1M", "--cost", "size"], "leave out one or the other"),
    "cost below 0": (["--metric", "early", "--cost", "late", "--target", "3"], "must be larger than 0"),
    "weight": (["--metric", "late", "--weight", "-1"], "--cost and --target"),
    "twice": (["--metric", "late", "--cost", "late", "--controller", "random"], "name each once"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    mistake: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, message = MISTAKES[mistake]
    answer = cli("search", "--table", table, *arguments, "--out", "run")
    assert answer.code == 2, answer.out + answer.err
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", ["report_metric", "seconds_metric"])
def test_settings_of_tables_need_one(field: str) -> None:
    with pytest.raises(InvalidInputError, match="give --table FILE as well"):
        nas.SearchConfig(**{field: "late"})


def test_settings_survive_json_and_toml(table: Path, tmp_path: Path) -> None:
    config = nas.SearchConfig(
        **settings(table, fidelities={27: "late", 3: "early"}, costs=["size"], seconds_metric=5.0)
    )
    assert nas.SearchConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    (tmp_path / "config.toml").write_text(config.to_toml())
    assert nas.SearchConfig.from_toml(tmp_path / "config.toml") == config


def test_settings_from_before_tables_are_read() -> None:
    old = {"space": "nasnet", "controller": "random", "trials": 3, "objective": {"metric": "val_accuracy"}}
    assert nas.SearchConfig.from_json(old).objectives == (Objective(),)


def test_unknown_metric_of_a_training_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'val_accuracy'"):
        nas.search(objective=Objective("val_acuracy"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
