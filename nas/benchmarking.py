"""Comparing controllers on a table: many seeds of each, in all processors, and what they found by when.

Every asked network counts as one evaluation, one that was asked for before included. No journal is written.
Where a table says which rows are the same network, a controller that never repeats one sees one row of each.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from controllers import make_controller
from controllers.trial import Measurement, Objective, Record
from nas.errors import InvalidInputError, NASError
from nas.evaluators.table import Table
from nas.evaluators.table_evaluator import TableEvaluator
from nas.interrupts import deferred_interrupts

CHECKPOINTS = (25, 50, 100, 150, 200)
Array = npt.NDArray[np.float64]
OnRun = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class ControllerResult:
    """What the runs of one controller found; run s has seed s.

    Attributes:
        best: (seeds, trials) best metric so far; the table's worst one until there is a result.
        regret: (seeds, trials) distance of `best` from the optimum, >= 0, in the metric's unit.
        reported: (seeds,) report metric of the network that was best by the metric; NaN if it has none.
        seconds: (seeds,) wall time of a run.
    """

    best: Array
    regret: Array
    reported: Array
    seconds: Array

    @property
    def found_optimum(self) -> float:
        """Share of the runs whose best metric is the optimum, in [0, 1]."""
        return float(np.mean(self.regret[:, -1] == 0))

    def mean_regret(self) -> dict[int, float]:
        """Return the mean regret over the runs after each of `CHECKPOINTS` that they reached."""
        reached = [trials for trials in CHECKPOINTS if trials <= self.regret.shape[1]]
        return {trials: float(self.regret[:, trials - 1].mean()) for trials in reached}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; ``reported`` is null when no chosen network has that metric."""
        return {
            "regret": {str(trials): regret for trials, regret in self.mean_regret().items()},
            "best": mean_and_sd(self.best[:, -1]),
            "reported": mean_and_sd(self.reported),
            "found_optimum": self.found_optimum,
            "seconds": float(self.seconds.mean()),
        }


@dataclass(frozen=True, slots=True, eq=False)
class BenchResult:
    """The comparison: the table's best metric, and what every controller found, in the order of the request."""

    optimum: float
    controllers: dict[str, ControllerResult]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "optimum": self.optimum,
            "controllers": {name: result.to_json() for name, result in self.controllers.items()},
        }


def mean_and_sd(values: Array) -> list[float] | None:
    """Return mean and sample standard deviation (0 for one value) of the finite values; None without any."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    return [float(finite.mean()), float(finite.std(ddof=1)) if len(finite) > 1 else 0.0]


def bench_table(
    table: Table,
    *,
    metric: str,
    controllers: Sequence[str],
    report_metric: str | None = None,
    trials: int = 200,
    seeds: int = 100,
    minimize: bool = False,
    processes: int | None = None,
    on_run: OnRun = lambda done, total: None,
) -> BenchResult:
    """Run every controller with every seed on a table; the result does not depend on the number of processes.

    Args:
        table: what to search.
        metric: the column to search by.
        controllers: names, as `nas list controllers` shows them.
        report_metric: the column to report of the network that is best by `metric`; None for `metric` itself.
        trials: evaluations of a run; a run whose controller finds nothing new ends early.
        seeds: runs of each controller; run s has seed s.
        minimize: whether smaller is better.
        processes: None for one per processor. With more than one, a script that calls this needs the usual
            ``if __name__ == "__main__":``, since every process loads it.
        on_run: told after every run how many are done, and of how many.

    Raises:
        InvalidInputError: a column, a controller or a number that cannot be.
        NASError: a process died.
    """
    _check(controllers, trials=trials, seeds=seeds, processes=processes)
    objective = Objective(metric, "minimize" if minimize else "maximize")
    report_metric = report_metric or metric
    bench = _Bench(TableEvaluator(table.with_columns((metric, report_metric)), metric=metric), objective, report_metric)
    for name in controllers:  # a controller that cannot be is said before anything runs
        make_controller(name, table.space, [objective])
    column = table.column(metric)
    measured = column[np.isfinite(column)]
    best, worst = (measured.min(), measured.max()) if minimize else (measured.max(), measured.min())
    runs = [_Run(name, seed, trials) for name, seed in product(controllers, range(seeds))]
    found = _carry_out(bench, runs, processes=min(processes or os.cpu_count() or 1, len(runs)), on_run=on_run)
    parts = {name: [trace for run, trace in zip(runs, found, strict=True) if run.name == name] for name in controllers}
    ends = {name: _combine(traces, optimum=float(best), worst=float(worst)) for name, traces in parts.items()}
    return BenchResult(float(best), ends)


@dataclass(frozen=True, slots=True)
class _Run:
    name: str
    seed: int
    trials: int


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    """What came of one run: (trials,) best metric so far, NaN until there is one; the report metric, or NaN."""

    best: Array
    reported: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all runs share; every process holds one."""

    evaluator: TableEvaluator
    objective: Objective
    report_metric: str

    def carry_out(self, run: _Run) -> _Trace:
        """Ask, look up and tell, one trial after the other."""
        start = time.perf_counter()
        controller = make_controller(run.name, self.evaluator.space, [self.objective], run.seed)
        curve = np.full(run.trials, np.nan)
        best_score = -np.inf
        chosen = Measurement("lost")
        for i in range(run.trials):
            asked = controller.ask()
            if not asked:
                curve[i:] = chosen.metrics.get(self.objective.metric, np.nan)
                break
            measurement = self.evaluator.evaluate(asked[0])
            controller.tell([Record(asked[0], measurement)])
            score = self.objective.score(measurement)
            if score is not None and score > best_score:
                best_score, chosen = score, measurement
            curve[i] = chosen.metrics.get(self.objective.metric, np.nan)
        return _Trace(curve, chosen.metrics.get(self.report_metric, np.nan), time.perf_counter() - start)


def _combine(traces: Sequence[_Trace], *, optimum: float, worst: float) -> ControllerResult:
    curves = np.array([trace.best for trace in traces])
    best = np.where(np.isfinite(curves), curves, worst)
    reported = np.array([trace.reported for trace in traces])
    return ControllerResult(best, np.abs(best - optimum), reported, np.array([trace.seconds for trace in traces]))


def _check(controllers: Sequence[str], *, trials: int, seeds: int, processes: int | None) -> None:
    for name, value in (("trials", trials), ("seeds", seeds), ("processes", processes)):
        if value is not None and value < 1:
            raise InvalidInputError(f"{name} must be at least 1, got {value}.")
    if not controllers:
        raise InvalidInputError("a comparison needs at least one controller, got none: name one.")
    if len(set(controllers)) < len(controllers):
        double = next(name for name in controllers if controllers.count(name) > 1)
        raise InvalidInputError(f"controllers are compared by name, got {double!r} twice: name it once.")


# ------------------------------------------------------------------------------------------- processes

_benches: list[_Bench] = []  # the one that this worker process was started with


def _start_worker(path: Path) -> None:
    """Make a fresh process ready."""
    torch.set_num_threads(1)
    _benches.append(pickle.loads(path.read_bytes()))


def _carry_out_in_worker(run: _Run) -> _Trace:
    return _benches[0].carry_out(run)


def _carry_out(bench: _Bench, runs: Sequence[_Run], *, processes: int, on_run: OnRun) -> list[_Trace]:
    """Return the runs' traces in the order of the runs."""
    if processes == 1:
        return _carry_out_here(bench, runs, on_run)
    with tempfile.TemporaryDirectory(prefix="nas-bench-") as folder:
        # through a file, since processes that get much on their way start one after the other
        path = Path(folder) / "bench"
        path.write_bytes(pickle.dumps(bench))
        # a fork would copy torch's threads in an unknown state
        pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start_worker, (path,))
        others = set(multiprocessing.active_children())
        try:
            with deferred_interrupts(), _blocked_interrupts():
                futures = [pool.submit(_carry_out_in_worker, run) for run in runs]
            traces = []
            for future in futures:
                traces.append(future.result())
                on_run(len(traces), len(runs))
            return traces
        except BaseException as error:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()  # or Ctrl-C would wait for runs that nobody will see
            if isinstance(error, BrokenProcessPool):
                raise NASError(
                    "a process of the comparison died: out of memory, or the calling script lacks "
                    '`if __name__ == "__main__":`. Fewer processes need less memory; one needs no such line.'
                ) from None
            raise
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _blocked_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started inside, for good; it comes to this one behind the block."""
    if not hasattr(signal, "pthread_sigmask"):
        yield  # Windows has no such mask: there, every process says that it was stopped
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _carry_out_here(bench: _Bench, runs: Sequence[_Run], on_run: OnRun) -> list[_Trace]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    traces = []
    try:
        for run in runs:
            traces.append(bench.carry_out(run))
            on_run(len(traces), len(runs))
    finally:
        torch.set_num_threads(threads)
    return traces
