"""Trials of half a second to two that leave a file when they begin and one when they end."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from controllers.trial import Measurement, Trial


@dataclass(frozen=True)
class Brief:
    """Sleeps; the files hold process, parent process, and seconds."""

    folder: str

    def evaluate(self, trial: Trial) -> Measurement:
        attempt = len(list(Path(self.folder).glob(f"begun-{trial.number}-*"))) + 1
        seconds = 0.5 + 1.5 * (trial.number * 7919 % 100) / 100
        self._mark(f"begun-{trial.number}-{attempt}", seconds)
        time.sleep(seconds)
        self._mark(f"ended-{trial.number}-{attempt}", seconds)
        return Measurement("ok", {"val_accuracy": seconds}, seconds)

    def _mark(self, name: str, seconds: float) -> None:
        aside = Path(self.folder) / f".{name}"
        aside.write_text(f"{os.getpid()} {os.getppid()} {seconds}")
        aside.rename(aside.with_name(name))


@dataclass(frozen=True)
class Seen:
    """A trial that has begun, by its file."""

    number: int
    attempt: int
    process: int
    parent: int
    seconds: float
    begun: float

    @property
    def done(self) -> float:
        """The share of its time that is over."""
        return (time.time() - self.begun) / self.seconds


def seen(folder: Path, kind: str = "begun") -> list[Seen]:
    """Return what has begun, or ended."""
    return [_read(path) for path in folder.glob(f"{kind}-*")]


def in_work(folder: Path) -> list[Seen]:
    """Return what has begun and not ended, of processes that live."""
    names = {path.name for path in folder.iterdir()}
    begun = [name for name in names if name.startswith("begun-") and name.replace("begun", "ended") not in names]
    found = [_read(folder / name) for name in begun]
    return [one for one in found if Path(f"/proc/{one.process}").exists()]


def _read(path: Path) -> Seen:
    _, number, attempt = path.name.split("-")
    process, parent, seconds = path.read_text().split()
    return Seen(int(number), int(attempt), int(process), int(parent), float(seconds), path.stat().st_mtime)
