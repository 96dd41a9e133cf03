"""One child process: it is stopped at a limit, replaced when it dies, and leaves with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controllers.trial import Trial
from nas.errors import InvalidInputError, NASError
from nas.executors.child_executor import ChildExecutor
from nas.executors.executor import Completion
from nas.executors.limits import TrialLimits

MEBIBYTE = 2**20
Trials = Callable[[int], list[Trial]]
Drain = Callable[..., list[Completion]]


def run(executor: ChildExecutor, trials: list[Trial], drain: Drain) -> dict[int, Any]:
    try:
        for trial in trials:
            executor.submit(trial)
        return {done.trial.number: done.measurement for done in drain(executor, len(trials))}
    finally:
        executor.close()


def test_a_trial_that_hangs_is_stopped_and_the_next_has_a_new_child(
    misbehaving: Callable[..., Any], trials: Trials, drain: Drain
) -> None:
    done = run(ChildExecutor(misbehaving({1: "hang"}), TrialLimits(seconds=2.0)), trials(4), drain)
    assert [done[n].status for n in range(4)] == ["ok", "timeout", "ok", "ok"]
    assert 2.0 <= done[1].seconds < 60
    assert done[0].metrics["pid"] != done[2].metrics["pid"] == done[3].metrics["pid"] != os.getpid()


@pytest.mark.slow
def test_a_trial_that_takes_too_much_memory_is_stopped(
    misbehaving: Callable[..., Any], trials: Trials, drain: Drain
) -> None:
    limits = TrialLimits(memory_bytes=1200 * MEBIBYTE)
    done = run(ChildExecutor(misbehaving({0: "grow"}), limits), trials(2), drain)
    assert [done[n].status for n in range(2)] == ["out_of_memory", "ok"]
    assert "--trial-memory is 1,200 MiB" in done[0].error


def test_deaths_are_survived_and_failures_are_measurements(
    misbehaving: Callable[..., Any], trials: Trials, drain: Drain, tmp_path: Path
) -> None:
    how = {0: "killed once", 1: "die", 2: "exit", 3: "raise", 4: "diverge"}
    done = run(ChildExecutor(misbehaving(how), TrialLimits(seconds=60)), trials(6), drain)
    assert [done[n].status for n in range(6)] == ["ok", "lost", "error", "error", "diverged", "ok"]
    assert done[1].error == "its worker died 3 times, last: it ended with exit code 7"
    assert "SystemExit: leaving" in done[2].error
    assert "KeyError: 'five'" in done[3].error
    assert len(list(tmp_path.glob("begun-1-*"))) == 3


def test_waiting_ends_when_its_time_is_over(misbehaving: Callable[..., Any], trials: Trials) -> None:
    executor = ChildExecutor(misbehaving({0: "hang"}), TrialLimits(seconds=600))
    assert executor.wait(10.0) == []
    executor.submit(trials(1)[0])
    assert executor.wait(0.2) == []
    assert executor.num_workers == 1
    executor.close()
    assert executor.wait(10.0) == []


def test_a_limit_of_memory_that_leaves_no_room_is_refused(misbehaving: Callable[..., Any], trials: Trials) -> None:
    executor = ChildExecutor(misbehaving(), TrialLimits(memory_bytes=MEBIBYTE))
    executor.submit(trials(1)[0])
    with pytest.raises(InvalidInputError, match="--trial-memory must leave room for a trial: a worker takes"):
        executor.wait(60.0)
    executor.close()


class Unknown:
    """Cannot be read where it is sent: the child does not have the module's name."""

    def __reduce__(self) -> Any:
        return (__import__, ("no_such_module_anywhere",))


def test_a_child_that_cannot_start_says_so(trials: Trials, capfd: pytest.CaptureFixture[str]) -> None:
    executor = ChildExecutor(Unknown(), TrialLimits(seconds=1.0))  # type: ignore[arg-type]
    executor.submit(trials(1)[0])
    with pytest.raises(NASError, match="the process that evaluates trials cannot start"):
        executor.wait(60.0)
    executor.close()
    assert "no_such_module_anywhere" in capfd.readouterr().err


@pytest.mark.slow
def test_the_child_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """Even in the middle of a trial that never ends."""
    here = str(Path(__file__).parent)
    code = (
        f"import sys; sys.path.insert(0, {here!r})\n"
        "from misbehaving import Misbehaving\n"
        "from controllers.trial import Trial\n"
        "from nas.executors.child_executor import ChildExecutor\n"
        "from nas.executors.limits import TrialLimits\n"
        "from search_spaces.architecture import Architecture\n"
        f"executor = ChildExecutor(Misbehaving({str(tmp_path)!r}, {{0: 'hang'}}), TrialLimits(seconds=600))\n"
        "executor.submit(Trial(0, Architecture('toy', (1,))))\n"
        "executor.wait(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        mark = wait_for(tmp_path / "begun-0-1")
        parent.send_signal(signal.SIGKILL)
    child = int(mark.read_text())
    end = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < end, "the child outlives its parent"
        time.sleep(0.1)


def wait_for(path: Path) -> Path:
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} does not appear"
        time.sleep(0.05)
    return path


def test_several_children_work_at_a_time_and_results_are_the_serial_ones(
    misbehaving: Callable[..., Any], trials: Trials, drain: Drain, tmp_path: Path
) -> None:
    """Each trial in one of two processes; what dies or is stopped in one leaves the other alone."""
    how = {1: "killed once", 3: "raise"}
    executor = ChildExecutor(misbehaving(how, 0.2), workers=2)
    assert executor.num_workers == 2
    done = run(executor, trials(6), drain)
    assert [done[n].status for n in range(6)] == ["ok", "ok", "ok", "error", "ok", "ok"]
    assert len({done[n].metrics["pid"] for n in range(6) if n != 3}) >= 2
    assert os.getpid() not in {done[n].metrics["pid"] for n in range(6) if n != 3}


def test_no_worker_is_refused(misbehaving: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInputError, match="--workers must be at least 1, got 0"):
        ChildExecutor(misbehaving(), workers=0)
