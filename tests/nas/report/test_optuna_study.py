"""A run as an Optuna study: states, values, parameters, durations; in a journal and in SQLite; and the dashboard."""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

import nas
import nas.commands.dashboard
from controllers.trial import Objective
from nas import optuna_study
from nas.config import SearchConfig
from nas.errors import InvalidInputError, MissingDependencyError, StorageError
from nas.optuna_study import export_study, serve_study, storage_of, study_trials
from nas.report.analysis import best_record
from nas.reporting import summarize
from nas.run import Run
from search_spaces.registry import get_space

STATES = {"ok": TrialState.COMPLETE, "infeasible": TrialState.PRUNED, "diverged": TrialState.FAIL}


@pytest.fixture(scope="module")
def run(search_folder: Path) -> Run:
    """Return the run of an evolution."""
    return nas.load(search_folder)


def _study(path: Path, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=storage_of(path))


@pytest.mark.parametrize("file", ["study.log", "study.db"])
def test_a_study_says_what_the_run_says(run: Run, tmp_path: Path, file: str) -> None:
    path = export_study(run, tmp_path / "new" / file)
    assert [entry.name for entry in path.parent.iterdir()] == [file]
    study = _study(path, run.folder.name)
    records = sorted(run.records, key=lambda record: record.trial.number)
    decisions = get_space("nasbench201").decisions
    for record, trial in zip(records, study.trials, strict=True):
        measured = record.measurement
        assert trial.state == STATES[measured.status]
        assert trial.values == ([measured.metrics["val_accuracy"]] if measured.ok else None)
        taken = [d.options[i] for d, i in zip(decisions, record.trial.architecture.choices, strict=True)]
        assert [trial.params[d.name] for d in decisions] == taken
        assert trial.user_attrs["trial"] == trial.number == record.trial.number
        assert trial.user_attrs.get("parents", []) == list(record.trial.parents)
        if record.reused_from is None:
            assert trial.duration is not None
            assert trial.duration.total_seconds() == pytest.approx(measured.seconds, abs=1e-3)
        assert trial.user_attrs.get("error", "") == measured.error
    best = best_record(summarize(run))
    assert best is not None
    assert study.best_trial.number == best.trial.number
    assert study.directions == [optuna.study.StudyDirection.MAXIMIZE]
    assert study.metric_names == ["val_accuracy"]
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    assert set(study.ask(study.trials[0].distributions).params) == {decision.name for decision in decisions}


@pytest.mark.parametrize("controller", ["random", "local", "reinforce", "asha:random", "optuna:tpe"])
def test_every_controller_s_run_is_a_study(controller: str, tmp_path: Path, make_search: Callable[..., Path]) -> None:
    folder = make_search(tmp_path / "run", trials=8, controller=controller, recipe_changes={"epochs": 9})
    path = export_study(folder, tmp_path / "study.log")
    trials = _study(path, "run").trials
    assert len(trials) == len(nas.load(folder).records)
    if controller.startswith("asha"):
        assert {step for trial in trials for step in trial.intermediate_values} >= {3}  # of 3, 5, 9 epochs


def test_a_front_has_a_direction_an_objective(tmp_path: Path, make_search: Callable[..., Path]) -> None:
    folder = make_search(tmp_path / "run", trials=10, controller="nsga2", costs=("macs",))
    study = _study(export_study(folder, tmp_path / "s.log"), "run")
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["val_accuracy", "macs"]
    complete = next(trial for trial in study.trials if trial.state == TrialState.COMPLETE)
    assert complete.values == [complete.user_attrs["val_accuracy"], complete.user_attrs["macs"]]


def test_a_weighed_objective_is_the_value(run: Run) -> None:
    """At a quarter of a target of weight -0.5, every accuracy counts twice."""
    objective = Objective(cost="macs", target=1e6, weight=-0.5)
    weighed = replace(run, config=replace(run.config, objective=objective))
    record = next(record for record in weighed.records if record.measurement.ok)
    metrics = {**record.measurement.metrics, "macs": 0.25e6}
    record = replace(record, measurement=replace(record.measurement, metrics=metrics))
    (trial,) = study_trials(replace(weighed, records=(record,)))
    assert trial.value == pytest.approx(2 * metrics["val_accuracy"])


def test_options_that_optuna_takes_for_one_are_told_apart(run: Run) -> None:
    names = [decision.name for decision in run.decisions]
    header = {"table": {"decisions": [{"name": name, "options": [1, True, 0, 2, 3]} for name in names]}}
    config = SearchConfig(table="t.npz", objective=Objective("val_accuracy"))
    one = replace(run, header=header, config=config, records=run.records[:1])
    (trial,) = study_trials(one)
    choices = next(iter(trial.distributions.values())).choices  # type: ignore[attr-defined]
    assert choices == ("1 (int)", "True (bool)", 0, 2, 3)


def test_an_export_replaces_the_one_before(run: Run, tmp_path: Path) -> None:
    path = export_study(run, tmp_path / "study.log")
    before = len(path.read_bytes())
    assert len(export_study(run, path).read_bytes()) == before


def test_a_study_that_cannot_be_written_is_told_of(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        export_study(run, tmp_path / "file" / "study.log")
    with pytest.raises(InvalidInputError, match="is a folder"):
        export_study(run, tmp_path)


def test_without_optuna_it_says_what_to_install(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match="pip install optuna"):
        export_study(run, tmp_path / "study.log")
    assert not list(tmp_path.iterdir())


def test_the_dashboard_answers(run: Run, tmp_path: Path) -> None:
    """The server is a thread of this process; it ends with it."""
    pytest.importorskip("optuna_dashboard")
    path = export_study(run, tmp_path / "study.log")
    addresses: list[str] = []
    answering = threading.Event()

    def ready(address: str) -> None:
        addresses.append(address)
        answering.set()

    threading.Thread(target=lambda: serve_study(path, port=0, ready=ready), daemon=True).start()
    assert answering.wait(timeout=60)
    with urllib.request.urlopen(addresses[0].replace("dashboard/", "api/studies/0"), timeout=60) as answer:
        served = json.load(answer)
    assert served["name"] == run.folder.name
    assert len(served["trials"]) == len(run.records)


def test_the_command_writes_and_serves(
    search_folder: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna_dashboard")
    served: list[Path] = []

    def serve(path: Path, *, port: int, ready: Callable[[str], None]) -> None:
        served.append(path)
        ready(f"http://localhost:{port}/")
        raise KeyboardInterrupt

    monkeypatch.setattr(optuna_study, "serve_study", serve)
    answer = cli("dashboard", search_folder, "--port", 8123)
    path = search_folder / "optuna.log"
    assert (answer.code, served) == (0, [path])
    assert answer.out.splitlines()[0] == str(path)
    assert "http://localhost:8123/" in answer.out
    path.unlink()


def test_without_the_dashboard_it_says_what_to_install(
    search_folder: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    answer = cli("dashboard", search_folder)
    assert answer.code == 1
    assert "neural-architecture-search[dashboard]" in answer.err
    assert not (search_folder / "optuna.log").exists()
