"""The contract of an evaluator, and the one place where an evaluation's exceptions become measurements."""

from __future__ import annotations

import time
import traceback
from typing import Protocol

from controllers.trial import Measurement, Status, Trial
from nas.errors import DivergedError
from nas.training.memory import is_out_of_memory
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
    """Evaluate a trial; an exception becomes a failed measurement with its text, never an exception here.

    So does a user's code that would end the process by ``sys.exit``.
    """
    start = time.perf_counter()
    try:
        return evaluator.evaluate(trial)
    except (Exception, SystemExit) as error:
        status = _status(error)
        text = str(error) if status in ("diverged", "out_of_memory") else traceback.format_exc(limit=-8)
        return Measurement(status, seconds=time.perf_counter() - start, error=text.strip())


def _status(error: BaseException) -> Status:
    if isinstance(error, DivergedError):
        return "diverged"
    return "out_of_memory" if is_out_of_memory(error) else "error"
