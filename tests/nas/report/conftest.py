"""Small runs and random cells to report on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from controllers.trial import Measurement, Record, Trial
from nas.report.page import render_report
from nas.report.summary import RunSettings, RunSummary
from search_spaces.architecture import Architecture, Decision
from search_spaces.graph import Block, Cell, Edge
from search_spaces.operations import OPERATION_SETS

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
