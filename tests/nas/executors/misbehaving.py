"""An evaluator that does what it is told to, bad things among them; imported by the processes that evaluate as well."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from controllers.trial import Measurement, Trial
from nas.errors import DivergedError

MEBIBYTE = 2**20
RAISED = {
    "exit": SystemExit("leaving"),
    "raise": KeyError("five"),
    "diverge": DivergedError("the training loss became nan in epoch 1 of 2"),
    "no memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    "say where": RuntimeError(str(sys.path)),
}


@dataclass(frozen=True)
class Misbehaving:
    """Leaves a file when a trial begins and one when it ends, and misbehaves in between.

    Attributes:
        folder: for the files.
        how: what a trial does, by its number; all others return a result.
        seconds: of every trial.
    """

    folder: str
    how: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0

    def evaluate(self, trial: Trial) -> Measurement:
        folder, number = Path(self.folder), trial.number
        attempt = len(list(folder.glob(f"begun-{number}-*"))) + 1
        mark(folder / f"begun-{number}-{attempt}")
        time.sleep(self.seconds)
        misbehave(self.how.get(number, ""), attempt)
        mark(folder / f"ended-{number}-{attempt}")
        own = os.sched_getaffinity(0)
        metrics = {"val_accuracy": 0.5, "number": number, "pid": os.getpid()}
        return Measurement("ok", {**metrics, "processors": len(own), "first_processor": min(own)})


def mark(path: Path) -> None:
    """Leave a file that says who was there, whole from its first moment on."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(str(os.getpid()))
    aside.rename(path)


def misbehave(how: str, attempt: int) -> None:
    if how in RAISED:
        raise RAISED[how]
    if how == "hang":
        time.sleep(600)
    elif how == "take long":
        time.sleep(6)
    elif how == "die" or (how == "die once" and attempt == 1):
        os._exit(7)
    elif how == "killed once" and attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "grow":
        kept = []
        while True:
            kept.append(bytearray(os.urandom(MEBIBYTE)) * 20)
            time.sleep(0.02)
