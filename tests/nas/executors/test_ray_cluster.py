"""A cluster whose nodes come and go: new ones are used, lost ones are survived, and all run the driver's code."""

from __future__ import annotations

import time
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
TRIALS, SECONDS = 12, 2.0


def is_young_on(node: Any, folder: Path) -> bool:
    """Return whether a trial is in its first half on a node, by the file that it left."""
    from power_cut import parent_of, raylet_of

    return any(
        time.time() - path.stat().st_mtime < SECONDS / 2 and parent_of(int(path.read_text())) == raylet_of(node)
        for path in folder.glob("begun-*")
        if not (folder / path.name.replace("begun", "ended")).exists()
    )


def test_nodes_that_appear_are_used_and_lost_ones_are_not_the_trials_fault(
    ray_cluster: Any,
    misbehaving: Callable[..., Any],
    trials: Callable[[int], list[Trial]],
    drain: Drain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from power_cut import cut_off

    monkeypatch.setattr(ray_executor, "ATTEMPTS", 1)  # a trial whose own fault it were would be given up at once
    nodes = [ray_cluster.add_node(num_cpus=1)]
    executor = RayExecutor(misbehaving(seconds=SECONDS), RayOptions(address=ray_cluster.address))
    assert executor.num_workers == 1
    for trial in trials(TRIALS):
        executor.submit(trial)
    done = drain(executor, 1)
    nodes.append(ray_cluster.add_node(num_cpus=1))
    while executor.num_workers < 2 or len({c.measurement.metrics["pid"] for c in done}) < 2:
        done += executor.wait(0.5)
        assert len(done) < TRIALS - 2, "the new node was not used"
    while not is_young_on(nodes[0], tmp_path):
        done += executor.wait(0.05)
        assert len(done) < TRIALS, "no trial began on the first node"
    cut_off(ray_cluster, nodes[0])
    done += drain(executor, TRIALS - len(done))
    for trial in trials(60)[TRIALS:]:  # the cluster itself takes a while to notice
        if executor.num_workers == 1:
            break
        executor.submit(trial)
        drain(executor, 1)
    assert executor.num_workers == 1
    executor.close()
    assert sorted(c.trial.number for c in done) == list(range(TRIALS))
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
