"""Evaluation in the calling process, one trial after another: deterministic, and nothing to install."""

from __future__ import annotations

from collections import deque
from typing import final

from controllers.trial import Trial
from nas.evaluators.evaluator import Evaluator, evaluate_safely
from nas.executors.executor import Completion, Executor


@final
class SerialExecutor(Executor):
    """Evaluates one trial per `wait`."""

    def __init__(self, evaluator: Evaluator) -> None:
        """Keep the evaluator."""
        self._evaluator = evaluator
        self._queue: deque[Trial] = deque()

    @property
    def num_workers(self) -> int:
        """One: this process."""
        return 1

    def submit(self, trial: Trial) -> None:
        """Queue a trial."""
        self._queue.append(trial)

    def wait(self, timeout_s: float) -> list[Completion]:
        """Evaluate the oldest queued trial, however long it takes."""
        if not self._queue:
            return []
        trial = self._queue.popleft()
        return [Completion(trial, evaluate_safely(self._evaluator, trial), "serial")]

    def close(self) -> None:
        """Forget queued trials."""
        self._queue.clear()
