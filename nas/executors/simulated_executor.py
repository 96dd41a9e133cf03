"""Evaluation on simulated workers: results come back in the order in which trainings of known length would end.

Nobody waits: each trial is evaluated when it is handed in, in this process, and kept back until the simulated
clock stands at its end. The order depends on the durations alone, so a search is the same every time.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from typing import final

from controllers.trial import Record, Trial
from nas.errors import InvalidInputError
from nas.evaluators.evaluator import Evaluator, evaluate_safely
from nas.executors.executor import Completion, Executor

FINISHED = "simulated_s"  # the metric that says when a trial ended, in seconds since the search began
NAME = "simulated"


@dataclass(frozen=True, slots=True)
class SimulatedTime:
    """Where the clock of a search stands, so that a resumed one goes on from there.

    Attributes:
        now_s: seconds since the search began.
        started_s: when trials without a result were handed in, by number; all others start now.
    """

    now_s: float = 0.0
    started_s: dict[int, float] = field(default_factory=dict)

    def after_asking(self, trial: Trial) -> SimulatedTime:
        """Return the time behind the asking for a trial, which takes none."""
        return replace(self, started_s={**self.started_s, trial.number: self.now_s})

    def after_telling(self, record: Record) -> SimulatedTime:
        """Return the time behind a result; one that was reused or refused unevaluated takes none."""
        finished = record.measurement.metrics.get(FINISHED, 0.0) if record.reused_from is None else 0.0
        waiting = {number: time for number, time in self.started_s.items() if number != record.trial.number}
        return SimulatedTime(max(self.now_s, finished), waiting)


@final
class SimulatedExecutor(Executor):
    """So many workers that exist by calculation only; measurements get `FINISHED` as a further metric."""

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        workers: int = 1,
        limit_s: float | None = None,
        time: SimulatedTime | None = None,
    ) -> None:
        """Set the clock.

        Args:
            evaluator: its measurements' ``seconds`` are the durations.
            workers: evaluations at a time.
            limit_s: time on the clock from which on nothing new is started; None for no limit.
            time: where the clock stands; None for the beginning.

        Raises:
            InvalidInputError: no worker at all.
        """
        if workers < 1:
            raise InvalidInputError(f"--workers must be at least 1, got {workers}.")
        self._evaluator = evaluator
        self._workers = workers
        self._limit_s = limit_s
        self._time = time or SimulatedTime()
        self._in_work: list[tuple[float, int, Completion]] = []  # a heap: what ends first is first

    @property
    def now_s(self) -> float:
        """Seconds on the clock."""
        return self._time.now_s

    @property
    def num_workers(self) -> int:
        """The workers; none once the time limit is reached."""
        return 0 if self._limit_s is not None and self.now_s >= self._limit_s else self._workers

    def submit(self, trial: Trial) -> None:
        """Start a trial now, or when it was started before the search was interrupted."""
        measured = evaluate_safely(self._evaluator, trial)
        end = self._time.started_s.get(trial.number, self.now_s) + measured.seconds
        stamped = replace(measured, metrics={**measured.metrics, FINISHED: end})
        heapq.heappush(self._in_work, (end, trial.number, Completion(trial, stamped, NAME)))

    def wait(self, timeout_s: float) -> list[Completion]:
        """Put the clock forward to the next end, and return what ended; of equals the earlier trial."""
        if not self._in_work:
            return []
        end, _, completion = heapq.heappop(self._in_work)
        self._time = replace(self._time, now_s=max(self.now_s, end))
        return [completion]

    def close(self) -> None:
        """Forget what is in work."""
        self._in_work.clear()
