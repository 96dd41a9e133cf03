"""The contract of a search's subject: what is searched, how a network is measured, what becomes of the winner.

There are two: networks that are trained on images (`nas.image_problem`), and rows of a table in which results are
looked up (`nas.table_problem`). The session and everything behind it see no difference.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controllers.prior import Prior
from controllers.trial import Record
from nas.evaluators.evaluator import Evaluator
from nas.screening import Screen
from nas.watching import Watcher


class Problem(ABC):
    """What a search is about.

    Attributes:
        screen: the space, and which of its networks are not to be evaluated at all.
    """

    screen: Screen

    @abstractmethod
    def describe(self) -> list[str]:
        """Return lines on what is searched, the first one fit to follow the word "searching"."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return what the journal's first line keeps of it, JSON-ready."""

    @abstractmethod
    def check_identity(self, header: Mapping[str, Any], *, folder: Path) -> None:
        """Refuse to go on with a run that was started on something else.

        Args:
            header: the journal's first line.
            folder: the run's.

        Raises:
            InvalidInputError: the images or the table have other contents than the run's.
        """

    @abstractmethod
    def make_evaluator(self, folder: Path) -> Evaluator:
        """Return what measures a trial; it may keep files in the run's folder."""

    @abstractmethod
    def make_prior(self) -> Prior | None:
        """Return what guesses a network's worth before it is evaluated, NaN where it cannot; None if none was asked."""

    @abstractmethod
    def conclude(self, best: Record, *, folder: Path, watcher: Watcher) -> dict[str, float]:
        """Leave the best network in the run's folder and return what is to be known of it.

        Raises:
            StorageError: the folder cannot be written.
        """

    @abstractmethod
    def is_concluded(self, folder: Path) -> bool:
        """Return whether the run's folder holds a best network that can be read."""
