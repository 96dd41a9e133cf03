"""The contract of an executor: take trials, give back what came of them, in the order they finish."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from controllers.trial import Measurement, Trial


@dataclass(frozen=True, slots=True)
class Completion:
    """A trial that ended, with what came of it, and who evaluated it."""

    trial: Trial
    measurement: Measurement
    worker: str


class Executor(ABC):
    """Runs evaluations, `num_workers` at a time."""

    @property
    @abstractmethod
    def num_workers(self) -> int:
        """How many trials can be in work at once; may change while a search runs."""

    @property
    def capacity(self) -> int:
        """How many trials to hand in at once: `num_workers`, or more where a trial should lie ready at a worker."""
        return self.num_workers

    @abstractmethod
    def submit(self, trial: Trial) -> None:
        """Take a trial; it starts at once if fewer than `num_workers` are in work."""

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Completion]:
        """Return trials that ended, waiting up to `timeout_s` for the first; possibly none."""

    @abstractmethod
    def close(self) -> None:
        """Stop all work and free what was held; trials in work are lost."""
