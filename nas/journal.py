"""The journal of a run: one JSON line per event, appended and flushed before anyone acts on it.

Each line carries its number and a checksum, so a line that is torn, altered, doubled or missing is noticed. A
damaged last line is what a killed process or a full disk leaves behind: it is cut off and reported. Damage
anywhere else is refused. The file is locked while it is open for writing, so that two processes cannot
continue the same run. What the events mean is not known here.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from nas.errors import JournalError, StorageError

JOURNAL_VERSION = 1
FILE_NAME = "journal.jsonl"
SYNC_INTERVAL_S = 1.0  # a killed process loses nothing; a power cut loses at most this much


@dataclass(frozen=True, slots=True)
class Event:
    """One line: what happened, and its data."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class JournalContent:
    """What a journal holds.

    Attributes:
        events: all intact lines in order; the first is the header, of kind ``run``.
        intact_bytes: length of the intact part.
        repair: what is wrong with the end of the file; empty when nothing is.
    """

    events: tuple[Event, ...]
    intact_bytes: int
    repair: str = ""

    @property
    def header(self) -> dict[str, Any]:
        """Data of the first event."""
        return self.events[0].data


def read_journal(folder: Path) -> JournalContent:
    """Read the journal of a run's folder without changing it.

    Raises:
        JournalError: there is none, it is another version's, or it is damaged before its last line.
    """
    path = folder / FILE_NAME
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise JournalError(
            f"{folder} is no run: it has no {FILE_NAME}. Give a folder that `nas search` made."
        ) from None
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}.") from None
    lines = raw.split(b"\n")
    complete, rest = lines[:-1], lines[-1]
    events: list[Event] = []
    intact = 0
    repair = ""
    for number, line in enumerate([*complete, rest] if rest else complete):
        event = _parse(line, number)
        if event is None:
            if number < len(complete) - (0 if rest else 1):
                raise JournalError(_damage(path, number))
            repair = f"line {number + 1} of {path} was torn or damaged and is dropped; what it recorded is done again."
            break
        events.append(event)
        intact += len(line) + 1
    _check_header(path, events)
    return JournalContent(tuple(events), min(intact, len(raw)), repair)


def _damage(path: Path, number: int) -> str:
    return (
        f"line {number + 1} of {path} is damaged, doubled or out of order, and lines follow it: not repaired, "
        f"because results would be lost silently. Restore the file, or delete everything from line {number + 1} on "
        f"to go on from the {number} intact lines."
    )


def _check_header(path: Path, events: list[Event]) -> None:
    if not events or events[0].kind != "run":
        raise JournalError(f"{path} has no readable first line: the run cannot be continued. Start a new one.")
    version = events[0].data.get("journal")
    if version != JOURNAL_VERSION:
        raise JournalError(f"{path} is in journal format {version!r}; this version reads {JOURNAL_VERSION}.")


class Journal:
    """A run's journal, open for appending."""

    def __init__(self, path: Path, file: IO[bytes], lines: int) -> None:
        """Wrap an open, locked file; use `create` or `reopen`."""
        self._path = path
        self._file = file
        self._lines = lines
        self._synced = time.monotonic()

    @classmethod
    def create(cls, folder: Path, header: dict[str, Any]) -> Self:
        """Start the journal of a new run.

        Raises:
            JournalError: the folder already holds a run.
            StorageError: the folder cannot be written.
        """
        path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("xb")
        except FileExistsError:
            raise JournalError(
                f"{folder} already holds a run: resume it with `nas resume {folder}`, or choose another --out."
            ) from None
        except OSError as error:
            raise StorageError(f"cannot create {path}: {error.strerror}.") from None
        journal = cls(path, file, 0)
        journal._lock()
        journal.append("run", {"journal": JOURNAL_VERSION, **header})
        return journal

    @classmethod
    def reopen(cls, folder: Path) -> tuple[Self, JournalContent]:
        """Open the journal of an existing run and cut off a damaged last line.

        Raises:
            JournalError: as `read_journal`, or another process is writing it.
        """
        path = folder / FILE_NAME
        content = read_journal(folder)  # refuses before anything is opened for writing
        try:
            file = path.open("r+b")
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}.") from None
        journal = cls(path, file, 0)
        journal._lock()
        content = read_journal(folder)  # again, now that nobody else writes
        journal._lines = len(content.events)
        file.truncate(content.intact_bytes)
        file.seek(content.intact_bytes)
        if content.intact_bytes and not _ends_with_newline(path):
            file.write(b"\n")
            file.flush()
        return journal, content

    def append(self, kind: str, data: dict[str, Any]) -> None:
        """Write one event and hand it to the operating system before returning.

        Raises:
            StorageError: the disk is full or the file cannot be written; the intact part is kept.
        """
        line = _format(self._lines, kind, data)
        start = self._file.tell()
        try:
            self._file.write(line)
            self._file.flush()
            if time.monotonic() - self._synced > SYNC_INTERVAL_S:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            self._cut(start)
            raise StorageError(
                f"cannot write {self._path}: {error.strerror}. Everything up to here is kept: "
                f"make room, then `nas resume {self._path.parent}`."
            ) from None
        self._lines += 1

    def close(self) -> None:
        """Sync to disk and give up the lock."""
        if self._file.closed:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError:
            pass  # a full disk was reported when it was met; the lock must go in any case
        finally:
            with suppress(
                OSError
            ):  # what a failed write left in the buffer fails again; the file is closed all the same
                self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise JournalError(
                f"{self._path.parent} is being written by another process: wait for it or stop it first."
            ) from None

    def _cut(self, size: int) -> None:
        try:
            os.truncate(self._path, size)
        except OSError:
            return  # the torn line is cut off when the run is resumed


def is_being_written(folder: Path) -> bool:
    """Return whether a process has the journal of a run open for writing."""
    try:
        with (folder / FILE_NAME).open("rb") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _format(number: int, kind: str, data: dict[str, Any]) -> bytes:
    body = json.dumps({"n": number, "event": kind, "data": data}, separators=(",", ":"), allow_nan=False).encode()
    return b'%s,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body))


def _parse(line: bytes, number: int) -> Event | None:
    """Return the event of an intact line with this number, or None."""
    body, separator, tail = line.rpartition(b',"crc":"')
    if not separator or tail != b'%08x"}' % zlib.crc32(body + b"}"):
        return None
    fields = json.loads(body + b"}")
    return Event(fields["event"], fields["data"]) if fields["n"] == number else None


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
