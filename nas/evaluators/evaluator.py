"""The contract of an evaluator, and the one place where an evaluation's exceptions become measurements."""

from __future__ import annotations

import time
import traceback
from typing import Protocol

import torch

from controllers.trial import Measurement, Status, Trial
from nas.errors import DivergedError
from search_spaces.randomness import derive_seed


class Evaluator(Protocol):
    """Says what a trial is worth. It may be sent to another process, so it holds no open files."""

    def evaluate(self, trial: Trial) -> Measurement:
        """Return the trial's metrics; a failure may be raised or returned."""
        ...


def trial_seed(run_seed: int, trial: Trial) -> int:
    """Return the seed that a trial's evaluation draws everything from; a continued network keeps its own."""
    return derive_seed(run_seed, trial.root, "evaluation")


def evaluate_safely(evaluator: Evaluator, trial: Trial) -> Measurement:
    """Evaluate a trial; an exception becomes a failed measurement with its text, never an exception here."""
    start = time.perf_counter()
    try:
        return evaluator.evaluate(trial)
    except Exception as error:
        status = _status(error)
        text = str(error) if status in ("diverged", "out_of_memory") else traceback.format_exc(limit=-8)
        return Measurement(status, seconds=time.perf_counter() - start, error=text.strip())


def _status(error: Exception) -> Status:
    if isinstance(error, DivergedError):
        return "diverged"
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "out_of_memory"
    # torch's CPU allocator reports exhaustion as a plain RuntimeError
    if isinstance(error, RuntimeError) and "not enough memory" in str(error):
        return "out_of_memory"
    return "error"
