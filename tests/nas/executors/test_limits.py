"""Limits of a trial, and what is recorded of one that was stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from nas.errors import InvalidInputError
from nas.executors import limits as module
from nas.executors.limits import TrialLimits
from nas.executors.memory import memory_bytes

MEBIBYTE = 2**20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": 0.0}, r"--trial-seconds must be larger than 0, got 0\.0"),
        ({"seconds": float("nan")}, "--trial-seconds must be larger than 0, got nan"),
        ({"memory_bytes": 0}, "--trial-memory must be at least 1 byte, got 0"),
    ],
)
def test_impossible_limits_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        TrialLimits(**arguments)


def test_a_limit_of_memory_needs_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "can_measure_memory", lambda: False)
    with pytest.raises(InvalidInputError, match="reads /proc, which this system does not have"):
        TrialLimits(memory_bytes=10)
    assert not TrialLimits().any


def test_measurements_say_what_was_taken_and_what_was_allowed() -> None:
    limits = TrialLimits(seconds=2.5, memory_bytes=2048 * MEBIBYTE)
    late = limits.timed_out(seconds=2.61)
    large = limits.outgrown(taken_bytes=3000 * MEBIBYTE, seconds=1.0)
    assert (late.status, late.error) == ("timeout", "stopped after 2.6 s: --trial-seconds is 2.5")
    assert (large.status, large.seconds) == ("out_of_memory", 1.0)
    assert large.error == "stopped at 3,000 MiB of memory: --trial-memory is 2,048 MiB"


def test_limits_are_over_from_their_value_on() -> None:
    assert [TrialLimits(seconds=2.0).is_over(seconds=s) for s in (1.9, 2.0)] == [False, True]
    assert not TrialLimits().is_over(seconds=1e9)


def test_a_limit_below_an_idle_worker_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="a worker takes 300 MiB before any, got 200 MiB"):
        TrialLimits(memory_bytes=200 * MEBIBYTE).check_room(taken_bytes=300 * MEBIBYTE)
    TrialLimits().check_room(taken_bytes=300 * MEBIBYTE)


def test_memory_of_a_process_grows_by_what_it_holds() -> None:
    code = "import sys; kept = bytearray(b'x') * (int(sys.argv[1]) * 2**20); print(flush=True); sys.stdin.read()"
    taken = []
    for size in (1, 101):
        command = [sys.executable, "-c", code, str(size)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            taken.append(memory_bytes(process.pid))
    assert 95 * MEBIBYTE < taken[1] - taken[0] < 105 * MEBIBYTE


def test_own_memory_is_measured_and_that_of_no_process_is_none() -> None:
    assert memory_bytes() > MEBIBYTE
    assert memory_bytes(os.getpid()) > MEBIBYTE
    assert memory_bytes(2**22 + 1) == 0
