"""What a search shows while it runs: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from controllers.trial import Objective, Record
from nas.config import SearchConfig
from nas.executors.simulated_executor import FINISHED
from nas.journal import FILE_NAME
from nas.ranking import is_new_network
from nas.report.formatting import printable
from nas.search_loop import Progress as SearchProgress
from nas.training.training_loop import Epoch
from nas.watching import Watcher

PLAIN_LINES = 12  # at most so many progress lines where there is no terminal


class ProgressDisplay:
    """Shows one search on a console; use as a context, and give `watcher` to the search."""

    def __init__(self, console: Console) -> None:
        """Show on this console."""
        self._console = console
        self._folder: Path | None = None
        self._trials = 1
        self._objective = Objective()
        self._start = time.monotonic()
        self._before: int | None = None  # evaluated in earlier sessions: they say nothing about this one's speed
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._lines_shown = 0
        self._simulated_s = 0.0

    @property
    def watcher(self) -> Watcher:
        """What the search is to tell."""
        return Watcher(self._prepared, self._progressed, self._retrained, self._said)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_bar()

    def interrupted(self) -> None:
        """Say what a stopped search keeps and how it goes on."""
        self._stop_bar()
        if self._folder is None or not (self._folder / FILE_NAME).exists():
            self._print("stopped before the search began; nothing was written")
        else:
            command = shlex.join(["nas", "resume", str(self._folder)])
            self._print(f"stopped; every finished network is kept. Go on with: {command}")

    def _prepared(self, folder: Path, config: SearchConfig, lines: Sequence[str]) -> None:
        self._folder, self._trials, self._objective = folder, config.trials, config.objective
        searched, *remarks = lines
        controller = config.resolved_controller
        self._print(f"searching {searched} with {controller}: {config.trials} networks, {_workers(config)}")
        for remark in (*_ladder(config), *remarks):
            self._print(remark)
        self._start = time.monotonic()
        if self._console.is_terminal:
            self._start_bar(total=config.trials)

    def _progressed(self, progress: SearchProgress, record: Record | None) -> None:
        if self._before is None:
            self._before = progress.evaluated - (record is not None and is_new_network(record))
        if record is not None:
            self._simulated_s = max(self._simulated_s, record.measurement.metrics.get(FINISHED, 0.0))
        text = self._text(progress)
        if self._console.is_terminal:
            if self._bar is None:  # something was said in between
                self._start_bar(total=self._trials)
            self._update(progress.evaluated, text)
        elif record is not None and self._num_lines(progress) > self._lines_shown:
            self._lines_shown = self._num_lines(progress)
            self._print(f"{progress.evaluated}/{self._trials} networks, {text}")

    def _num_lines(self, progress: SearchProgress) -> int:
        """Return how many lines tell of what is done; when all networks have begun, of those that go on."""
        done = min(progress.evaluated, self._trials)
        return (done + (progress.continued if done == self._trials else 0)) * PLAIN_LINES // self._trials

    def _retrained(self, epoch: Epoch, epochs: int) -> None:
        done = epoch.index + 1
        left = f"loss {epoch.train_loss:.3f}, {short_time(epoch.seconds / done * (epochs - done))} left"
        if self._console.is_terminal:
            if self._bar is None:
                self._start_bar(total=epochs)
            self._update(done, left)
        elif done * 2 == epochs or done == epochs:
            self._print(f"{done}/{epochs} epochs, {left}")

    def _update(self, completed: int, text: str) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=completed, text=text)

    def _said(self, text: str) -> None:
        self._stop_bar()
        if text:
            self._print(text)

    def _text(self, progress: SearchProgress) -> str:
        parts = []
        if progress.best is not None:
            value = progress.best.measurement.metrics[self._objective.metric]
            shown = f"{value:.2%}" if self._objective.metric.endswith("accuracy") else f"{value:.4g}"
            parts.append(f"best {shown} (trial {progress.best.trial.number})")
        counts = {"trained further": progress.continued, "failed": progress.failed}
        counts |= {"reused": progress.reused, "infeasible": progress.infeasible}
        parts += [f"{count} {name}" for name, count in counts.items() if count]
        if self._simulated_s:
            parts.append(f"{short_time(self._simulated_s)} simulated")
        left = self._seconds_left(progress)
        if left is not None and progress.evaluated < self._trials:
            parts.append(f"{short_time(left)} left")
        return ", ".join(parts)

    def _seconds_left(self, progress: SearchProgress) -> float | None:
        done = progress.evaluated - (self._before or 0)
        return (time.monotonic() - self._start) / done * (self._trials - progress.evaluated) if done > 0 else None

    def _start_bar(self, *, total: int) -> None:
        columns = (BarColumn(24), TextColumn("{task.completed:.0f}/{task.total:.0f}"), TimeElapsedColumn())
        self._bar = Progress(*columns, TextColumn("{task.fields[text]}"), console=self._console)
        self._task = self._bar.add_task("", total=total, text="")
        self._bar.start()

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self, text: str) -> None:
        self._console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def _ladder(config: SearchConfig) -> list[str]:
    """Return a line on who trains for how long, where that differs."""
    shortest, *longer = config.training_lengths
    if not longer:
        return []
    return [f"all begin with {shortest} epochs, the best go on to {', then '.join(map(str, longer))}"]


def _workers(config: SearchConfig) -> str:
    if config.executor == "serial":
        return "this process"
    if config.executor == "processes":
        return "processes" if config.workers is None else f"{config.workers} processes"
    workers = config.workers or ("all" if config.executor == "ray" else 1)
    return f"{workers} {config.executor} workers"


def short_count(value: float) -> str:
    """Return a count in three digits and K, M or G: 563638816 -> ``564M``."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def short_time(seconds: float) -> str:
    """Return a duration as a person would say it: ``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
