"""The journal: nothing written is lost, nothing damaged is believed."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.errors import JournalError, StorageError
from nas.journal import FILE_NAME, Journal, is_being_written, read_journal

HEADER = {"config": {"seed": 1}}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def written(folder: Path, events: int) -> bytes:
    journal = Journal.create(folder, HEADER)
    for i in range(events):
        journal.append("told", {"i": i, "text": "naïve\nline"})
    journal.close()
    return (folder / FILE_NAME).read_bytes()


def numbers(folder: Path) -> list[int]:
    return [event.data["i"] for event in read_journal(folder).events[1:]]


@given(st.lists(st.tuples(st.text(), st.dictionaries(st.text(), json_values, max_size=4)), max_size=5))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_events_survive_the_file(tmp_path_factory: pytest.TempPathFactory, events: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("run")
    journal = Journal.create(folder, HEADER)
    for kind, data in events:
        journal.append(kind, data)
    journal.close()
    assert [(event.kind, event.data) for event in read_journal(folder).events[1:]] == events


def test_every_line_is_plain_json(tmp_path: Path) -> None:
    lines = written(tmp_path, 3).splitlines()
    assert [json.loads(line)["n"] for line in lines] == [0, 1, 2, 3]


def test_lines_are_in_the_file_before_append_returns(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, HEADER)
    journal.append("told", {"i": 0})
    assert numbers(tmp_path) == [0]
    journal.close()


def test_cut_anywhere_keeps_all_whole_lines(tmp_path: Path) -> None:
    """Whatever a killed process left, every complete line is read, and appending goes on behind it."""
    whole = written(tmp_path, 4)
    header = whole.index(b"\n") + 1
    for size in range(header, len(whole), 7):
        (tmp_path / FILE_NAME).write_bytes(whole[:size])
        complete = whole[:size].count(b"\n") - 1
        journal, content = Journal.reopen(tmp_path)
        assert bool(content.repair) == (not whole[:size].endswith(b"\n") and len(content.events) - 1 == complete)
        journal.append("told", {"i": 99})
        journal.close()
        assert numbers(tmp_path)[-1] == 99
        assert numbers(tmp_path)[:-1] == list(range(len(content.events) - 1))
        assert len(content.events) - 1 >= complete


def test_any_flipped_byte_is_noticed(tmp_path: Path) -> None:
    """500 random flips: refused, or the last line is dropped with a message; never read as if nothing were."""
    whole = written(tmp_path, 5)
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(500):
        position, bit = int(rng.integers(len(whole))), int(rng.integers(8))
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        (tmp_path / FILE_NAME).write_bytes(bytes(damaged))
        try:
            content = read_journal(tmp_path)
        except JournalError:
            outcomes.add("refused")
            continue
        outcomes.add("repaired")
        assert content.repair
        assert [event.data["i"] for event in content.events[1:]] == [0, 1, 2, 3]
    assert outcomes == {"refused", "repaired"}


def test_doubled_and_removed_lines_are_refused(tmp_path: Path) -> None:
    lines = written(tmp_path, 4).splitlines(keepends=True)
    for damaged in ([*lines[:2], lines[1], *lines[2:]], [*lines[:2], *lines[3:]], [lines[1], lines[0], *lines[2:]]):
        (tmp_path / FILE_NAME).write_bytes(b"".join(damaged))
        expected = r"line \d+ of .* damaged, doubled or out of order|no readable first line"
        with pytest.raises(JournalError, match=expected):
            read_journal(tmp_path)


def test_repair_is_reported_once(tmp_path: Path) -> None:
    whole = written(tmp_path, 2)
    (tmp_path / FILE_NAME).write_bytes(whole[:-5])
    journal, content = Journal.reopen(tmp_path)
    journal.close()
    assert "done again" in content.repair
    assert read_journal(tmp_path).repair == ""


def test_reading_repairs_nothing(tmp_path: Path) -> None:
    torn = written(tmp_path, 2)[:-5]
    (tmp_path / FILE_NAME).write_bytes(torn)
    assert read_journal(tmp_path).repair
    assert (tmp_path / FILE_NAME).read_bytes() == torn


def test_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    before = written(tmp_path, 1)
    with pytest.raises(JournalError, match=r"already holds a run.*nas resume"):
        Journal.create(tmp_path, HEADER)
    assert (tmp_path / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("content", [None, b"not a journal\n", b'{"n":0}\n', b"notes", b'{"n":0,"event":"told"'])
def test_folder_that_is_no_run_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE_NAME).write_bytes(content)
    for open_it in (read_journal, Journal.reopen):
        with pytest.raises(JournalError, match=r"is no run|no readable first line"):
            open_it(tmp_path)
    if content is not None:
        with pytest.raises(JournalError, match="already holds a run"):
            Journal.create(tmp_path, HEADER)
        assert (tmp_path / FILE_NAME).read_bytes() == content


def test_torn_within_its_first_line_it_is_begun_again(tmp_path: Path) -> None:
    """Nothing can have followed from such a journal, so nothing is lost; every cut of the first line is one."""
    first = written(tmp_path, 0)
    for size in range(len(first)):
        (tmp_path / FILE_NAME).write_bytes(first[:size])
        if size < len(first) - 1:
            with pytest.raises(JournalError, match=r"stopped before its first line was written: start it again"):
                read_journal(tmp_path)
        Journal.create(tmp_path, HEADER).close()
        assert (tmp_path / FILE_NAME).read_bytes() == first


def test_lines_of_another_journal_are_noticed(tmp_path: Path) -> None:
    """Two copies of a run that went on apart have the same number of lines; half of each is neither."""
    lines = written(tmp_path / "one", 4).splitlines(keepends=True)
    journal = Journal.create(tmp_path / "other", HEADER)
    for i in range(4):
        journal.append("told", {"i": 10 * i, "text": "naïve\nline"})
    journal.close()
    others = (tmp_path / "other" / FILE_NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / "one" / FILE_NAME).write_bytes(b"".join([*lines[:3], *others[3:]]))
    with pytest.raises(JournalError, match=r"line 4 of .* damaged, doubled or out of order"):
        read_journal(tmp_path / "one")


def test_changed_line_ends_are_named(tmp_path: Path) -> None:
    whole = written(tmp_path, 2)
    (tmp_path / FILE_NAME).write_bytes(whole.replace(b"\n", b"\r\n"))
    with pytest.raises(JournalError, match="CRLF"):
        read_journal(tmp_path)


def test_two_writers_cannot_open_one_run(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, HEADER)
    assert is_being_written(tmp_path)
    with pytest.raises(JournalError, match="another process"):
        Journal.reopen(tmp_path)
    journal.close()
    assert not is_being_written(tmp_path)
    Journal.reopen(tmp_path)[0].close()


def test_full_disk_keeps_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up in the middle of a line: one clear message, the earlier lines stay, the run goes on later."""
    journal = Journal.create(tmp_path, HEADER)
    journal.append("told", {"i": 0})

    class FullDisk:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, line: bytes) -> int:
            self.file.write(line[: len(line) // 2])
            self.file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal, "_file", FullDisk(journal._file))
    with pytest.raises(StorageError, match=r"No space left on device.*make room, then `nas resume"):
        journal.append("told", {"i": 1})
    assert numbers(tmp_path) == [0]
    assert read_journal(tmp_path).repair == ""
    monkeypatch.undo()  # there is room again
    journal.append("told", {"i": 2})
    journal.close()
    assert numbers(tmp_path) == [0, 2]
    assert read_journal(tmp_path).repair == ""


def test_not_a_number_never_reaches_the_file(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, HEADER)
    with pytest.raises(ValueError, match="JSON"):
        journal.append("told", {"i": float("nan")})
    journal.append("told", {"i": 1})
    journal.close()
    assert numbers(tmp_path) == [1]
