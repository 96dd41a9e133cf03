"""Workers and whole nodes are killed at random through a search on a cluster: every trial is recorded exactly once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.random_search import RandomSearch
from controllers.trial import Record
from nas.executors.ray_executor import RayExecutor, RayOptions
from nas.journal import Journal, read_journal
from nas.run import run_from_events
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, Progress, SearchLoop
from search_spaces.nasnet import cell_space

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TRIALS, NODES, EACH = 200, 3, 2
WORKER_KILLS, NODE_KILLS = 12, 4
EARLY = 0.5  # a trial is killed in its first half, so that it has not ended when the signal arrives
SPACE = cell_space("nasnet:blocks=2")


@pytest.fixture
def cluster(ray_cluster: Any) -> Any:
    """Three nodes, and a head for the driver."""
    for _ in range(NODES):
        ray_cluster.add_node(num_cpus=EACH)
    return ray_cluster


class Fire:
    """Kills at randomly drawn counts of recorded trials, in a thread of its own, so that the search is not held up."""

    def __init__(self, cluster: Any, folder: Path, executor: RayExecutor, seed: int) -> None:
        rng = np.random.default_rng(seed)
        moments = rng.choice(np.arange(5, TRIALS - 20), WORKER_KILLS + NODE_KILLS, replace=False)
        self.cluster, self.folder, self.executor, self.rng = cluster, folder, executor, rng
        self.moments = {int(moment): i < WORKER_KILLS for i, moment in enumerate(moments)}
        self.due: list[bool] = []
        self.killed: Counter[str] = Counter()
        self.removed: list[float] = []
        self.lost_s = self.ready_s = 0.0
        self.over = self.pausing = False
        self.thread = threading.Thread(target=self.burn)

    def progressed(self, progress: Progress, record: Record | None) -> None:
        if record is not None and progress.evaluated in self.moments:
            self.due.append(self.moments[progress.evaluated])
        if self.removed and time.monotonic() - self.removed[0] > 1.0:
            self.removed.pop(0)
            self.pausing = True
            self.cluster.add_node(num_cpus=EACH)  # Ray does so in the main thread only, which is the search's
            self.pausing = False

    def burn(self) -> None:
        before = time.monotonic()
        while not self.over:
            time.sleep(0.005)
            now = time.monotonic()
            self.ready_s += 0.0 if self.pausing else (now - before) * num_ready(self.executor)
            before = now
            if self.due and (self.kill_worker() if self.due[0] else self.kill_node()):
                self.due.pop(0)

    def kill_worker(self) -> bool:
        early = [one for one in in_work(self.folder) if one.done < EARLY and one.attempt == 1]
        if not early:
            return False
        victim = early[int(self.rng.integers(len(early)))]
        self.lost_s += victim.done * victim.seconds
        os.kill(victim.process, signal.SIGKILL)
        self.killed["worker"] += 1
        return True

    def kill_node(self) -> bool:
        """Kill a node as a power cut would: its processes at once, the trials on it in their first half."""
        from power_cut import cut_off, raylet_of

        nodes = sorted(self.cluster.worker_nodes, key=id)
        node = nodes[int(self.rng.integers(len(nodes)))]
        raylet = raylet_of(node)
        there = [one for one in in_work(self.folder) if one.parent == raylet]
        if not there or any(one.done > EARLY or one.attempt > 1 for one in there):
            return False
        lost_s = sum(one.done * one.seconds for one in there)
        cut_off(self.cluster, node)
        self.lost_s += lost_s
        self.killed["node"] += 1
        self.removed.append(time.monotonic())
        return True


def num_ready(executor: RayExecutor) -> int:
    pool = executor._pool
    return len(pool._members) - len(pool._starting) if pool is not None else 0


def in_work(folder: Path) -> list[Any]:
    from brief_trials import in_work

    return in_work(folder)


def test_every_trial_is_recorded_once_though_workers_and_nodes_die(cluster: Any, tmp_path: Path) -> None:
    """No trial is trained to its end twice. Printed: what the ready workers did with their time."""
    from brief_trials import Brief, seen

    marks = tmp_path / "marks"
    marks.mkdir()
    executor = RayExecutor(Brief(str(marks)), RayOptions(address=cluster.address))
    assert executor.num_workers == NODES * EACH
    journal = Journal.create(tmp_path / "run", {"config": {}})
    fire = Fire(cluster, marks, executor, seed=0)
    screen = Screen(SPACE, Constraints(), lambda architecture: None)  # type: ignore[arg-type,return-value]
    loop = SearchLoop(RandomSearch(SPACE), journal, screen, fire.progressed)
    fire.thread.start()
    begun = time.monotonic()
    try:
        loop.run(executor, Limits(TRIALS))
        wall = time.monotonic() - begun
    finally:
        fire.over = True
        fire.thread.join()
        executor.close()
        journal.close()
    records = run_from_events(tmp_path / "run", read_journal(tmp_path / "run").events).records
    assert sorted(record.trial.number for record in records) == list(range(TRIALS))
    assert all(record.measurement.ok for record in records)
    ended = Counter(one.number for one in seen(marks, "ended"))
    assert ended == Counter(range(TRIALS))
    assert fire.killed == {"worker": WORKER_KILLS, "node": NODE_KILLS}
    assert len([one for one in seen(marks) if one.attempt > 1]) >= WORKER_KILLS + NODE_KILLS
    useful = sum(record.measurement.seconds for record in records)
    print(
        f"\n{wall:.1f} s; workers were ready for {fire.ready_s:.1f} s, in which they did {useful:.1f} s of trials that "
        f"count and {fire.lost_s:.1f} s of trials that were lost: {(useful + fire.lost_s) / fire.ready_s:.1%}"
    )
