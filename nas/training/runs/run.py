"""A training's folder, read: settings, epochs, and the network it left."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from nas.errors import InvalidInputError, JournalError
from nas.finalizing import FOLDER, StoredNetwork, load_stored
from nas.training.runs.config import TrainingConfig
from nas.training.runs.log import read_log_content
from search_spaces.architecture import Blueprint


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """What a training left behind.

    Attributes:
        folder: where it lies.
        config: its settings.
        blueprint: the network.
        epochs: of each epoch its number from 1, training loss, validation accuracy and loss, rate, and seconds.
        metrics: of the trained network, ``test_accuracy`` among them; empty while it is not finished.
        accumulation: parts that a batch came to be computed in, for the memory there was.
        repair: what was wrong with the end of the log; empty when nothing was.
    """

    folder: Path
    config: TrainingConfig
    blueprint: Blueprint
    epochs: tuple[dict[str, Any], ...]
    metrics: dict[str, float]
    accumulation: int
    repair: str = ""

    @property
    def best(self) -> StoredNetwork:
        """The trained network.

        Raises:
            InvalidInputError: the training has not come to its end yet.
        """
        if not self.metrics:
            command = shlex.join(["nas", "train", str(self.folder)])
            raise InvalidInputError(f"{self.folder} has no trained network yet: `{command}` goes on.")
        return load_stored(self.folder / FOLDER)

    @property
    def is_complete(self) -> bool:
        """Whether the trained network is there."""
        try:
            return bool(self.best)
        except InvalidInputError:
            return False

    def network(self) -> nn.Module:
        """Return the network with its trained weights, in evaluation mode."""
        return self.best.network()


def load_trained(folder: str | Path) -> TrainedRun:
    """Read a training's folder; nothing in it is changed.

    Raises:
        JournalError: the folder holds no training, or its log is damaged.
        InvalidInputError: its settings cannot be read.
    """
    path = Path(folder)
    content = read_log_content(path)
    header, *entries = content.entries
    if not {"config", "blueprint"} <= header.keys():
        raise JournalError(f"the log of {path} does not say what is trained: restore it, or start a new training.")
    config = TrainingConfig.from_json(header["config"])
    accumulations = [entry["accumulation"] for entry in entries if "accumulation" in entry]
    finals = [entry["final"] for entry in entries if "final" in entry]
    return TrainedRun(
        path,
        config,
        Blueprint.from_json(header["blueprint"]),
        tuple(entry for entry in entries if "epoch" in entry),
        finals[-1] if finals else {},
        accumulations[-1] if accumulations else config.full_recipe.accumulation,
        content.repair,
    )
