"""Every kind of folder has its page, found by what lies in the folder; others are refused in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.errors import InvalidInputError, JournalError, StorageError
from nas.report.formatting import format_count
from nas.reporting import PAGES, PageKind, write_folder_report
from nas.run import refuse_scaling


@pytest.mark.parametrize(
    ("kind", "overline"), [("search", "Architecture search"), ("training", "Training"), ("scaling", "Scaling")]
)
def test_a_folder_gets_the_page_of_its_kind(
    kind: str, overline: str, request: pytest.FixtureRequest, cli: Callable[..., Any]
) -> None:
    folder = request.getfixturevalue(f"{kind}_folder")
    answer = cli("report", folder)
    assert (answer.code, answer.err) == (0, "")
    page = Path(answer.out.strip())
    assert page == folder / "report.html"
    assert f'<p class="overline">{overline} <b>{folder.name}</b>' in page.read_text(encoding="utf-8")


def test_a_search_s_page_says_how_much_was_trained(search_folder: Path) -> None:
    run = nas.load(search_folder)
    own = [r for r in run.records if r.measurement.ok and r.reused_from is None]
    macs = sum(r.measurement.metrics["macs"] for r in own) * run.config.search_recipe.epochs * 100
    page = write_folder_report(search_folder).read_text(encoding="utf-8")
    assert f"<dt>MACs trained</dt><dd>{format_count(macs, kind='macs')}<small>forward passes</small>" in page
    assert f"nas resume {search_folder}" in page


def test_another_kind_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAGES, "poem", PageKind(("poem.txt",), lambda folder, say: (folder / "poem.txt").read_text()))
    (tmp_path / "poem.txt").write_text("roses")
    assert write_folder_report(tmp_path).read_text() == "roses"


def test_a_folder_of_no_kind_is_refused(tmp_path: Path, cli: Callable[..., Any]) -> None:
    answer = cli("report", tmp_path)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "nas search" in answer.err


def test_a_damaged_end_is_told_of(search_folder: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    journal = (search_folder / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(journal[:-20])
    answer = cli("report", tmp_path)
    assert answer.code == 0
    assert "torn or damaged" in answer.err


def test_a_full_disk_is_told_of(training_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(StorageError, match=f"nas report {training_folder}"):
        write_folder_report(training_folder)


def test_a_scaling_is_no_search_and_says_how_it_goes_on(scaling_folder: Path) -> None:
    for refused in (scaling_folder, scaling_folder / "grid"):
        with pytest.raises(InvalidInputError, match=f"repeat its `nas scale` command with --out {scaling_folder},"):
            refuse_scaling(refused)
    with pytest.raises(InvalidInputError, match="repeat its `nas scale` command"):
        nas.load(scaling_folder)
    with pytest.raises(InvalidInputError, match="repeat its `nas scale` command"):
        _ = nas.load(scaling_folder / "ablation").best


def test_other_folders_are_not_refused(search_folder: Path, training_folder: Path, tmp_path: Path) -> None:
    for folder in (search_folder, training_folder, tmp_path):
        refuse_scaling(folder)
    with pytest.raises(JournalError, match="is no run"):
        nas.load(tmp_path)


def test_a_grid_has_a_page_of_its_own(scaling_folder: Path) -> None:
    text = write_folder_report(scaling_folder / "grid").read_text(encoding="utf-8")
    assert "<dt>point</dt>" in text
    (scaling_folder / "grid" / "report.html").unlink()


def test_the_cells_of_a_training_are_shown(training_folder: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    answer = cli("show", training_folder, "--out", tmp_path / "cells.svg")
    assert answer.code == 0
    assert (tmp_path / "cells.svg").stat().st_size > 1000
