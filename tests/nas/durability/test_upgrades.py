"""Journals and logs of older formats are read for ever, as they are; those of newer ones are refused with a remedy.

`tests/golden/journals` holds what older versions wrote: a folder a run, never written again. Paths in them lead
nowhere; the table is the one that `conftest.py` makes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nas
import nas.journal
import nas.journal_content
from nas.errors import JournalError
from nas.journal import FILE_NAME, JOURNAL_VERSION, Event, Journal, read_journal
from nas.journal_content import UPGRADED, UPGRADES
from nas.training.runs.log import read_log
from nas.training.runs.run import load_trained
from nas.training.runs.running import resume_training

GOLDEN = Path(__file__).parents[2] / "golden" / "journals"


def copied(name: str, tmp_path: Path) -> Path:
    """A copy of a golden run's folder."""
    return Path(shutil.copytree(GOLDEN / name, tmp_path / name))


def test_every_older_format_has_a_way_to_the_next() -> None:
    assert list(UPGRADES) == list(range(1, JOURNAL_VERSION))


@pytest.mark.parametrize("name", ["format-1-table", "format-1-unfinished", "format-1-images"])
def test_a_journal_of_format_1_is_read_and_left_as_it_is(name: str, tmp_path: Path, cli: Callable[..., Any]) -> None:
    folder = copied(name, tmp_path)
    before = (folder / FILE_NAME).read_bytes()
    assert json.loads(before.splitlines()[0])["data"]["journal"] == 1
    run = nas.load(folder)
    assert len(run.records) == before.count(b'"event":"told"')
    assert run.repair == ""
    assert cli("report", folder).code == 0
    assert (folder / FILE_NAME).read_bytes() == before


def test_an_unfinished_run_of_format_1_ends_as_it_would_have(table: Path, tmp_path: Path, story: Any) -> None:
    """It goes on in this version's format behind a line that says so, and is the finished golden run then."""
    folder = copied("format-1-unfinished", tmp_path)
    before = (folder / FILE_NAME).read_bytes()
    nas.resume(folder, table=str(table))
    after = (folder / FILE_NAME).read_bytes()
    assert after.startswith(before)
    assert json.loads(after[len(before) :].splitlines()[0])["event"] == UPGRADED
    assert read_journal(folder).version == JOURNAL_VERSION
    kinds = ("asked", "told", "final")
    assert story(folder, *kinds) == story(GOLDEN / "format-1-table", *kinds)
    lines = after.splitlines(keepends=True)
    for damaged in (lines[:-2] + lines[-1:], [lines[0], *lines[2:]], [*lines[:-2], lines[-1], lines[-2]]):
        (folder / FILE_NAME).write_bytes(b"".join(damaged))
        with_message = ""
        try:
            with_message = nas.load(folder).repair
        except JournalError as error:
            with_message = str(error)
        assert with_message


def test_a_finished_run_of_format_1_is_extended(table: Path, tmp_path: Path, story: Any) -> None:
    folder = copied("format-1-table", tmp_path)
    finished = len(nas.load(folder).records)
    run = nas.resume(folder, table=str(table), trials=20)
    assert len(run.records) > finished
    whole = nas.search(**run.config.to_json() | {"table": str(table), "objective": run.config.objective},
                       out=tmp_path / "whole")  # fmt: skip
    assert story(folder, "asked", "told") == story(whole.folder, "asked", "told")
    again = (folder / FILE_NAME).read_bytes()
    nas.resume(folder, table=str(table))
    assert (folder / FILE_NAME).read_bytes() == again
    assert again.count(b'"event":"upgraded"') == 1


def test_images_of_format_1_go_on(tmp_path: Path) -> None:
    folder = copied("format-1-images", tmp_path)
    before = nas.load(folder).records
    run = nas.resume(folder, trials=len(before) + 1)
    assert run.records[: len(before)] == before
    assert len(run.records) == len(before) + 1


def test_a_training_of_format_1_is_read_and_goes_on(tmp_path: Path, cli: Callable[..., Any]) -> None:
    """Its log is written anew with checksums when it goes on; without a checkpoint it begins again."""
    folder = copied("format-1-training", tmp_path)
    before = (folder / "training.jsonl").read_bytes()
    assert [entry["epoch"] for entry in load_trained(folder).epochs] == [1, 2]
    assert cli("report", folder).code == 0
    assert (folder / "training.jsonl").read_bytes() == before
    run = resume_training(folder, threads=1)
    assert run.is_complete
    assert len(run.epochs) == 3
    assert read_log(folder)[0]["format"] == 2


def test_a_torn_log_of_format_1_says_so(tmp_path: Path) -> None:
    folder = copied("format-1-training", tmp_path)
    log = folder / "training.jsonl"
    log.write_bytes(log.read_bytes()[:-9])
    run = load_trained(folder)
    assert len(run.epochs) == 1
    assert "line 3 of" in run.repair


def test_events_are_brought_forward_format_by_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two more formats to come: every event is upgraded from the one it was written in, and the file stays."""
    folder = copied("format-1-unfinished", tmp_path)
    before = (folder / FILE_NAME).read_bytes()
    passed = {1: UPGRADES[1], 2: _marked("from 2"), 3: _marked("from 3")}
    monkeypatch.setattr(nas.journal_content, "UPGRADES", passed)
    monkeypatch.setattr(nas.journal_content, "JOURNAL_VERSION", 4)
    monkeypatch.setattr(nas.journal, "JOURNAL_VERSION", 4)
    events = read_journal(folder).events
    assert {tuple(event.data["marks"]) for event in events} == {("from 2", "from 3")}
    assert (folder / FILE_NAME).read_bytes() == before
    journal, _ = Journal.reopen(folder)
    journal.append("told", {"new": 1})
    journal.close()
    *older, upgraded, newest = read_journal(folder).events
    assert tuple(older) == events
    assert upgraded.kind == UPGRADED
    assert newest == Event("told", {"new": 1})


def _marked(mark: str) -> Callable[[Event], Event]:
    return lambda event: Event(event.kind, {**event.data, "marks": [*event.data.get("marks", []), mark]})


def test_a_journal_of_a_newer_version_asks_for_an_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    for name in ("nas.journal", "nas.journal_content"):
        monkeypatch.setattr(f"{name}.JOURNAL_VERSION", JOURNAL_VERSION + 1)
    Journal.create(tmp_path / "new", {"config": {}}).close()
    old = copied("format-1-unfinished", tmp_path)
    monkeypatch.setitem(UPGRADES, JOURNAL_VERSION, lambda event: event)
    journal, _ = Journal.reopen(old)
    journal.append("told", {})
    journal.close()
    monkeypatch.undo()
    for folder in (tmp_path / "new", old):
        with pytest.raises(JournalError, match=r"is in journal format 3, .* upgrade this package"):
            read_journal(folder)
        for command in ("report", "resume"):
            answer = cli(command, folder)
            assert (answer.code, len(answer.err.splitlines())) == (2, 1)


def test_a_log_of_a_newer_version_asks_for_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.training.runs.log import TrainingLog

    monkeypatch.setattr("nas.training.runs.log.FORMAT", 3)
    TrainingLog.create(tmp_path / "run", {"config": {}}).close()
    monkeypatch.undo()
    with pytest.raises(JournalError, match=r"is in format 3, .* upgrade this package"):
        read_log(tmp_path / "run")
