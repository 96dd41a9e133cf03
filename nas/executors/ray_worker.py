"""What runs in each actor of a pool."""

from __future__ import annotations

import os
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from controllers.trial import Measurement, Trial
from nas.evaluators.evaluator import Evaluator, evaluate_safely
from nas.executors.memory import memory_bytes
from nas.executors.ray_cluster import current_node

WATCH_S = 0.1  # between two looks at the memory


@dataclass(frozen=True, slots=True)
class Started:
    """What an actor says when it is ready: on which node it runs, and what memory it takes without a trial."""

    node: str
    memory_bytes: int


class Worker:
    """Holds torch, the evaluator and its data for as long as no trial kills the process."""

    def __init__(self, threads: int) -> None:
        """Take the number of torch threads."""
        self._threads = threads
        self._evaluator: Evaluator | None = None
        self._line = ThreadPoolExecutor(max_workers=1)  # one thread evaluates everything, with what it keeps for itself
        self._in_line: dict[int, Future[Measurement]] = {}

    def prepare(self, evaluator: Evaluator) -> Started:
        """Keep the evaluator; its arrays stay in the node's object store, which all workers there read."""
        self._evaluator = evaluator
        return Started(current_node(), memory_bytes())

    def pin(self, place: int) -> None:
        """Keep to the processors of a place: place 0 has the node's first ones, one for each torch thread."""
        processors = sorted(os.sched_getaffinity(0))
        first = place * self._threads
        own = {processors[i % len(processors)] for i in range(first, first + self._threads)}
        for thread in Path("/proc/self/task").iterdir():  # later ones inherit it
            os.sched_setaffinity(int(thread.name), own)

    def evaluate(self, trial: Trial) -> Measurement | None:
        """Return what came of a trial once its turn came; None when it was called back before."""
        future = self._line.submit(self._evaluate, trial)
        self._in_line[trial.number] = future
        try:
            return future.result()
        except CancelledError:
            return None
        finally:
            del self._in_line[trial.number]

    def recall(self, number: int) -> None:
        """Have a trial that has not begun leave the line; does nothing to any other, and may be said again."""
        if (future := self._in_line.get(number)) is not None:
            future.cancel()

    def _evaluate(self, trial: Trial) -> Measurement:
        assert self._evaluator is not None
        if torch.get_num_threads() != self._threads:  # setting it empties oneDNN's cache of prepared kernels
            torch.set_num_threads(self._threads)  # it holds for the calling thread
        return evaluate_safely(self._evaluator, trial)

    def watch(self, limit_bytes: int) -> int:
        """Return the memory of this process once it is above the limit; runs beside `evaluate`."""
        while (taken := memory_bytes()) <= limit_bytes:
            time.sleep(WATCH_S)
        return taken
