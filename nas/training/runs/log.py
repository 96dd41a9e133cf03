"""The log of a training: one line an epoch, and a lock so that only one process trains in a folder.

Lines carry a number and a checksum, as a journal's do. Logs of format 1 had neither; they are read as they are, and
written anew in this format when their training goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from nas.errors import JournalError, StorageError
from nas.finalizing import TRAINING_FILE
from nas.sealed_lines import seal, unseal

FORMAT = 2
_PLAIN = 1  # the format without checksums
_ASIDE = "training.tmp"  # what becomes the log in one step
Entry = dict[str, Any]


@dataclass(slots=True)
class TrainingLog:
    """A training's log, open for appending.

    Attributes:
        folder: the training's.
    """

    folder: Path
    _file: IO[bytes]
    _lock: int
    _lines: int
    _checksum: int

    @classmethod
    def create(cls, folder: Path, header: Entry) -> Self:
        """Start the log of a new training.

        Raises:
            JournalError: the folder holds a training or a search.
            StorageError: it cannot be written.
        """
        if folder.exists() and any(path.name != _ASIDE for path in folder.iterdir()):
            raise JournalError(
                f"{folder} is not empty: `{_command(folder)}` goes on with a training, or choose another --out."
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
        header, *entries = read_log(folder)
        kept = [entry for entry in entries if entry.get("epoch", 0) <= epochs and "final" not in entry]
        try:
            return cls._open(folder, [{**header, "format": FORMAT}, *kept])
        except OSError as error:
            raise StorageError(f"cannot write {folder / TRAINING_FILE}: {error.strerror}.") from None

    @classmethod
    def _open(cls, folder: Path, entries: list[Entry]) -> Self:
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path = folder / TRAINING_FILE
            aside = folder / _ASIDE
            lines, checksum = [], 0
            for number, entry in enumerate(entries):
                line, checksum = seal({"n": number, **entry}, before=checksum)
                lines.append(line)
            aside.write_bytes(b"".join(lines))
            aside.replace(path)
            return cls(folder, path.open("ab"), lock, len(lines), checksum)
        except BlockingIOError:
            os.close(lock)
            raise JournalError(f"{folder} is being written by another process: wait for it or stop it first.") from None
        except BaseException:
            os.close(lock)
            raise

    def append(self, entry: Entry) -> None:
        """Write one line and hand it to the operating system.

        Raises:
            StorageError: the disk is full or the file cannot be written.
        """
        line, checksum = seal({"n": self._lines, **entry}, before=self._checksum)
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise StorageError(
                f"cannot write into {self.folder}: {error.strerror}. Make room, then `{_command(self.folder)}`."
            ) from None
        self._lines, self._checksum = self._lines + 1, checksum

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._file.close()
        os.close(self._lock)


@dataclass(frozen=True, slots=True)
class LogContent:
    """What a training's log holds.

    Attributes:
        entries: of all intact lines; the first is the header.
        repair: what is wrong with the end of the file; empty when nothing is.
    """

    entries: tuple[Entry, ...]
    repair: str = ""


def read_log(folder: Path) -> tuple[Entry, ...]:
    """Return the entries of a training's log, the header first; see `read_log_content`."""
    return read_log_content(folder).entries


def read_log_content(folder: Path) -> LogContent:
    """Read a training's log without changing it; a torn last line is left out.

    Raises:
        JournalError: there is none, it is of a newer version, or it is damaged before its last line.
    """
    path = folder / TRAINING_FILE
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise JournalError(f"{folder} holds no training that can be read: {error}.") from None
    *complete, rest = raw.split(b"\n")
    lines = [*complete, rest] if rest else complete
    plain = _check_format(lines[0] if lines else b"", path) == _PLAIN
    entries: list[Entry] = []
    checksum = 0
    for number, line in enumerate(lines):
        found = (_parse(line), 0) if plain else unseal(line, before=checksum)
        entry = found[0] if found else None
        if found is None or entry is None or (not plain and entry.pop("n", None) != number):
            if number + 1 < len(lines):
                raise JournalError(
                    f"line {number + 1} of {path} is damaged, doubled or out of order: restore the file, or delete "
                    "everything from that line on; what it told of is trained again."
                )
            repair = f"line {number + 1} of {path} was torn or damaged and is dropped; its epoch is trained again."
            return LogContent(tuple(entries), repair)
        entries.append(entry)
        checksum = found[1]
    return LogContent(tuple(entries))


def _check_format(first: bytes, path: Path) -> int:
    """Return the format that the first line names.

    Raises:
        JournalError: it is none that this version reads.
    """
    sealed = unseal(first, before=0)
    header = sealed[0] if sealed else _parse(first)
    version = header.get("format") if header else None
    if version == FORMAT if sealed else version == _PLAIN:
        return _PLAIN if sealed is None else FORMAT
    if sealed and type(version) is int and version > FORMAT:
        raise JournalError(
            f"{path} is in format {version}, and this version reads {_PLAIN} and {FORMAT}: upgrade this package."
        )
    raise JournalError(f"{path} has no first line that this version reads: restore the file, or start a new training.")


def _parse(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _command(folder: Path) -> str:
    return shlex.join(["nas", "train", str(folder)])
