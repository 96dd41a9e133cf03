"""What one trial may take, and what its measurement says when it took more."""

from __future__ import annotations

from dataclasses import dataclass

from controllers.trial import Measurement
from nas.errors import InvalidInputError
from nas.executors.memory import can_measure_memory

ATTEMPTS = 3  # a trial that took its process down this often is given up
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class TrialLimits:
    """Bounds of a single trial, kept by stopping the process that evaluates it.

    Attributes:
        seconds: wall time from the moment at which a worker takes it; None for no limit.
        memory_bytes: memory of the worker's process that it shares with no other, Python and torch included; what
            lies in the object store and on a GPU does not count. None for no limit.
    """

    seconds: float | None = None
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse limits that no trial can keep, and those that cannot be watched here."""
        if self.seconds is not None and not self.seconds > 0:
            raise InvalidInputError(f"--trial-seconds must be larger than 0, got {self.seconds}.")
        if self.memory_bytes is None:
            return
        if self.memory_bytes < 1:
            raise InvalidInputError(f"--trial-memory must be at least 1 byte, got {self.memory_bytes}.")
        if not can_measure_memory():
            raise InvalidInputError("--trial-memory reads /proc, which this system does not have: leave it out.")

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return self.seconds is not None or self.memory_bytes is not None

    def is_over(self, *, seconds: float) -> bool:
        """Return whether a trial has been in work for too long."""
        return self.seconds is not None and seconds >= self.seconds

    def timed_out(self, *, seconds: float) -> Measurement:
        """Return what is recorded of a trial that was stopped after so many seconds."""
        text = f"stopped after {seconds:.1f} s: --trial-seconds is {self.seconds:g}"
        return Measurement("timeout", seconds=seconds, error=text)

    def outgrown(self, *, taken_bytes: int, seconds: float) -> Measurement:
        """Return what is recorded of a trial whose process took so much memory."""
        limit = (self.memory_bytes or 0) / MEBIBYTE
        text = f"stopped at {taken_bytes / MEBIBYTE:,.0f} MiB of memory: --trial-memory is {limit:,.0f} MiB"
        return Measurement("out_of_memory", seconds=seconds, error=text)

    def check_room(self, *, taken_bytes: int) -> None:
        """Refuse a limit of memory that a worker is above before it has met any trial.

        Raises:
            InvalidInputError: it is.
        """
        if self.memory_bytes is not None and taken_bytes >= self.memory_bytes:
            raise InvalidInputError(
                f"--trial-memory must leave room for a trial: a worker takes {taken_bytes / MEBIBYTE:,.0f} MiB before "
                f"any, got {self.memory_bytes / MEBIBYTE:,.0f} MiB. Raise it."
            )


NO_LIMITS = TrialLimits()


def lost(reason: object) -> Measurement:
    """Return what is recorded of a trial that took its process down as often as it may."""
    return Measurement("lost", error=f"its worker died {ATTEMPTS} times, last: {reason}")
