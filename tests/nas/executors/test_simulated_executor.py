"""Simulated workers: the order of the ends, worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from controllers.trial import Measurement, Record, Trial
from nas.errors import InvalidInputError
from nas.executors.simulated_executor import FINISHED, SimulatedExecutor, SimulatedTime
from search_spaces.architecture import Architecture


@dataclass(frozen=True)
class Lasting:
    """Takes as many seconds as the trial's only choice says; choice 9 fails after 9 s."""

    def evaluate(self, trial: Trial) -> Measurement:
        seconds = float(trial.architecture.choices[0])
        return Measurement("error" if seconds == 9 else "ok", {"score": 1.0}, seconds)


def trial(number: int, seconds: int) -> Trial:
    return Trial(number, Architecture("toy", (seconds,)))


def ends(executor: SimulatedExecutor) -> list[tuple[int, float]]:
    found = []
    while completions := executor.wait(1.0):
        found += [(done.trial.number, done.measurement.metrics[FINISHED]) for done in completions]
    return found


def test_what_ends_first_comes_first() -> None:
    executor = SimulatedExecutor(Lasting(), workers=3)
    for number, seconds in enumerate((5, 2, 4)):
        executor.submit(trial(number, seconds))
    assert ends(executor) == [(1, 2.0), (2, 4.0), (0, 5.0)]
    assert executor.now_s == 5.0


def test_a_later_trial_starts_when_a_worker_is_free() -> None:
    executor = SimulatedExecutor(Lasting(), workers=2)
    executor.submit(trial(0, 5))
    executor.submit(trial(1, 2))
    assert executor.wait(1.0)[0].trial.number == 1
    executor.submit(trial(2, 1))
    assert ends(executor) == [(2, 3.0), (0, 5.0)]


def test_of_equal_ends_the_earlier_trial_comes_first() -> None:
    executor = SimulatedExecutor(Lasting(), workers=2)
    executor.submit(trial(1, 3))
    executor.submit(trial(0, 3))
    assert ends(executor) == [(0, 3.0), (1, 3.0)]


def test_a_failure_takes_its_time_too() -> None:
    executor = SimulatedExecutor(Lasting())
    executor.submit(trial(0, 9))
    assert ends(executor) == [(0, 9.0)]


def test_no_worker_is_free_behind_the_time_limit() -> None:
    executor = SimulatedExecutor(Lasting(), workers=2, limit_s=3.0)
    executor.submit(trial(0, 3))
    assert executor.num_workers == 2
    executor.wait(1.0)
    assert executor.num_workers == 0


def test_an_interrupted_trial_starts_when_it_had_started() -> None:
    """Trial 1 had begun at 0 and trial 2 at 4, when trial 0 ended; then the search was killed."""
    first, second, third = trial(0, 4), trial(1, 7), trial(2, 2)
    time = SimulatedTime().after_asking(first).after_asking(second)
    time = time.after_telling(Record(first, Measurement("ok", {FINISHED: 4.0}, 4.0))).after_asking(third)
    executor = SimulatedExecutor(Lasting(), workers=2, time=time)
    executor.submit(second)
    executor.submit(third)
    assert ends(executor) == [(2, 6.0), (1, 7.0)]


def test_reused_results_take_no_time() -> None:
    record = Record(trial(3, 4), Measurement("ok", {FINISHED: 99.0}, 4.0), reused_from=1)
    assert SimulatedTime(5.0).after_telling(record).now_s == 5.0


def test_at_least_one_worker_is_needed() -> None:
    with pytest.raises(InvalidInputError, match="--workers must be at least 1, got 0"):
        SimulatedExecutor(Lasting(), workers=0)
