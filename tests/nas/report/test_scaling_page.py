"""The page of a scaling: coefficients, members, grid with spread, ablation; also of one that was stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.errors import InvalidInputError
from nas.report.scaling_page import render_scaling
from nas.scaling_report import COMMAND, keep_command, summarize_scaling

HOSTILE = "<script>alert(1)</script>\"'&\x1b"


def test_all_sections_are_there(scaling_page: str) -> None:
    titles = ["Members", "Ablation", "Grid", "Failures", "What was spent", "Repeat it"]
    places = [scaling_page.index(f">{title}</h2>") for title in titles]
    assert places == sorted(places)
    assert "<h1>nasnet-a as a family of 2 networks</h1>" in scaling_page


def test_the_summary_is_the_family_that_was_written(scaling_folder: Path) -> None:
    table = json.loads((scaling_folder / "scaling.json").read_text())
    summary = summarize_scaling(scaling_folder)
    assert summary.base is not None
    assert summary.base.to_json() == table["base"]
    assert [member.to_json() for member in summary.members] == table["members"]
    assert [point.to_json() for point in summary.grid] == table["grid"]
    assert [point.to_json() for point in summary.ablation] == table["ablation"]
    assert summary.status == "finished"


def test_members_stand_with_their_numbers_and_files(scaling_folder: Path, scaling_page: str) -> None:
    for member in summarize_scaling(scaling_folder).members:
        path = scaling_folder / "members" / f"{member.name}.json"
        assert f"<code>{path}</code>" in scaling_page
        assert f"<td class=n>{member.macs / 1e6:.3f}</td>" in scaling_page


def test_the_chosen_point_is_marked_with_its_spread(scaling_folder: Path, scaling_page: str) -> None:
    """Two seeds 1 point apart deviate by 0.71."""
    chosen = summarize_scaling(scaling_folder).coefficients
    assert f'<tr class="best"><th scope="row">{chosen}</th>' in scaling_page
    assert "&plusmn; 0.71" in scaling_page


def test_failures_are_counted_by_reason(scaling_page: str) -> None:
    assert "loss became nan" in scaling_page
    assert "2 trainings" in scaling_page  # the second of the grid, and of the ablation


def test_what_was_spent_is_that_of_both_journals(scaling_folder: Path) -> None:
    cost = summarize_scaling(scaling_folder).trainings
    runs = [nas.load(scaling_folder / name) for name in ("grid", "ablation")]
    own = [record for run in runs for record in run.records if record.reused_from is None]
    assert cost.done == len(own)
    assert cost.worker_s == sum(record.measurement.seconds for record in own)
    epochs, images = runs[0].config.search_recipe.epochs, runs[0].header["data"]["images"]["train"]
    macs = sum(record.measurement.metrics["macs"] for record in own if record.measurement.ok)
    assert cost.trained_macs == macs * epochs * images


def test_a_stopped_scaling_has_a_page_and_says_how_to_go_on(scaling_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "grid").mkdir()
    lines = (scaling_folder / "grid" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "grid" / "journal.jsonl").write_bytes(b"".join(lines[:7]))
    summary = summarize_scaling(tmp_path)
    trained = [point for point in summary.grid if point.accuracy]
    assert (summary.status, summary.coefficients) == ("interrupted", None)
    assert 0 < len(trained) < len(summary.grid)
    page = render_scaling(summary)
    assert f"with --out {tmp_path}" in page
    assert " trainings are done</h1>" in page


def test_a_family_without_training_has_a_page(tmp_path: Path, cli: Callable[..., Any]) -> None:
    nas.scale("resnet-18", coefficients="1.2,1.1,1.15", budgets={"macs": 1e9}, out=tmp_path / "family")
    answer = cli("report", tmp_path / "family")
    assert answer.code == 0
    page = Path(answer.out.strip()).read_text(encoding="utf-8")
    assert "% of macs" in page
    assert "Ablation</h2>" not in page


def test_the_command_is_kept_with_its_folder(scaling_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my family"
    keep_command(folder, ["scale", "x"])
    assert not folder.exists()
    shutil.copytree(scaling_folder, folder)
    keep_command(folder, ["scale", "nasnet-a", "--phi", "1"])
    assert (folder / COMMAND).read_text() == f"nas scale nasnet-a --phi 1 --out '{folder}'\n"
    assert f"nas scale nasnet-a --phi 1 --out &#x27;{folder}&#x27;" in render_scaling(summarize_scaling(folder))
    keep_command(folder, ["scale", "nasnet-a", "--out=here"])
    assert (folder / COMMAND).read_text() == "nas scale nasnet-a --out=here\n"


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_table_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "scaling.json").write_text(text)
    with pytest.raises(InvalidInputError, match="epeat the command with the same --out"):
        summarize_scaling(tmp_path)


def test_text_from_data_stays_text(scaling_folder: Path) -> None:
    summary = summarize_scaling(scaling_folder)
    hostile = {HOSTILE: HOSTILE}
    member = replace(summary.members[0], name=HOSTILE, law=HOSTILE, used={HOSTILE: 0.5})
    point = replace(summary.grid[0], point=replace(summary.grid[0].point, label=HOSTILE))
    page = render_scaling(
        replace(
            summary,
            name=HOSTILE,
            network=HOSTILE,
            members=[member],
            grid=[point],
            settings=hostile,
            files=hostile,
            commands=hostile,
            versions=hostile,
            member_files=hostile,
            notes=[HOSTILE],
        )
    )
    assert page.count("<script") == 1
    assert "\x1b" not in page
