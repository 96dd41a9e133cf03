"""A cluster whose nodes come and go: new ones are used, lost ones are survived, and all run the driver's code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controllers.trial import Trial
from nas.executors import ray_executor
from nas.executors.executor import Completion
from nas.executors.ray_executor import RayExecutor, RayOptions

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
Drain = Callable[..., list[Completion]]


def test_nodes_that_appear_are_used_and_lost_ones_are_not_the_trials_fault(
    ray_cluster: Any,
    misbehaving: Callable[..., Any],
    trials: Callable[[int], list[Trial]],
    drain: Drain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_executor, "ATTEMPTS", 1)  # a trial whose own fault it were would be given up at once
    nodes = [ray_cluster.add_node(num_cpus=1)]
    executor = RayExecutor(misbehaving(seconds=1.5), RayOptions(address=ray_cluster.address))
    assert executor.num_workers == 1
    for trial in trials(8):
        executor.submit(trial)
    done = drain(executor, 1)
    nodes.append(ray_cluster.add_node(num_cpus=1))
    while executor.num_workers < 2 or len({c.measurement.metrics["pid"] for c in done}) < 2:
        done += executor.wait(0.5)
        assert len(done) < 8, "the new node was not used"
    running = [
        path for path in tmp_path.glob("begun-*") if not (tmp_path / path.name.replace("begun", "ended")).exists()
    ]
    assert running
    ray_cluster.remove_node(nodes[0], allow_graceful=False)
    done += drain(executor, 8 - len(done))
    for trial in trials(60)[8:]:  # the cluster itself takes a while to notice
        if executor.num_workers == 1:
            break
        executor.submit(trial)
        drain(executor, 1)
    assert executor.num_workers == 1
    executor.close()
    assert sorted(c.trial.number for c in done) == list(range(8))
    assert all(c.measurement.ok for c in done)
    assert len(list(tmp_path.glob("begun-*-2"))) == 1  # the one that was lost, begun again elsewhere


def test_workers_run_the_drivers_code(
    ray_cluster: Any, misbehaving: Callable[..., Any], trials: Callable[[int], list[Trial]], drain: Drain
) -> None:
    """It lies on their path, though here they find the driver's own folder first; one of two finds no place at all."""
    ray_cluster.add_node(num_cpus=1)
    executor = RayExecutor(misbehaving({0: "say where"}), RayOptions(workers=2, address=ray_cluster.address))
    assert executor.num_workers == 1
    executor.submit(trials(1)[0])
    found = drain(executor, 1)[0].measurement
    executor.close()
    sent = [Path(entry) for entry in found.error.split("'") if "runtime_resources/py_modules_files" in entry]
    assert {package.name for entry in sent for package in entry.iterdir()} >= {"nas", "controllers", "search_spaces"}
