"""The log of a training: one line an epoch, and a lock so that only one process trains in a folder."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from nas.errors import JournalError, StorageError
from nas.finalizing import TRAINING_FILE

FORMAT = 1
Entry = dict[str, Any]


@dataclass(slots=True)
class TrainingLog:
    """A training's log, open for appending.

    Attributes:
        folder: the training's.
    """

    folder: Path
    _file: IO[str]
    _lock: int

    @classmethod
    def create(cls, folder: Path, header: Entry) -> Self:
        """Start the log of a new training.

        Raises:
            JournalError: the folder holds a training or a search.
            StorageError: it cannot be written.
        """
        if folder.exists() and any(folder.iterdir()):
            raise JournalError(
                f"{folder} is not empty: `nas train {folder}` goes on with a training, or choose another --out."
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return cls._open(folder, [{"format": FORMAT, **header}])
        except OSError as error:
            raise StorageError(f"cannot create {folder / TRAINING_FILE}: {error.strerror}.") from None

    @classmethod
    def reopen(cls, folder: Path, *, epochs: int) -> Self:
        """Open the log of a training that goes on after so many epochs; later ones are dropped and trained again.

        Raises:
            JournalError: there is none, it is damaged, or another process is writing it.
            StorageError: it cannot be written.
        """
        entries = [entry for entry in read_log(folder) if entry.get("epoch", 0) <= epochs and "final" not in entry]
        try:
            return cls._open(folder, entries)
        except OSError as error:
            raise StorageError(f"cannot write {folder / TRAINING_FILE}: {error.strerror}.") from None

    @classmethod
    def _open(cls, folder: Path, entries: list[Entry]) -> Self:
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise JournalError(f"{folder} is being written by another process: wait for it or stop it first.") from None
        path = folder / TRAINING_FILE
        aside = path.with_suffix(".tmp")
        aside.write_text("".join(map(_line, entries)))
        aside.replace(path)
        return cls(folder, path.open("a"), lock)

    def append(self, entry: Entry) -> None:
        """Write one line and hand it to the operating system.

        Raises:
            StorageError: the disk is full or the file cannot be written.
        """
        try:
            self._file.write(_line(entry))
            self._file.flush()
        except OSError as error:
            raise StorageError(
                f"cannot write into {self.folder}: {error.strerror}. Make room, then `nas train {self.folder}`."
            ) from None

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._file.close()
        os.close(self._lock)


def read_log(folder: Path) -> list[Entry]:
    """Return the entries of a training's log, the header first; a torn last line is left out.

    Raises:
        JournalError: there is none, it is of another version, or it is damaged before its last line.
    """
    path = folder / TRAINING_FILE
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise JournalError(f"{folder} holds no training that can be read: {error}.") from None
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(json.loads(line))
        except ValueError:
            if number < len(lines):
                raise JournalError(f"line {number} of {path} is damaged: restore the file, or remove it.") from None
    if not entries or entries[0].get("format") != FORMAT:
        raise JournalError(f"{path} has no first line that this version reads: start a new training.")
    return entries


def _line(entry: Entry) -> str:
    return json.dumps(entry, allow_nan=False) + "\n"
