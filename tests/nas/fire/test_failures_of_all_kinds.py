"""Three trials in ten fail, in all the ways there are: the search ends with all the results it was asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from controllers.random_search import RandomSearch
from nas.executors.child_executor import ChildExecutor
from nas.executors.executor import Executor
from nas.executors.limits import TrialLimits
from nas.executors.ray_executor import RayExecutor, RayOptions
from nas.journal import Journal, read_journal
from nas.run import run_from_events
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=2")
LIMITS = TrialLimits(seconds=5.0, memory_bytes=1200 * 2**20)
FATE = {
    "hang": "timeout",
    "grow": "out_of_memory",
    "no memory": "out_of_memory",
    "diverge": "diverged",
    "raise": "error",
    "exit": "error",
    "die": "lost",
}


def fates(seed: int) -> dict[int, str]:
    """Draw what trials do, by number; seven in ten do nothing bad."""
    rng = np.random.default_rng(seed)
    kinds = list(FATE)
    return {n: kinds[int(rng.integers(len(kinds)))] for n in range(400) if rng.random() < 0.3}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("ray_here")
@pytest.mark.parametrize(("executor", "trials"), [("ray", 60), ("child", 25)])
def test_a_search_ends_with_all_its_results(tmp_path: Path, executor: str, trials: int) -> None:
    from misbehaving import Misbehaving

    how = fates(seed=5)
    marks = tmp_path / "marks"
    marks.mkdir()
    evaluator = Misbehaving(str(marks), how, 0.02)
    runner: Executor
    if executor == "ray":
        runner = RayExecutor(evaluator, RayOptions(2, limits=LIMITS))
    else:
        runner = ChildExecutor(evaluator, LIMITS)
    journal = Journal.create(tmp_path / "run", {"config": {}})
    screen = Screen(SPACE, Constraints(), lambda architecture: None)  # type: ignore[arg-type,return-value]
    loop = SearchLoop(RandomSearch(SPACE), journal, screen)
    try:
        reason = loop.run(runner, Limits(trials))
    finally:
        runner.close()
        journal.close()
    events = read_journal(tmp_path / "run").events
    records = [r for r in run_from_events(tmp_path / "run", events).records if r.reused_from is None]
    found = {record.trial.number: record.measurement.status for record in records}
    assert reason == f"{trials} networks evaluated"
    assert Counter(found.values())["ok"] == trials
    assert found == {n: FATE[how[n]] if n in how else "ok" for n in found}
    assert set(found.values()) == {"ok", *FATE.values()}
