"""What a training shows while it runs: a bar with the time left on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from nas.finalizing import TRAINING_FILE
from nas.progress import PLAIN_LINES, short_time
from nas.report.formatting import printable
from nas.training.runs.session import TrainWatcher
from nas.training.training_loop import Epoch


class TrainDisplay:
    """Shows one training on a console; use as a context, and give `watcher` to the training."""

    def __init__(self, console: Console, *, silent: bool = False) -> None:
        """Show on this console, or nothing: of several processes one is heard."""
        self._console = console
        self._silent = silent
        self._folder: Path | None = None
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._first: int | None = None  # index of this session's first epoch
        self._shown = 0

    @property
    def watcher(self) -> TrainWatcher:
        """What the training is to tell."""
        return TrainWatcher() if self._silent else TrainWatcher(self._prepared, self._trained, self._print)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def interrupted(self) -> None:
        """Say what a stopped training keeps and how it goes on."""
        self._stop()
        if self._folder is None or not (self._folder / TRAINING_FILE).exists():
            self._print("stopped before the training began; nothing was written")
        else:
            command = shlex.join(["nas", "train", str(self._folder)])
            self._print(f"stopped; every finished epoch is kept. Go on with: {command}")

    def _prepared(self, folder: Path, lines: list[str], epochs: int) -> None:
        self._folder = folder
        trained, *remarks = lines
        self._print(f"training {trained}")
        for remark in remarks:
            self._print(remark)
        if self._console.is_terminal:
            columns = (BarColumn(24), TextColumn("{task.completed:.0f}/{task.total:.0f}"), TimeElapsedColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[text]}"), console=self._console)
            self._task = self._bar.add_task("", total=epochs, text="")
            self._bar.start()

    def _trained(self, epoch: Epoch, epochs: int) -> None:
        done = epoch.index + 1
        self._first = epoch.index if self._first is None or epoch.index < self._first else self._first
        left = epoch.seconds / (done - self._first) * (epochs - done)
        accuracy = "" if epoch.val_accuracy is None else f", validation {epoch.val_accuracy:.2%}"
        text = f"loss {epoch.train_loss:.3f}{accuracy}" + (f", {short_time(left)} left" if done < epochs else "")
        if self._bar is not None:
            self._bar.update(self._task, completed=done, text=text)
        elif done * PLAIN_LINES // epochs > self._shown:
            self._shown = done * PLAIN_LINES // epochs
            self._print(f"{done}/{epochs} epochs, {text}")

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self, text: str) -> None:
        if not self._silent:
            self._console.print(printable(text), highlight=False, markup=False, soft_wrap=True)
