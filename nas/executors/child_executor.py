"""Evaluation in child processes of this one: several at a time, or one that can be stopped when a trial has limits.

A trial's result is the one that `nas.executors.serial_executor` gives, as it depends on the trial's seed alone. A
child lives until a trial has to be stopped or takes it down; then another takes its place.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from typing import final

from controllers.trial import Measurement, Trial
from nas.errors import InvalidInputError
from nas.evaluators.evaluator import Evaluator
from nas.executors.child_process import Child
from nas.executors.executor import Completion, Executor
from nas.executors.limits import ATTEMPTS, NO_LIMITS, TrialLimits, lost

LOOK_S = 0.05  # between two looks at the children's memory


@dataclass(slots=True)
class _Call:
    """A trial: how often it took a child down, and since when it is in work, if it is."""

    trial: Trial
    deaths: int = 0
    begun: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has been in work."""
        return time.monotonic() - self.begun


@dataclass(slots=True)
class _Place:
    """Where a child works: it, what it has in work, and how records name it."""

    name: str
    child: Child | None = None
    call: _Call | None = None


@final
class ChildExecutor(Executor):
    """Evaluates as many trials at a time as it has children, each within its limits."""

    def __init__(
        self,
        evaluator: Evaluator,
        limits: TrialLimits = NO_LIMITS,
        *,
        workers: int | None = None,
        threads: int = 1,
    ) -> None:
        """Keep the evaluator; a child is started with the first trial that it is free for.

        Args:
            evaluator: sent to every child.
            limits: of every trial.
            workers: children; None for one in the place of this process, as records name it.
            threads: torch threads of each.

        Raises:
            InvalidInputError: no worker at all.
        """
        if workers is not None and workers < 1:
            raise InvalidInputError(f"--workers must be at least 1, got {workers}.")
        self._evaluator, self._limits, self._threads = evaluator, limits, threads
        self._queue: deque[_Call] = deque()
        names = ["serial"] if workers is None else [f"process-{i}" for i in range(workers)]
        self._places = [_Place(name) for name in names]

    @property
    def num_workers(self) -> int:
        """The children."""
        return len(self._places)

    def submit(self, trial: Trial) -> None:
        """Queue a trial, or hand it to a child that is free."""
        self._queue.append(_Call(trial))

    def wait(self, timeout_s: float) -> list[Completion]:
        """Return what came of trials that ended, or nothing when all are still in work.

        Raises:
            NASError: a child cannot start.
            InvalidInputError: a limit of memory that leaves no room for a trial.
        """
        end = time.monotonic() + timeout_s
        while self._queue or self._busy:
            self._hand_out()
            self._listen()
            done = [completion for place in self._busy if (completion := self._look(place)) is not None]
            if done or time.monotonic() >= end:
                return done
        return []

    def close(self) -> None:
        """End the children and forget queued trials."""
        self._queue.clear()
        for place in self._places:
            place.call = None
            _end_child(place)

    @property
    def _busy(self) -> list[_Place]:
        return [place for place in self._places if place.call is not None]

    def _hand_out(self) -> None:
        """Give every free child a trial; children that have to be started for it start side by side."""
        free = [place for place in self._places if place.call is None][: len(self._queue)]
        new = [place for place in free if place.child is None]
        for place in new:
            place.child = Child(threads=self._threads)
        for place in new:
            assert place.child is not None
            self._limits.check_room(taken_bytes=place.child.prepare(self._evaluator))
        for place in free:
            assert place.child is not None
            place.call = self._queue.popleft()
            place.call.begun = time.monotonic()
            with suppress(OSError):  # a dead child is noticed when it is listened to
                place.child.send(place.call.trial)

    def _listen(self) -> None:
        """Wait a little for any child to say something, if only that it is no more."""
        wait([place.child.connection for place in self._busy if place.child is not None], LOOK_S)

    def _look(self, place: _Place) -> Completion | None:
        """Return what came of a child's trial once it has ended or was stopped."""
        call, child = place.call, place.child
        assert call is not None
        assert child is not None
        try:
            measurement = child.receive(0.0)
        except (EOFError, OSError):
            measurement = self._died(place)
        else:
            measurement = measurement or self._beyond_limits(place)
        if measurement is None:
            return None
        place.call = None
        return Completion(call.trial, measurement, place.name)

    def _beyond_limits(self, place: _Place) -> Measurement | None:
        """Stop a trial that takes more than it may, and return what is recorded of it."""
        assert place.call is not None
        assert place.child is not None
        seconds, limit = place.call.seconds, self._limits.memory_bytes
        if limit is not None and (taken := place.child.memory_bytes) > limit:
            _end_child(place)
            return self._limits.outgrown(taken_bytes=taken, seconds=seconds)
        if self._limits.is_over(seconds=seconds):
            _end_child(place)
            return self._limits.timed_out(seconds=seconds)
        return None

    def _died(self, place: _Place) -> Measurement | None:
        """Have the trial begin again in another child, unless it took too many down."""
        call, code = place.call, _end_child(place)
        assert call is not None
        call.deaths += 1
        if call.deaths >= ATTEMPTS:
            return replace(lost(f"it ended with exit code {code}"), seconds=call.seconds)
        place.call = None
        self._queue.appendleft(call)
        return None


def _end_child(place: _Place) -> int:
    code = 0 if place.child is None else place.child.kill()
    place.child = None
    return code
