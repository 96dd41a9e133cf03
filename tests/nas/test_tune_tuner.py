"""Searches inside Ray Tune: the README's example made small, failures, and a run that is restored."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from controllers import Measurement, Record, Trial, make_controller
from nas import SearchConfig
from nas.executors.ray_start import start_ray
from nas.image_problem import ImageProblem
from nas.tuning import NASSearcher, architecture_from, evaluator_trainable, nas_trainable, trial_from
from search_spaces.registry import get_space

pytestmark = pytest.mark.ray
SPACE = "nasnet:blocks=1"
SMALL: dict[str, Any] = {"data": "digits", "epochs": 2, "train_limit": 100, "width": 4}
TABLE = get_space("nasbench201")
TRIALS = 6


def run_config(folder: Path, **settings: Any) -> tune.RunConfig:
    return tune.RunConfig(name="run", storage_path=str(folder), verbose=0, **settings)


@pytest.mark.usefixtures("ray_here")
def test_networks_are_trained_under_a_scheduler(tmp_path: Path) -> None:
    """With ASHA, which stops some after one epoch; those that were trained to the end score as in a search of ours."""
    tuner = tune.Tuner(
        nas_trainable(SPACE, **SMALL),
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=4,
            search_alg=NASSearcher(SPACE, "evolution"),
            scheduler=ASHAScheduler(max_t=2, grace_period=1, reduction_factor=2),
        ),
        run_config=run_config(tmp_path),
    )
    results = tuner.fit()
    assert (len(results), results.num_errors) == (4, 0)
    best = results.get_best_result()
    get_space(SPACE).validate(architecture_from(best.config))
    settings = {"recipe_changes": {"epochs": 2}, "data": "digits", "train_limit": 100, "width": 4}
    evaluator = ImageProblem.prepare(SearchConfig(space=SPACE, **settings)).make_evaluator(tmp_path)
    finished = next(result for result in results if result.metrics["epochs"] == 2)
    measured = evaluator.evaluate(trial_from(finished.config)).metrics
    assert {name: finished.metrics[name] for name in ("val_accuracy", "val_loss", "train_loss", "params", "macs")} == {
        name: measured[name] for name in ("val_accuracy", "val_loss", "train_loss", "params", "macs")
    }


@dataclass(frozen=True)
class Sum:
    """Scores by the choices; fails where the first one is 0, and leaves a mark of every evaluation."""

    folder: str

    def evaluate(self, trial: Trial) -> Measurement:
        mark = Path(self.folder) / f"{trial.number}-{os.getpid()}"
        mark.touch()
        if trial.architecture.choices[0] == 0:
            raise RuntimeError("the first choice is 0")
        return Measurement("ok", {"val_accuracy": sum(trial.architecture.choices) / 24})


def expected() -> list[Record]:
    """What a search without Tune asks for and learns."""
    controller = make_controller("evolution", TABLE, options={"population": 4, "tournament": 2})
    records = []
    for _ in range(TRIALS):
        (trial,) = controller.ask()
        choices = trial.architecture.choices
        found = Measurement("error") if choices[0] == 0 else Measurement("ok", {"val_accuracy": sum(choices) / 24})
        records.append(Record(trial, found))
        controller.tell(records[-1:])
    return records


def searcher() -> NASSearcher:
    return NASSearcher(TABLE, "evolution", population=4, tournament=2)


class Interrupt(tune.Callback):
    """Ends the run once, when three trials have ended: by an exception or as `kill -9` would."""

    def __init__(self, mark: Path, *, kill: bool) -> None:
        self.mark, self.kill = mark, kill

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if sum(trial.is_finished() for trial in trials) < 3 or self.mark.exists():
            return
        self.mark.touch()
        if self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("interrupted")


def one_by_one(folder: Path, *, kill: bool) -> tune.Tuner:
    (folder / "marks").mkdir()
    return tune.Tuner(
        evaluator_trainable(Sum(str(folder / "marks"))),
        tune_config=tune.TuneConfig(num_samples=TRIALS, max_concurrent_trials=1, search_alg=searcher()),
        run_config=run_config(folder, callbacks=[Interrupt(folder / "interrupted", kill=kill)]),
    )


def finish(folder: Path) -> None:
    """Restore, run to the end, and compare with a search that was never interrupted and never saw Tune."""
    restored = tune.Tuner.restore(str(folder / "run"), evaluator_trainable(Sum(str(folder / "marks"))))
    trials = restored.fit()._experiment_analysis.trials  # a result without a report has no configuration
    asked = sorted((trial_from(trial.config) for trial in trials), key=lambda trial: trial.number)
    assert asked == [record.trial for record in expected()]
    failed = {trial_from(trial.config).number for trial in trials if trial.status == "ERROR"}
    assert failed == {record.trial.number for record in expected() if not record.measurement.ok}
    marks = [int(path.name.partition("-")[0]) for path in (folder / "marks").iterdir()]
    assert set(marks) == set(range(TRIALS))
    assert len(marks) <= TRIALS + 2  # what ended behind the last checkpoint, or was in work, is evaluated again


def wait_for_state(folder: Path) -> None:
    """Wait until Tune, which copies its state in the background, has written the last one down."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(ValueError):
            json.loads(max(folder.glob("experiment_state-*.json")).read_text())
            return
        time.sleep(0.1)
    pytest.fail("Tune has written no whole state")


@pytest.mark.usefixtures("ray_here")
def test_an_interrupted_run_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed trials among them; the restored search goes on as the undisturbed one would have."""
    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0")
    with pytest.raises(RuntimeError, match="interrupted"):
        one_by_one(tmp_path, kill=False).fit()
    assert list((tmp_path / "run").glob("searcher-state-*.json"))
    wait_for_state(tmp_path / "run")
    finish(tmp_path)
    assert {record.measurement.ok for record in expected()} == {True, False}


@pytest.mark.slow
def test_a_killed_run_is_restored(tmp_path: Path) -> None:
    """As above with the driver gone by SIGKILL, its Ray with it, and another one started."""
    command = [sys.executable, __file__]
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "0"}
    killed = subprocess.run([*command, "run", str(tmp_path)], env=environment, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    done = subprocess.run([*command, "finish", str(tmp_path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    action, where = sys.argv[1], Path(sys.argv[2])
    start_ray(ray, num_cpus=2)
    one_by_one(where, kill=True).fit() if action == "run" else finish(where)
