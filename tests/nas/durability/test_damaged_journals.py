"""Damaged journals of every kind: each is repaired with a message or refused with one line, and never believed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.errors import NASError
from nas.journal import read_journal
from nas.sealed_lines import seal, unseal

Damage = Callable[[bytes, np.random.Generator], bytes]


def _lines(raw: bytes) -> list[bytes]:
    return raw.splitlines(keepends=True)


def _somewhere(raw: bytes, rng: np.random.Generator) -> int:
    return int(rng.integers(len(raw)))


def _truncated(raw: bytes, rng: np.random.Generator) -> bytes:
    return raw[: _somewhere(raw, rng)]


def _cut_between_lines(raw: bytes, rng: np.random.Generator) -> bytes:
    lines = _lines(raw)
    return b"".join(lines[: 1 + int(rng.integers(len(lines)))])[: None if rng.random() < 0.5 else -1]


def _flipped(raw: bytes, rng: np.random.Generator, *, times: int = 1) -> bytes:
    damaged = bytearray(raw)
    for _ in range(times):
        damaged[_somewhere(raw, rng)] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _flipped_at_the_end(raw: bytes, rng: np.random.Generator) -> bytes:
    *first, last = _lines(raw)
    return b"".join(first) + _flipped(last, rng)


def _doubled(raw: bytes, rng: np.random.Generator) -> bytes:
    lines = _lines(raw)
    i = int(rng.integers(len(lines)))
    return b"".join([*lines[:i], lines[i], *lines[i:]])


def _removed(raw: bytes, rng: np.random.Generator) -> bytes:
    lines = _lines(raw)
    del lines[int(rng.integers(len(lines)))]
    return b"".join(lines)


def _swapped(raw: bytes, rng: np.random.Generator) -> bytes:
    lines = _lines(raw)
    i, j = rng.choice(len(lines), 2, replace=False).tolist()
    lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def _garbage_appended(raw: bytes, rng: np.random.Generator) -> bytes:
    return raw + rng.bytes(int(rng.integers(1, 500)))


def _tail_doubled(raw: bytes, rng: np.random.Generator) -> bytes:
    return raw + raw[_somewhere(raw, rng) :]


def _zeros(raw: bytes, rng: np.random.Generator) -> bytes:
    """A block that a disk lost, as after a power cut."""
    start = _somewhere(raw, rng)
    size = int(rng.integers(1, 600))
    return (raw[:start] + bytes(size) + raw[start + size :])[: len(raw)]


def _hole(raw: bytes, rng: np.random.Generator) -> bytes:
    start = _somewhere(raw, rng)
    return raw[:start] + raw[start + int(rng.integers(1, 600)) :]


def _resealed(raw: bytes, change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> bytes:
    """What another program would have written: right checksums, other contents."""
    written, before, own = b"", 0, 0
    for number, line in enumerate(_lines(raw)):
        found = unseal(line[:-1], before=own)
        assert found is not None
        fields, own = found
        sealed, before = seal(change(number, fields), before=before)
        written += sealed
    return written


def _other_version(raw: bytes, rng: np.random.Generator) -> bytes:
    versions = [0, -1, 3, 99, 2.5, "2", None, True, [], {}]
    version = versions[int(rng.integers(len(versions)))]

    def change(number: int, fields: dict[str, Any]) -> dict[str, Any]:
        if number:
            return fields
        place = fields["data"] if "data" in fields and "event" in fields else fields
        place["journal" if "journal" in place else "format"] = version
        return fields

    return _resealed(raw, change)


def _spliced(raw: bytes, rng: np.random.Generator) -> bytes:
    """The lines from some number on are those of another run with the same settings and other results."""
    lines = _lines(raw)
    start = int(rng.integers(1, len(lines)))

    def change(number: int, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "other": 1} if number < start else fields

    return b"".join([*lines[:start], *_lines(_resealed(raw, change))[start:]])


KINDS: dict[str, Damage] = {
    "truncated": _truncated,
    "cut between lines": _cut_between_lines,
    "a bit flipped": _flipped,
    "nine bits flipped": lambda raw, rng: _flipped(raw, rng, times=9),
    "a bit of the last line flipped": _flipped_at_the_end,
    "a line doubled": _doubled,
    "a line removed": _removed,
    "lines swapped": _swapped,
    "another version": _other_version,
    "lines of another journal": _spliced,
    "garbage appended": _garbage_appended,
    "its own end appended": _tail_doubled,
    "two journals": lambda raw, rng: raw + raw,
    "zeros": _zeros,
    "a hole": _hole,
    "empty": lambda raw, rng: b"",
    "binary": lambda raw, rng: rng.bytes(5000),
    "a huge line": lambda raw, rng: raw + b'{"n":' + b"1" * 3_000_000 + b"\n" * int(rng.integers(2)),
    "CRLF": lambda raw, rng: raw.replace(b"\n", b"\r\n"),
    "UTF-16": lambda raw, rng: raw.decode().encode("utf-16"),
    "a mark of byte order": lambda raw, rng: b"\xef\xbb\xbf" + raw,
    "blank lines": lambda raw, rng: raw + b"\n" * int(rng.integers(1, 4)),
    "truncated twice": lambda raw, rng: _truncated(_truncated(raw, rng) or raw, rng),
}
# how many of a thousand each subject gets
SHARES = {"serial": 300, "two workers": 200, "asha": 150, "training": 150, "comparison": 100, "grid": 100}


def is_prefix(damaged: bytes, whole: bytes) -> bool:
    """Whether nothing but whole lines is left, of which the last may lack its newline: what was there before."""
    ends_with_a_line = damaged.endswith(b"\n") or whole[len(damaged) :].startswith(b"\n")
    return bool(damaged) and whole.startswith(damaged) and ends_with_a_line


def tell(entries: list[Any], times: Callable[[Any], Any]) -> list[Any]:
    """Return what a journal tells, without times."""
    return [times(entry if isinstance(entry, dict) else {"kind": entry.kind, **entry.data}) for entry in entries]


def judge(subject: Any, damaged: bytes, folder: Path, cli: Callable[..., Any], times: Any, *, thorough: bool) -> str:
    """Put a damaged journal into a copy of a folder, go through all that reads it, and return what became of it."""
    shutil.copytree(subject.folder, folder)
    (folder / subject.file).write_bytes(damaged)
    before = subject.read(subject.folder)[0]
    try:
        entries, repair = subject.read(folder)
    except NASError as error:
        assert_refused(subject, folder, error, cli)
        assert (folder / subject.file).read_bytes() == damaged
        return "refused"
    assert entries == before[: len(entries)]
    assert bool(repair) != is_prefix(damaged, subject.raw)
    assert "\n" not in repair
    if thorough:
        answer = cli("report", folder)
        assert answer.code == 0, answer.err
        assert (repair in answer.err) == bool(repair or not answer.err)
    subject.reopen(folder)
    lasting = [entry for entry in entries if not isinstance(entry, dict) or "final" not in entry]
    assert subject.read(folder) == (lasting, "")
    if thorough and subject.resume is not None:
        subject.resume(folder)
        assert tell(subject.read(folder)[0], times) == tell(before, times)
    return "repaired" if repair else "shorter"


def assert_refused(subject: Any, folder: Path, error: NASError, cli: Callable[..., Any]) -> None:
    """Every way to go on with the folder ends in one line."""
    assert len(str(error).splitlines()) == 1
    assert str(error)
    answer = cli("report", folder)
    assert (answer.code, answer.out) == (2, "")
    assert len(answer.err.splitlines()) == 1
    assert "Traceback" not in answer.err
    with pytest.raises(NASError):
        subject.reopen(folder)
    if subject.resume is not None:
        with pytest.raises(NASError):
            subject.resume(folder)


def damage_all(
    share: float, subjects: dict[str, Any], tmp_path: Path, cli: Callable[..., Any], times: Any, *, every: int
) -> Counter[str]:
    """Damage this share of a thousand journals; of those that are read, every so many-th is reported and resumed."""
    outcomes: Counter[str] = Counter()
    for name, count in SHARES.items():
        subject = subjects[name]
        for i in range(round(count * share)):
            kind = list(KINDS)[i % len(KINDS)]
            rng = np.random.default_rng([i, list(SHARES).index(name)])
            folder = tmp_path / "damaged"
            try:
                damaged = KINDS[kind](subject.raw, rng)
                if damaged == subject.raw:
                    continue
                outcomes[judge(subject, damaged, folder, cli, times, thorough=i % every == 0)] += 1
            except BaseException as error:
                error.add_note(f"{name}, {kind}, number {i}")
                raise
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return outcomes


def test_a_hundred_and_fifty_damaged_journals(
    subjects: dict[str, Any], tmp_path: Path, cli: Callable[..., Any], times: Any
) -> None:
    outcomes = damage_all(0.15, subjects, tmp_path, cli, times, every=16)
    assert min(outcomes["refused"], outcomes["repaired"], outcomes["shorter"]) >= 5
    assert outcomes.total() >= 140


@pytest.mark.slow
def test_a_thousand_damaged_journals(
    subjects: dict[str, Any], tmp_path: Path, cli: Callable[..., Any], times: Any
) -> None:
    """With a report of each that can be read, and each search and training resumed to the undisturbed end."""
    outcomes = damage_all(1.05, subjects, tmp_path, cli, times, every=1)
    print(dict(outcomes))
    assert outcomes.total() >= 1000
    assert min(outcomes["refused"], outcomes["repaired"], outcomes["shorter"]) >= 30


def test_events_of_another_program_are_refused_in_one_line(
    subjects: dict[str, Any], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    """Checksums are right, but results lack fields, or the settings are missing or of another kind."""
    subject = subjects["serial"]

    def told(change: dict[str, Any]) -> Callable[[int, dict[str, Any]], dict[str, Any]]:
        return lambda number, fields: {**fields, "data": change} if fields["event"] == "told" else fields

    def header(config: Any) -> Callable[[int, dict[str, Any]], dict[str, Any]]:
        return lambda number, fields: {**fields, "data": {**fields["data"], "config": config}} if not number else fields

    changes = [told({}), told({"trial": 1}), header(None), header([]), header({"trials": "x"}), header({"spice": 1})]
    for number, change in enumerate(changes):
        folder = tmp_path / str(number)
        shutil.copytree(subject.folder, folder)
        (folder / subject.file).write_bytes(_resealed(subject.raw, change))
        read_journal(folder)
        for command in ("report", "resume"):
            answer = cli(command, folder)
            assert answer.code == 2
            assert len(answer.err.splitlines()) == 1
