"""Seconds by phase."""

from __future__ import annotations

import time

import pytest

from nas.training.clock import NO_CLOCK, PHASES, PhaseClock


def fail_after_a_while(clock: PhaseClock) -> None:
    with clock.phase("backward"):
        time.sleep(0.01)
        raise ValueError("inside")


def test_seconds_add_up_by_phase() -> None:
    clock = PhaseClock()
    for _ in range(2):
        with clock.phase("forward"):
            time.sleep(0.01)
    with pytest.raises(ValueError, match="inside"):
        fail_after_a_while(clock)
    assert set(clock.seconds) == set(PHASES)
    assert clock.seconds["forward"] >= 0.02
    assert clock.seconds["backward"] >= 0.01
    assert clock.seconds["data"] == 0.0


def test_no_clock_measures_nothing() -> None:
    with NO_CLOCK.phase("forward"):
        pass
    assert dict(NO_CLOCK.seconds) == {}
