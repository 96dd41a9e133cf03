"""What training needs to go on where it stopped, as a value and as a file.

The order of images, augmentation and dropout derive from (seed, epoch), so no generator's state is kept. A file
that is missing, damaged or of another training is simply no checkpoint: training from scratch with the same seed
gives the same weights, it only takes longer.
"""

from __future__ import annotations

import io
import os
import pickle
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.errors import InvalidInputError

CHECKPOINTS = "checkpoints"  # the folder in a run's
_INTERIM = "-interim.pt"
_DAMAGED = (OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError, pickle.UnpicklingError)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """Where a training stands.

    Attributes:
        epochs: epochs behind it.
        train_loss: mean training loss of the last of them.
        weights: the network's state dict, running statistics included.
        optimizer: the optimizer's state dict.
        average: the moving average of the weights, where the recipe keeps one.
        best: the weights of the best epoch, where the recipe goes back to them.
        validations: accuracy and loss on the validation images after each epoch, where they were looked at.
    """

    epochs: int
    train_loss: float
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    average: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    validations: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse a training that has not begun."""
        if self.epochs < 1:
            raise InvalidInputError(f"a training state has at least 1 epoch behind it, got {self.epochs}.")


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one network in a folder, one file for each number of epochs.

    Attributes:
        folder: made when it is first written to.
        root: number of the trial that trained the network first.
        identity: a text that is the same for equal trainings only: seed, recipe, network, data.
    """

    folder: Path
    root: int
    identity: str

    def latest(self, *, below: int) -> TrainingState | None:
        """Return the readable state with the most epochs, fewer than `below`, or None."""
        for epochs in sorted((e for e in self._stored() if e < below), reverse=True):
            state = self._read(epochs)
            if state is not None:
                return state
        return None

    def write(self, state: TrainingState) -> Path | None:
        """Store a state, replacing one of as many epochs in one step.

        Returns:
            The file, or None when it could not be written: a full disk costs time later, not the trial now.
        """
        path = self._path(state.epochs)
        try:
            write_state(path, state, identity=self.identity)
        except OSError:
            return None
        return path

    def remove(self) -> None:
        """Remove the files of this network."""
        for epochs in self._stored():
            self._path(epochs).unlink(missing_ok=True)

    def _path(self, epochs: int) -> Path:
        return self.folder / f"{self.root}-{epochs}.pt"

    def _stored(self) -> list[int]:
        ends = (path.stem.removeprefix(f"{self.root}-") for path in self.folder.glob(f"{self.root}-*.pt"))
        return [int(end) for end in ends if end.isdecimal()]

    def _read(self, epochs: int) -> TrainingState | None:
        return read_state(self._path(epochs), identity=self.identity)


@dataclass(frozen=True, slots=True)
class Interim:
    """What a trial in work leaves now and then, for the case that its worker is lost: one file, the latest state.

    Attributes:
        path: the file.
        identity: a text that is the same for equal trainings from the same start only.
    """

    path: Path
    identity: str

    def read(self) -> TrainingState | None:
        """Return the state, or None where there is none of this training."""
        return read_state(self.path, identity=self.identity)

    def write(self, state: TrainingState) -> None:
        """Store a state in the place of the one before; a full disk costs time later, not the trial now."""
        with suppress(OSError):
            write_state(self.path, state, identity=self.identity)

    def remove(self) -> None:
        """Remove the file of a trial that has ended."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def interim_file(folder: Path, number: int) -> Path:
    """Return where a trial in work leaves its state."""
    return folder / f"{number}{_INTERIM}"


def remove_interims(folder: Path) -> None:
    """Remove what trials left that ended without having the time to tidy up: none is in work any more."""
    for path in folder.glob(f"*{_INTERIM}"):
        with suppress(OSError):
            path.unlink()
    with suppress(OSError):
        folder.rmdir()  # where nothing else is kept in it


def write_state(path: Path, state: TrainingState, *, identity: str) -> None:
    """Store a state in a file, replacing what is there in one step.

    Raises:
        OSError: it cannot be written; what was there is kept.
    """
    content = {"identity": identity, **{field.name: getattr(state, field.name) for field in fields(state)}}
    buffer = io.BytesIO()  # torch reports a full disk in several ways, a file's own write in one
    torch.save(content, buffer)
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(buffer.getbuffer())
        aside.replace(path)
    except OSError:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def read_state(path: Path, *, identity: str) -> TrainingState | None:
    """Return the state in a file, or None where it is missing, damaged, or of another training."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content.pop("identity") != identity:
            return None
        return TrainingState(**content)
    except _DAMAGED:
        return None
