"""Real journals of every kind, to be damaged, and searches on a small table, which cost nothing to resume."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from controllers.trial import Measurement, Objective, Trial
from nas.comparison.results import read_comparison
from nas.journal import FILE_NAME, Journal, read_journal
from nas.scaling import grid
from nas.training.runs.log import TrainingLog, read_log_content
from nas.training.runs.running import resume_training

OPS = np.array(list(itertools.product(range(4), repeat=4)))  # 256 rows
QUALITY = OPS @ np.array([9.0, 3.0, 1.0, 0.5])


def write_table(path: Path) -> Path:
    """A table with rows that are one network, rows without a measurement, and rows that are missing."""
    classes = np.arange(256)
    classes[1::8] = classes[::8]  # the second of every eight is the first, drawn differently
    late = QUALITY.copy()
    late[5::9] = np.nan
    columns = {
        "early": QUALITY + np.resize([0.0, 2.0, 1.0], 256),
        "late": late,
        "size": 1.0 + OPS.sum(axis=1),
        "took_s": 10.0 + 7 * OPS[:, 0] + OPS[:, 3],
    }
    kept = np.arange(256) % 11 != 7
    np.savez(path, ops=OPS[kept], iso_id=classes[kept], **{name: column[kept] for name, column in columns.items()})
    return path


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a table that lacks things."""
    return write_table(tmp_path_factory.mktemp("table") / "table.npz")


def without_times(value: Any) -> Any:
    """Return data without what differs from run to run."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in ("time", "seconds") and not k.endswith("_s")}
    return [without_times(v) for v in value] if isinstance(value, list | tuple) else value


@pytest.fixture(scope="session")
def story() -> Callable[..., list[Any]]:
    """Return a function that tells what a journal tells, without times; of some kinds of events only, if asked."""

    def tell(folder: Path, *kinds: str) -> list[Any]:
        events = read_journal(folder).events
        return [without_times({"kind": e.kind, **e.data}) for e in events if not kinds or e.kind in kinds]

    return tell


@pytest.fixture(scope="session")
def times() -> Callable[[Any], Any]:
    """Return a function that leaves times out of data."""
    return without_times


@dataclass(frozen=True)
class Subject:
    """A folder with a journal that can be damaged, and how the folder is read.

    Attributes:
        folder: where it lies, undamaged.
        file: the journal in it.
        read: gives the entries of a folder's journal and what was repaired.
        reopen: opens the journal for writing, which repairs it, and closes it.
        resume: goes on with the folder; None where that would train for long.
    """

    folder: Path
    file: str
    read: Callable[[Path], tuple[list[Any], str]]
    reopen: Callable[[Path], None]
    resume: Callable[[Path], Any] | None = None
    raw: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "raw", (self.folder / self.file).read_bytes())


def _read_search(folder: Path) -> tuple[list[Any], str]:
    run = nas.load(folder)
    return list(read_journal(folder).events), run.repair


def _read_grid(folder: Path) -> tuple[list[Any], str]:
    return _read_search(folder / "grid")


def _read_comparison(folder: Path) -> tuple[list[Any], str]:
    read_comparison(folder)
    content = read_journal(folder)
    return list(content.events), content.repair


def _read_training(folder: Path) -> tuple[list[Any], str]:
    content = read_log_content(folder)
    return list(content.entries), content.repair


def _reopen(folder: Path) -> None:
    Journal.reopen(folder)[0].close()


def _reopen_log(folder: Path) -> None:
    TrainingLog.reopen(folder, epochs=10**6).close()


def _search(table: Path, folder: Path, **settings: Any) -> Subject:
    metric: dict[str, Any] = {} if "fidelities" in settings else {"objective": Objective("late")}
    nas.search(table=str(table), seed=1, **{"trials": 40, **metric, **settings}, out=folder)
    return Subject(folder, FILE_NAME, _read_search, _reopen, nas.resume)


def _scale(folder: Path) -> Subject:
    def evaluate(self: grid.PointEvaluator, trial: Trial) -> Measurement:
        cost = nas.complexity(self.space.point(trial.architecture).blueprint)
        metrics = {"val_accuracy": 0.5 + cost.macs / 1e9, "params": cost.params, "macs": cost.macs}
        return Measurement("ok", metrics, seconds=1.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid.PointEvaluator, "evaluate", evaluate)
        nas.scale("nasnet-a", data="digits", resolution=12, depth=2, width=4, phi=[1], seeds=2, spacing=0.2, out=folder)
    return Subject(folder, f"grid/{FILE_NAME}", _read_grid, lambda copy: _reopen(copy / "grid"))


def _compare(folder: Path) -> Subject:
    quick = {"train_limit": 60, "recipe_changes": {"epochs": 1}, "measure": False, "random": 0, "random_search": 0}
    nas.compare(["lenet-5", "cifar-resnet-20"], data="digits", seeds=2, **quick, out=folder)
    return Subject(folder, FILE_NAME, _read_comparison, _reopen)


def _train(folder: Path) -> Subject:
    nas.train("lenet-5", data="digits", train_limit=40, recipe_changes={"epochs": 4}, threads=1, out=folder)
    return Subject(folder, "training.jsonl", _read_training, _reopen_log, resume_training)


@pytest.fixture(scope="session")
def subjects(table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    """Return folders of every kind that has a journal."""
    base = tmp_path_factory.mktemp("subjects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.exporting.running.BESIDE", ())
        return {
            "serial": _search(table, base / "serial", controller="evolution"),
            "two workers": _search(
                table, base / "workers", controller="random", executor="simulated", workers=2, seconds_metric="took_s"
            ),
            "asha": _search(table, base / "asha", controller="asha", fidelities={3: "early", 27: "late"}),
            "training": _train(base / "training"),
            "comparison": _compare(base / "comparison"),
            "grid": _scale(base / "scaling"),
        }
