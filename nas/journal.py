"""The journal of a run: one JSON line per event, appended and flushed before anyone acts on it.

Each line carries its number and a checksum of all lines up to it, so a line that is torn, altered, doubled, missing
or taken from another journal is noticed. A damaged last line is what a killed process or a full disk leaves behind:
it is cut off and reported. Damage anywhere else is refused. The file is locked while it is open for writing, so that
two processes cannot continue the same run. What the events mean is not known here, and reading is
`nas.journal_content`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from nas.errors import DiskFullError, JournalError, StorageError
from nas.journal_content import (
    CHAINED,
    FILE_NAME,
    JOURNAL_VERSION,
    UPGRADED,
    Event,
    JournalContent,
    is_unbegun,
    read_journal,
)
from nas.sealed_lines import seal

FULL = (errno.ENOSPC, errno.EDQUOT)
SYNC_INTERVAL_S = 1.0  # a killed process loses nothing; a power cut loses at most this much


class Journal:
    """A run's journal, open for appending."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        """Wrap a file that is open for appending, unbuffered; use `create` or `reopen`."""
        self._path = path
        self._file = file
        self._lines = 0
        self._checksum = 0
        self._version = JOURNAL_VERSION
        self._synced = time.monotonic()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @classmethod
    def create(cls, folder: Path, header: dict[str, Any]) -> Self:
        """Start the journal of a new run; one that was torn within its first line is begun again.

        Raises:
            JournalError: the folder already holds a run.
            StorageError: the folder cannot be written.
        """
        path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _refuse_begun(path)
            journal = cls(path, path.open("ab", buffering=0))
            journal._lock()
            try:
                _refuse_begun(path)  # again, now that nobody else writes
                os.truncate(path, 0)
            except BaseException:
                journal.close()
                raise
        except OSError as error:
            raise StorageError(f"cannot create {path}: {error.strerror}.") from None
        journal.append("run", {"journal": JOURNAL_VERSION, **header})
        return journal

    @classmethod
    def reopen(cls, folder: Path) -> tuple[Self, JournalContent]:
        """Open the journal of an existing run and cut off a damaged last line.

        Raises:
            JournalError: as `read_journal`, or another process is writing it.
            StorageError: it cannot be written.
        """
        path = folder / FILE_NAME
        read_journal(folder)  # refuses before anything is opened for writing
        try:
            journal = cls(path, path.open("ab", buffering=0))
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}.") from None
        journal._lock()
        try:
            content = read_journal(folder)  # again, now that nobody else writes
            journal._go_on(content)
        except BaseException:
            journal.close()
            raise
        return journal, content

    def _go_on(self, content: JournalContent) -> None:
        self._lines, self._checksum, self._version = len(content.events), content.checksum, content.version
        try:
            os.truncate(self._path, content.intact_bytes)
            if not _ends_with_newline(self._path):
                self._file.write(b"\n")
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}.") from None

    def append(self, kind: str, data: dict[str, Any]) -> None:
        """Write one event and hand it to the operating system before returning.

        Raises:
            DiskFullError: there is no room; the intact part is kept, and appending can be tried again.
            StorageError: the file cannot be written for another reason; the same.
            ValueError: the data hold what JSON has no word for, such as NaN; nothing is written.
        """
        if self._version < JOURNAL_VERSION:
            self._write(UPGRADED, {"journal": JOURNAL_VERSION})
            self._version = JOURNAL_VERSION
        self._write(kind, data)

    def _write(self, kind: str, data: dict[str, Any]) -> None:
        before = self._checksum if self._version >= CHAINED else 0
        line, checksum = seal({"n": self._lines, "event": kind, "data": data}, before=before)
        start = os.fstat(self._file.fileno()).st_size
        try:
            left = memoryview(line)
            while left:  # a disk that fills up takes a part first
                left = left[self._file.write(left) :]
            if time.monotonic() - self._synced > SYNC_INTERVAL_S:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            self._cut(start)
            raise (DiskFullError if error.errno in FULL else StorageError)(
                f"cannot write {self._path}: {error.strerror}. Everything up to here is kept: "
                f"make room, then `{shlex.join(['nas', 'resume', str(self._path.parent)])}`."
            ) from None
        self._lines, self._checksum = self._lines + 1, checksum

    def close(self) -> None:
        """Sync to disk and give up the lock."""
        if self._file.closed:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError:
            pass  # a full disk was reported when it was met; the lock must go in any case
        finally:
            with suppress(OSError):  # a network's file system may tell of a failed write only now
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


def _refuse_begun(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not is_unbegun(path.read_bytes()):
            raise JournalError(
                f"{path.parent} already holds a run: resume it with "
                f"`{shlex.join(['nas', 'resume', str(path.parent)])}`, or choose another --out."
            )


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


__all__ = ["FILE_NAME", "JOURNAL_VERSION", "Event", "Journal", "JournalContent", "is_being_written", "read_journal"]
