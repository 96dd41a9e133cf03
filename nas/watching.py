"""What is told while a search runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controllers.trial import Record
from nas.config import SearchConfig
from nas.search_loop import Progress
from nas.training.training_loop import Epoch


@dataclass(slots=True)
class Watcher:
    """Whoever watches a search; every part may be left out.

    Attributes:
        prepared: once before the first trial, with the run's folder and settings, and lines on what is searched.
        progressed: after every record, and now and then while waiting.
        retrained: after every epoch of the winner's retraining, with the number of epochs in all.
        said: a line worth reading.
    """

    prepared: Callable[[Path, SearchConfig, Sequence[str]], None] = lambda folder, config, lines: None
    progressed: Callable[[Progress, Record | None], None] = lambda progress, record: None
    retrained: Callable[[Epoch, int], None] = lambda epoch, epochs: None
    said: Callable[[str], None] = lambda text: None
