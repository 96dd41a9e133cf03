"""Evaluation in one child process: the serial executor for trials that have limits, since a process can be stopped.

A trial's result is the one that `nas.executors.serial_executor` gives, as it depends on the trial's seed alone. The
child lives until a trial has to be stopped or takes it down; then another takes its place.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import final

from controllers.trial import Measurement, Trial
from nas.evaluators.evaluator import Evaluator
from nas.executors.child_process import Child
from nas.executors.executor import Completion, Executor
from nas.executors.limits import ATTEMPTS, TrialLimits, lost

LOOK_S = 0.05  # between two looks at the child's memory


@dataclass(slots=True)
class _Call:
    """A trial: how often it took the child down, and since when it is in work, if it is."""

    trial: Trial
    deaths: int = 0
    begun: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has been in work."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun


@final
class ChildExecutor(Executor):
    """Evaluates one trial after another, each within its limits."""

    def __init__(self, evaluator: Evaluator, limits: TrialLimits, *, threads: int = 1) -> None:
        """Keep the evaluator; the child is started with the first trial."""
        self._evaluator, self._limits, self._threads = evaluator, limits, threads
        self._queue: deque[_Call] = deque()
        self._child: Child | None = None

    @property
    def num_workers(self) -> int:
        """One: the child."""
        return 1

    def submit(self, trial: Trial) -> None:
        """Queue a trial."""
        self._queue.append(_Call(trial))

    def wait(self, timeout_s: float) -> list[Completion]:
        """Return what came of the oldest trial, or nothing when it is still in work.

        Raises:
            NASError: the child cannot start.
            InvalidInputError: a limit of memory that leaves no room for a trial.
        """
        end = time.monotonic() + timeout_s
        while self._queue:
            call = self._queue[0]
            measurement = self._look(call)
            if measurement is not None:
                self._queue.popleft()
                return [Completion(call.trial, measurement, "serial")]
            if time.monotonic() >= end:
                break
        return []

    def close(self) -> None:
        """End the child and forget queued trials."""
        self._queue.clear()
        self._end_child()

    def _look(self, call: _Call) -> Measurement | None:
        """Start the trial or wait for it a little; return its measurement once it has ended or was stopped."""
        child = self._child or self._start_child()
        try:
            if call.begun is None:
                child.send(call.trial)
                call.begun = time.monotonic()
            measurement = child.receive(LOOK_S)
        except (EOFError, OSError):
            return self._died(call)
        if measurement is not None:
            return measurement
        seconds, limit = call.seconds, self._limits.memory_bytes
        if limit is not None and (taken := child.memory_bytes) > limit:
            self._end_child()
            return self._limits.outgrown(taken_bytes=taken, seconds=seconds)
        if self._limits.is_over(seconds=seconds):
            self._end_child()
            return self._limits.timed_out(seconds=seconds)
        return None

    def _died(self, call: _Call) -> Measurement | None:
        """Have the trial begin again in another child, unless it took too many down."""
        code, seconds = self._end_child(), call.seconds
        call.deaths += call.begun is not None
        call.begun = None
        if call.deaths < ATTEMPTS:
            return None
        return replace(lost(f"it ended with exit code {code}"), seconds=seconds)

    def _start_child(self) -> Child:
        self._child = Child(self._evaluator, threads=self._threads)
        self._limits.check_room(taken_bytes=self._child.empty_bytes)
        return self._child

    def _end_child(self) -> int:
        code = 0 if self._child is None else self._child.kill()
        self._child = None
        return code
