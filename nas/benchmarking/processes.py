"""Carrying out the runs of a comparison, in this process or in several; which one is at it changes no result."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import torch

from nas.benchmarking.running import Bench, Run, Trace
from nas.errors import NASError
from nas.interrupts import deferred_interrupts
from nas.training.threads import torch_threads

OnRun = Callable[[int, int], None]

_benches: list[Bench] = []  # the one that this worker process was started with


def _start_worker(path: Path) -> None:
    """Make a fresh process ready."""
    torch.set_num_threads(1)
    _benches.append(pickle.loads(path.read_bytes()))


def _carry_out_in_worker(run: Run) -> Trace:
    return _benches[0].carry_out(run)


def carry_out(bench: Bench, runs: Sequence[Run], *, processes: int, on_run: OnRun) -> list[Trace]:
    """Return the runs' traces in the order of the runs.

    Args:
        bench: what the runs share.
        runs: what to carry out.
        processes: one is this process itself, with torch kept to one thread meanwhile.
        on_run: told after every run how many are done, and of how many.

    Raises:
        NASError: a process died.
    """
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


def _carry_out_here(bench: Bench, runs: Sequence[Run], on_run: OnRun) -> list[Trace]:
    traces = []
    with torch_threads(1):
        for run in runs:
            traces.append(bench.carry_out(run))
            on_run(len(traces), len(runs))
    return traces
