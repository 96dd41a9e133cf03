"""Lines of trials at actors: which one is in work, since when, and what waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controllers.trial import Trial
from nas.executors import ray_calls as module
from nas.executors.ray_calls import BRIEF_S, PATIENCE_S, RECENT, Calls, Waiting
from nas.executors.ray_pool import Member

Trials = Callable[[int], list[Trial]]


class Clock:
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def two() -> list[Member]:
    return [Member(0, object()), Member(1, object())]


def brief(calls: Calls, member: Member, trial: Trial, clock: Clock, *, count: int = RECENT) -> None:
    for i in range(count):
        calls.add(f"brief {i}", Waiting(trial), member)
        clock.now += BRIEF_S / 2
        calls.pop(f"brief {i}")


def test_time_counts_from_when_a_trial_is_the_first_of_its_line(
    clock: Clock, two: list[Member], trials: Trials
) -> None:
    calls, (a, b, c) = Calls(), trials(3)
    calls.add("a", Waiting(a), two[0])
    calls.add("b", Waiting(b), two[0])
    calls.add("c", Waiting(c), two[1])
    assert list(calls.in_work) == ["a", "c"]
    clock.now = 3.0
    assert (calls["a"].seconds, calls["b"].seconds, calls["c"].seconds) == (3.0, 0.0, 3.0)
    assert calls.pop("a").waited.trial == a
    clock.now = 5.0
    assert calls["b"].seconds == 2.0
    assert calls.first_of(two[0]) == "b"
    calls.pop("b")
    assert calls.first_of(two[0]) is None
    assert calls.references == ["c"]
    assert len(calls) == 1


def test_trials_are_brief_when_all_of_the_last_were_and_none_in_work_is_long(
    clock: Clock, two: list[Member], trials: Trials
) -> None:
    calls, trial = Calls(), trials(1)[0]
    brief(calls, two[0], trial, clock, count=RECENT - 1)
    found = [calls.are_brief]
    brief(calls, two[0], trial, clock, count=1)
    found.append(calls.are_brief)
    calls.add("long", Waiting(trial), two[0])
    found.append(calls.are_brief)
    clock.now += BRIEF_S
    found.append(calls.are_brief)
    calls.pop("long")
    brief(calls, two[0], trial, clock, count=RECENT - 1)
    found.append(calls.are_brief)
    assert found == [False, True, True, False, False]


def test_a_trial_that_waits_for_too_long_is_named(clock: Clock, two: list[Member], trials: Trials) -> None:
    calls, (a, b, c) = Calls(), trials(3)
    calls.add("a", Waiting(a), two[0])
    calls.add("b", Waiting(b), two[0])
    calls.add("c", Waiting(c), two[1])
    assert calls.lone_member() is two[1]
    clock.now = PATIENCE_S
    assert calls.overdue_waits() == []
    clock.now += 0.1
    assert [call.waited.trial for call in calls.overdue_waits()] == [b]
    assert calls.pop("b").waited.trial == b
    assert calls.overdue_waits() == []
    assert calls.lone_member() is two[0]


def test_a_lost_line_gives_back_what_waited_in_its_order(clock: Clock, two: list[Member], trials: Trials) -> None:
    calls, drawn = Calls(), trials(4)
    for i, trial in enumerate(drawn):
        calls.add(i, Waiting(trial, deaths=i), two[i // 3])
    calls.pop(0)
    assert calls.drop_line(two[0]) == [Waiting(drawn[1], 1), Waiting(drawn[2], 2)]
    assert calls.drop_line(two[0]) == []
    assert 1 not in calls
    assert list(calls.in_work) == [3]
