"""Small runs and random cells to report on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from controllers import make_controller
from controllers.trial import Measurement, Record, Trial
from nas.config import SearchConfig
from nas.executors.serial_executor import SerialExecutor
from nas.journal import Journal
from nas.report.page import render_report
from nas.report.scaling_page import render_scaling
from nas.report.summary import RunSettings, RunSummary
from nas.report.training_page import render_training
from nas.scaling import grid
from nas.scaling_report import summarize_scaling
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from nas.searching import versions
from nas.training_report import summarize_training
from search_spaces.architecture import Architecture, Decision
from search_spaces.graph import Block, Cell, Edge
from search_spaces.operations import OPERATION_SETS
from search_spaces.registry import get_space

DECISIONS = tuple(Decision(f"layer{i}_operation", ("conv", "pool", "skip")) for i in range(6))


@pytest.fixture(scope="session")
def random_cell() -> Callable[..., Cell]:
    """Return a function that draws a cell of the 13 operations."""

    def draw(seed: int, *, blocks: int, extra: int = 0) -> Cell:
        rng = np.random.default_rng(seed)
        operations = OPERATION_SETS["nasnet"]

        def edge(i: int) -> Edge:
            return Edge(int(rng.integers(2 + i)), str(rng.choice(operations)))

        drawn = [Block(edge(i), edge(i), "add" if rng.random() < 0.5 else "concat") for i in range(blocks)]
        return Cell.from_blocks(drawn, extra=[int(rng.integers(2 + blocks)) for _ in range(extra)])

    return draw


@pytest.fixture(scope="session")
def ok() -> Callable[..., Record]:
    """Return a function that makes the record of a success."""

    def make(number: int, accuracy: float, **changes: Any) -> Record:
        metrics = {
            "val_accuracy": accuracy,
            "params": changes.pop("params", 1e5 + number),
            "macs": changes.pop("macs", 4e6 + number),
        }
        reused = changes.pop("reused_from", None)
        choices = changes.pop("choices", tuple(int(d) for d in np.base_repr(number, 3).zfill(6)[-6:]))
        trial = Trial(number, Architecture("toy", choices), **changes)
        return Record(trial, Measurement("ok", metrics, seconds=2.0), worker="worker-0", reused_from=reused)

    return make


@pytest.fixture(scope="session")
def failed() -> Callable[..., Record]:
    """Return a function that makes the record of a failure."""

    def make(number: int, status: Any = "error", error: str = "ValueError: no") -> Record:
        trial = Trial(number, Architecture("toy", (0,) * 6))
        return Record(trial, Measurement(status, seconds=1.0, error=error))

    return make


@pytest.fixture(scope="session")
def full_run(ok: Callable[..., Record], failed: Callable[..., Record], random_cell: Callable[..., Cell]) -> RunSummary:
    """Return a run with everything a page can show: successes, failures, a reused result, parents, cells, commands."""
    records = [ok(i, 0.9 + i * 0.001, parents=(i - 1,) if i else ()) for i in range(20)]
    records += [failed(20, error="Traceback\n  line 1\nValueError: 3 channels"), failed(21, "infeasible", "too large")]
    records += [ok(22, 0.919, choices=records[19].trial.architecture.choices, reused_from=19)]
    return RunSummary(
        "my-run",
        settings=RunSettings("toy", "evolution", "digits", "proxy", "serial", 20, 1, 0, {"Constraint": "params"}),
        records=records,
        cells={i: {"normal": random_cell(i, blocks=2), "reduction": random_cell(99, blocks=3)} for i in range(12, 20)},
        decisions=DECISIONS,
        final={"test_accuracy": 0.9876},
        files={"best/network.py": "the network"},
        commands={"Run it again": "nas search --space toy"},
        versions={"torch": "2.11.0"},
        seconds=3725.0,
        epochs=8,
        reason="20 networks evaluated",
    )


@pytest.fixture(scope="session")
def full_page(full_run: RunSummary) -> str:
    """Return the page of that run."""
    return render_report(full_run)


@dataclass(frozen=True)
class Judge:
    """Judges a network by its choices; some fail."""

    def evaluate(self, trial: Trial) -> Measurement:
        digits = trial.architecture.choices
        if trial.number % 7 == 5:
            return Measurement("diverged", seconds=1.5, error="loss became nan")
        if trial.number % 7 == 6:
            return Measurement("infeasible", error="params: 70,000 > 60,000")
        metrics = {"val_accuracy": 0.5 + sum(digits) / 100, "params": 1e4 + sum(digits), "macs": 1e6 + digits[0]}
        metrics |= {"epochs": float(trial.budget)} if trial.budget else {}
        return Measurement("ok", metrics, seconds=2.0)


def write_search(folder: Path, *, trials: int, **settings: Any) -> Path:
    """Write the journal of a search as the program does, with results from nowhere."""
    config = SearchConfig(**{"space": "nasbench201", "controller": "evolution", "trials": trials, **settings})
    data = {"name": "digits", "input_shape": [1, 8, 8], "images": {"train": 100, "validation": 20}}
    header = {"config": config.to_json(), "versions": versions(), "data": data, "time": time.time()}
    journal = Journal.create(folder, header)
    space = get_space(config.space)
    options = {"population": 4, "tournament": 2} if config.controller == "evolution" else {}
    options |= config.resolved_controller_options
    controller = make_controller(
        config.controller, space, objectives=config.objectives, seed=config.seed, options=options
    )
    loop = SearchLoop(controller, journal, Screen(space, Constraints(), lambda architecture: None))
    loop.run(SerialExecutor(Judge()), Limits(trials))
    journal.close()
    return folder


@pytest.fixture(scope="session")
def make_search() -> Callable[..., Path]:
    """Return a function that writes a search's journal."""
    return write_search


@pytest.fixture(scope="session")
def search_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an evolution with failures, refusals, reused results and parents, not concluded."""
    return write_search(tmp_path_factory.mktemp("search") / "run", trials=20)


@pytest.fixture(scope="session")
def training_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished training of a cell network."""
    folder = tmp_path_factory.mktemp("training") / "run"
    nas.train(
        "nasnet-a-mobile",
        data="digits",
        train_limit=30,
        depth=1,
        width=4,
        stem="tiny",
        recipe_changes={"epochs": 3},
        threads=1,
        out=folder,
    )
    return folder


@pytest.fixture(scope="session")
def scaling_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a scaling with a grid of two seeds and an ablation, the trainings left out."""

    def evaluate(self: grid.PointEvaluator, trial: Trial) -> Measurement:
        cost = nas.complexity(self.space.point(trial.architecture).blueprint)
        if trial.number == 1:
            return Measurement("diverged", error="loss became nan")
        accuracy = 0.5 + cost.macs / 1e9 + trial.architecture.choices[1] / 100
        metrics = {"val_accuracy": accuracy, "params": cost.params, "macs": cost.macs}
        return Measurement("ok", metrics, seconds=1.0)

    folder = tmp_path_factory.mktemp("scaling") / "family"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid.PointEvaluator, "evaluate", evaluate)
        nas.scale(
            "nasnet-a", data="digits", resolution=12, depth=2, width=4, phi=[1, 2], seeds=2, spacing=0.2, out=folder
        )
    return folder


@pytest.fixture(scope="session")
def training_page(training_folder: Path) -> str:
    """Return the page of that training."""
    return render_training(summarize_training(training_folder))


@pytest.fixture(scope="session")
def scaling_page(scaling_folder: Path) -> str:
    """Return the page of that scaling."""
    return render_scaling(summarize_scaling(scaling_folder))
