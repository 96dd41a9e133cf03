"""What a journal holds: its lines read, checked, and brought to this version's format.

The first line names the format. A journal of an older one is read by `UPGRADES` and left as it is; when its run goes
on, a line says from where on the format is this version's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.errors import JournalError
from nas.sealed_lines import unseal

JOURNAL_VERSION = 2
FILE_NAME = "journal.jsonl"
UPGRADED = "upgraded"  # the event behind which lines are in another format than those before
CHAINED = 2  # first format in which a line's checksum goes on from that of the line before
_BEGINNING = b'{"n":0,"event":"run","data":{'  # of every journal


@dataclass(frozen=True, slots=True)
class Event:
    """One line: what happened, and its data."""

    kind: str
    data: dict[str, Any]


def _from_1(event: Event) -> Event:
    """Return an event of format 1, which told of the same things; only its checksums covered a line each."""
    return event


# by the format in which an event was written: what it is in the next one
UPGRADES: dict[int, Callable[[Event], Event]] = {1: _from_1}


@dataclass(frozen=True, slots=True)
class JournalContent:
    """What a journal holds.

    Attributes:
        events: all intact lines in order, as this version writes them; the first is the header, of kind ``run``.
        intact_bytes: length of the intact part.
        repair: what is wrong with the end of the file; empty when nothing is.
        version: format of the last line.
        checksum: of the last line.
    """

    events: tuple[Event, ...]
    intact_bytes: int
    repair: str = ""
    version: int = JOURNAL_VERSION
    checksum: int = 0

    @property
    def header(self) -> dict[str, Any]:
        """Data of the first event."""
        return self.events[0].data


@dataclass(slots=True)
class _Reading:
    """The lines of a journal that were read so far, all of them intact."""

    path: Path
    events: list[Event] = field(default_factory=list)
    size: int = 0
    version: int = 1
    checksum: int = 0

    def take(self, line: bytes) -> bool:
        """Take in the next line and return True, or return False where it is not intact.

        Raises:
            JournalError: the line says that the journal is in a format that this version does not read.
        """
        found = unseal(line, before=self.checksum if self.version >= CHAINED else 0)
        if found is None:
            return False
        fields, checksum = found
        number, kind, data = fields.get("n"), fields.get("event"), fields.get("data")
        if number != len(self.events) or not isinstance(kind, str) or not isinstance(data, dict):
            return False
        if not self.events and kind != "run":
            return False
        written = self.version
        if not self.events or kind == UPGRADED:
            self.version = _known_version(data.get("journal"), self.path)
            written = written if self.events else self.version
        self.events.append(_upgraded(Event(kind, data), written))
        self.checksum = checksum
        self.size += len(line) + 1
        return True


def read_journal(folder: Path) -> JournalContent:
    """Read the journal of a run's folder without changing it.

    Raises:
        JournalError: there is none, it is a newer version's, or it is damaged before its last line.
    """
    path = folder / FILE_NAME
    raw = _read(path)
    reading, repair = _Reading(path), ""
    *complete, rest = raw.split(b"\n")
    lines = [*complete, rest] if rest else complete
    for number, line in enumerate(lines, start=1):
        if not reading.take(line):
            if number == 1:
                raise JournalError(_no_beginning(path, raw))
            if number < len(lines):
                raise JournalError(_damage(path, number, line))
            repair = f"line {number} of {path} was torn or damaged and is dropped; what it recorded is done again."
    if not reading.events:
        raise JournalError(_no_beginning(path, raw))
    size = min(reading.size, len(raw))  # the last line may lack its newline
    return JournalContent(tuple(reading.events), size, repair, reading.version, reading.checksum)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise JournalError(
            f"{path.parent} is no run: it has no {FILE_NAME}. Give a folder that `nas search` made."
        ) from None
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}.") from None


def _damage(path: Path, number: int, line: bytes) -> str:
    return (
        f"line {number} of {path} is damaged, doubled or out of order, and lines follow it: not repaired, "
        f"because results would be lost silently. Restore the file{_hint(line)}, or delete everything from line "
        f"{number} on to go on from the {number - 1} intact lines."
    )


def _no_beginning(path: Path, raw: bytes) -> str:
    if is_unbegun(raw):
        return f"{path.parent} was stopped before its first line was written: start it again with the same --out."
    hint = _hint(raw.partition(b"\n")[0])
    return f"{path} has no readable first line: restore the file{hint}, or start a new run elsewhere."


def _hint(line: bytes) -> str:
    return " (its lines end in CRLF, which something has changed)" if line.endswith(b"\r") else ""


def is_unbegun(raw: bytes) -> bool:
    """Return whether a journal was torn within its first line, so that nothing can have followed from it."""
    return b"\n" not in raw and (raw.startswith(_BEGINNING) or _BEGINNING.startswith(raw))


def _known_version(version: Any, path: Path) -> int:
    if type(version) is int and 1 <= version <= JOURNAL_VERSION:
        return version
    newer = type(version) is int and version > JOURNAL_VERSION
    remedy = "upgrade this package to go on with the run" if newer else "no version ever wrote that; restore the file"
    raise JournalError(
        f"{path} is in journal format {version!r}, and this version reads 1 to {JOURNAL_VERSION}: {remedy}."
    )


def _upgraded(event: Event, version: int) -> Event:
    """Return an event that was written in a format as this version writes it."""
    for older in range(version, JOURNAL_VERSION):
        event = UPGRADES[older](event)
    return event
