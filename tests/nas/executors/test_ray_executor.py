"""The pool of Ray actors: results come back, deaths are survived, impossible pools are refused."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controllers.trial import Measurement, Trial
from nas.errors import InvalidInputError, NASError
from nas.executors.executor import Completion
from nas.executors.limits import TrialLimits
from nas.executors.ray_calls import RECENT
from nas.executors.ray_executor import RayExecutor, RayOptions

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_here")]
Trials = Callable[[int], list[Trial]]
Drain = Callable[..., list[Completion]]
Make = Callable[..., Any]
MEBIBYTE = 2**20


def run(executor: RayExecutor, trials: list[Trial], drain: Drain) -> dict[int, Measurement]:
    """Return the measurements by the trials' numbers; the executor is closed."""
    try:
        for trial in trials:
            executor.submit(trial)
        return {done.trial.number: done.measurement for done in drain(executor, len(trials))}
    finally:
        executor.close()


def test_every_trial_comes_back_once_from_two_processes(misbehaving: Make, trials: Trials, drain: Drain) -> None:
    executor = RayExecutor(misbehaving({5: "raise", 6: "exit"}, seconds=0.05), RayOptions(workers=2))
    assert executor.num_workers == 2
    for trial in trials(20):
        executor.submit(trial)
    done = drain(executor, 20)
    executor.close()
    assert sorted(c.trial.number for c in done) == list(range(20))
    by_number = {c.trial.number: c.measurement for c in done}
    assert by_number[5].status == by_number[6].status == "error"
    assert "KeyError: 'five'" in by_number[5].error
    assert "SystemExit: leaving" in by_number[6].error
    assert all(m.metrics["number"] == number for number, m in by_number.items() if m.ok)
    assert len({m.metrics["pid"] for m in by_number.values() if m.ok}) == 2
    assert {c.worker for c in done} == {"ray-0", "ray-1"}


def test_trial_whose_worker_dies_is_tried_again_elsewhere_or_later(
    misbehaving: Make, trials: Trials, drain: Drain, tmp_path: Path
) -> None:
    done = run(RayExecutor(misbehaving({3: "die once"}), RayOptions(2)), trials(5), drain)
    assert all(measurement.ok for measurement in done.values())
    assert sorted(p.name for p in tmp_path.glob("begun-3-*")) == ["begun-3-1", "begun-3-2"]


def test_trial_that_keeps_killing_its_worker_is_given_up_and_the_pool_lives_on(
    misbehaving: Make, trials: Trials, drain: Drain
) -> None:
    executor = RayExecutor(misbehaving({1: "die"}), RayOptions(2))
    for trial in trials(4):
        executor.submit(trial)
    done = {c.trial.number: c.measurement for c in drain(executor, 4)}
    assert done[1].status == "lost"
    assert "died 3 times" in done[1].error
    assert all(done[number].ok for number in (0, 2, 3))
    executor.submit(trials(7)[6])
    assert drain(executor, 1)[0].measurement.ok
    executor.close()


def test_a_trial_beyond_its_limit_is_stopped_and_its_worker_replaced(
    misbehaving: Make, trials: Trials, drain: Drain
) -> None:
    """One hangs, one takes memory without end; the others are not disturbed."""
    limits = TrialLimits(seconds=8.0, memory_bytes=1200 * MEBIBYTE)
    executor = RayExecutor(misbehaving({0: "hang", 1: "grow"}), RayOptions(2, limits=limits))
    done = run(executor, trials(8), drain)
    assert [done[n].status for n in range(8)] == ["timeout", "out_of_memory", *["ok"] * 6]
    assert done[0].error.endswith("--trial-seconds is 8")
    assert done[0].seconds >= 8.0
    assert "--trial-memory is 1,200 MiB" in done[1].error


def test_a_limit_of_memory_that_leaves_no_room_is_refused(misbehaving: Make, trials: Trials, drain: Drain) -> None:
    executor = RayExecutor(misbehaving(), RayOptions(1, limits=TrialLimits(memory_bytes=MEBIBYTE)))
    with pytest.raises(InvalidInputError, match="--trial-memory must leave room for a trial: a worker takes"):
        run(executor, trials(1), drain)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor cannot be shared out")
def test_pinned_workers_keep_to_processors_of_their_own(misbehaving: Make, trials: Trials, drain: Drain) -> None:
    done = run(RayExecutor(misbehaving(seconds=0.1), RayOptions(2, pin=True)), trials(6), drain)
    assert {m.metrics["processors"] for m in done.values()} == {1}
    first = {(m.metrics["pid"], m.metrics["first_processor"]) for m in done.values()}
    assert len(first) == len({pid for pid, _ in first}) == len({place for _, place in first}) == 2


def after_brief_ones(executor: RayExecutor, trials: list[Trial], drain: Drain) -> list[Completion]:
    """Have the first trials teach the executor that trials are brief, then hand in the rest at once."""
    assert executor.capacity == 2
    for trial in trials[:RECENT]:
        executor.submit(trial)
    drain(executor, RECENT)
    assert executor.capacity == 4
    for trial in trials[RECENT:]:
        executor.submit(trial)
    return drain(executor, len(trials) - RECENT)


def test_a_brief_trial_that_waits_behind_a_long_one_is_called_back(
    misbehaving: Make, trials: Trials, drain: Drain, tmp_path: Path
) -> None:
    executor = RayExecutor(misbehaving({RECENT: "take long"}), RayOptions(2))
    done = after_brief_ones(executor, trials(RECENT + 4), drain)
    assert [c.trial.number for c in done][-1] == RECENT
    assert all(c.measurement.ok for c in done)
    assert len({c.worker for c in done[:-1]} & {done[-1].worker}) == 0
    assert len(list(tmp_path.glob("begun-*"))) == RECENT + 4
    assert executor.capacity == 2
    executor.close()


def test_what_waits_behind_a_trial_that_kills_its_worker_is_not_blamed(
    misbehaving: Make, trials: Trials, drain: Drain, tmp_path: Path
) -> None:
    executor = RayExecutor(misbehaving({RECENT: "die"}, seconds=0.02), RayOptions(2))
    done = {c.trial.number: c.measurement for c in after_brief_ones(executor, trials(RECENT + 8), drain)}
    executor.close()
    assert done.pop(RECENT).status == "lost"
    assert all(measurement.ok for measurement in done.values())
    assert len(list(tmp_path.glob("begun-*"))) == RECENT + 8 + 2  # the fatal one three times, all others once


def test_wait_without_work_returns_at_once(misbehaving: Make) -> None:
    executor = RayExecutor(misbehaving(), RayOptions(1))
    start = time.monotonic()
    assert executor.wait(30.0) == []
    executor.close()
    assert time.monotonic() - start < 15


class Unreadable:
    """Cannot be read where it is sent."""

    def __reduce__(self) -> Any:
        return (__import__, ("no_such_module_anywhere",))


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_search_with_the_reason(trials: Trials, drain: Drain) -> None:
    executor = RayExecutor(Unreadable(), RayOptions(2))  # type: ignore[arg-type]
    with pytest.raises(NASError, match=r"3 workers in a row cannot start, the last: .*no_such_module_anywhere"):
        run(executor, trials(1), drain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (RayOptions(workers=64), r"has 2: got --workers 64, use at most 2"),
        (RayOptions(workers=1, gpus_per_worker=0.5), r"1 workers of 0.5 GPU do not fit: Ray sees 0 GPUs"),
    ],
)
def test_pool_that_does_not_fit_is_refused(misbehaving: Make, options: RayOptions, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        RayExecutor(misbehaving(), options)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="--workers must be at least 1"):
        RayOptions(workers=0)
    with pytest.raises(InvalidInputError, match="--gpus-per-worker must be >= 0"):
        RayOptions(gpus_per_worker=-1)
