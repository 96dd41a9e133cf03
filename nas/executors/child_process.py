"""A process that evaluates trials for another one, over a pair of sockets, until it is killed.

Both ends are this project's own and live on one machine; what they send each other are pickles.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe
from typing import final

from controllers.trial import Measurement, Trial
from nas.errors import NASError
from nas.evaluators.evaluator import Evaluator, evaluate_safely
from nas.executors.memory import memory_bytes

ORPHANED_S = 1.0  # between two looks at whether the parent still lives


@final
class Child:
    """One such process."""

    def __init__(self, *, threads: int) -> None:
        """Start it, without waiting for it.

        Args:
            threads: torch threads.

        Its ``connection`` is readable when it has something to say, or died.
        """
        self.connection, there = Pipe()
        code = f"from nas.executors.child_process import serve; serve({there.fileno()}, {threads})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            pass_fds=[there.fileno()],
            process_group=0,  # Ctrl-C is the parent's, who ends this process
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},  # this project is found as it was here
        )
        there.close()

    def prepare(self, evaluator: Evaluator) -> int:
        """Send it the evaluator and wait until it is ready; return the memory that it takes without a trial.

        Raises:
            NASError: it cannot start.
        """
        try:
            self.connection.send(evaluator)
            return int(self.connection.recv())
        except (EOFError, OSError):
            code = self._process.wait()
            self.kill()
            raise NASError(
                f"the process that evaluates trials cannot start, it ended with exit code {code}: the lines above say "
                "why. --executor serial without --trial-seconds and --trial-memory needs none."
            ) from None

    @property
    def memory_bytes(self) -> int:
        """The memory that it takes now."""
        return memory_bytes(self._process.pid)

    def send(self, trial: Trial) -> None:
        """Have it evaluate a trial.

        Raises:
            OSError: it is dead.
        """
        self.connection.send(trial)

    def receive(self, timeout_s: float) -> Measurement | None:
        """Return what came of the trial, or None when that is not known yet.

        Raises:
            EOFError: it died.
            OSError: it died.
        """
        if not self.connection.poll(timeout_s):
            return None
        measurement: Measurement = self.connection.recv()
        return measurement

    def kill(self) -> int:
        """End it at once, whatever it does; return its exit code, below 0 for a signal."""
        self._process.kill()
        self.connection.close()
        return self._process.wait()


def serve(file: int, threads: int) -> None:
    """Evaluate what comes, in the child.

    Args:
        file: number of its end of the pair of sockets.
        threads: torch threads.
    """
    import torch

    torch.set_num_threads(threads)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(file)
    evaluator: Evaluator = connection.recv()
    connection.send(memory_bytes())
    while True:
        try:
            trial: Trial = connection.recv()
        except EOFError:
            return
        connection.send(evaluate_safely(evaluator, trial))


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, even in the middle of a trial."""
    while os.getppid() == parent:
        time.sleep(ORPHANED_S)
    os._exit(1)
