"""A process that forks a search for every line of its input: so a killed search costs no start of Python.

Input, a JSON object a line: ``folder``, ``settings`` of the search, and how it is to be killed: ``byte``, the size of
the journal at which the process dies in the middle of a write, or with ``after_s`` so long behind it; ``moment_s``,
when its parent kills it; nothing, to let it end. A folder with a journal is resumed. Output, a line each: the exit
status, negative for a signal.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import torch

import controllers.evolution  # noqa: F401 - all that a search needs is loaded once, not in every child
import nas.searching
from controllers.trial import Objective
from nas.errors import JournalError
from nas.evaluators.table_evaluator import TableEvaluator
from nas.journal import Journal, read_journal

EVALUATION_S = 0.003  # of a serial search, so that there is something to be killed in


class Dying:
    """A file whose writer dies when the file reaches a size."""

    def __init__(self, file: Any, byte: int, after_s: float | None) -> None:
        self.file, self.byte, self.after_s = file, byte, after_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, content: Any) -> int:
        left = self.byte - os.fstat(self.file.fileno()).st_size
        if left > len(content):
            return int(self.file.write(content))
        if self.after_s is None:
            self.file.write(content[: max(0, left)])
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Timer(self.after_s or 0, os.kill, (os.getpid(), signal.SIGKILL)).start()
        self.byte = sys.maxsize
        return int(self.file.write(content))


def go(folder: Path, settings: dict[str, Any]) -> None:
    """Start a search, or go on with it; what was stopped before its first line is started again, as it says."""
    try:
        read_journal(folder)
    except JournalError:
        nas.search(**{**settings, "objective": Objective(settings["objective"])}, out=folder)
    else:
        nas.resume(folder)


def carry_out(job: dict[str, Any]) -> None:
    """Do what a line asks for in this process, and end it."""
    log = os.open(f"{job['folder']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if "byte" in job:
        begin = Journal.__init__

        def begin_dying(self: Journal, path: Path, file: Any) -> None:
            begin(self, path, Dying(file, job["byte"], job.get("after_s")))

        Journal.__init__ = begin_dying  # type: ignore[method-assign]
    try:
        go(Path(job["folder"]), job["settings"])
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Carry out one line after the other."""
    torch.set_num_threads(1)
    evaluate = TableEvaluator.evaluate

    def slowly(self: TableEvaluator, trial: Any) -> Any:
        time.sleep(EVALUATION_S)
        return evaluate(self, trial)

    TableEvaluator.evaluate = slowly  # type: ignore[method-assign]
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            carry_out(job)
        if "moment_s" in job:
            time.sleep(job["moment_s"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
