"""The page: complete, self-contained, well-formed, and safe whatever the data hold."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from controllers.trial import Objective, Record
from nas.report.page import render_report, write_report
from nas.report.summary import RunSettings, RunSummary
from search_spaces.architecture import Decision
from search_spaces.graph import Block, Cell, Edge

Make = Callable[..., Record]
VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = "<script>alert(1)</script>\"'&$x_{\x1b[31m"


class _Page(HTMLParser):
    """Checks that tags are balanced, and keeps what tests ask for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if tag == "a":
            self.targets.append(str(values.get("href")))
        if tag in ("h1", "h2"):
            self.headings.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings[-1] += data
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def _svgs(page: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)


def test_the_page_answers_in_order(full_page: str) -> None:
    assert _Page(full_page).headings == [
        "The best network reaches 98.76% test accuracy",
        "Progress",
        "Validation accuracy against size",
        "Best networks",
        "All trials",
        "Failures",
        "Lineage of trial 19",
        "What was spent",
        "Repeat it",
    ]


def test_the_headline_holds_the_answer(full_page: str) -> None:
    text = _Page(full_page).text
    for part in (
        "91.90%",
        "98.76%",
        "100K",
        "4.00M",
        "best/network.py",
        "1 h 2 min",
        "nas search --space toy",
        "2.11.0",
    ):
        assert part in text


def test_all_trials_are_in_the_table(full_run: RunSummary, full_page: str) -> None:
    assert {f"t{record.trial.number}" for record in full_run.records} <= set(_Page(full_page).ids)
    assert full_page.count('<th scope="row"') == len(full_run.records)


def test_best_and_reused_trials_say_so(full_page: str) -> None:
    assert full_page.count('<tr id="t19" class="best">') == 1
    assert 'same network as <a href="#t19">19</a>' in full_page


def test_ids_are_unique_and_links_lead_somewhere(full_page: str) -> None:
    page = _Page(full_page)
    assert len(set(page.ids)) == len(page.ids)
    assert {target.removeprefix("#") for target in page.targets} <= set(page.ids)


def test_three_networks_are_open_and_the_others_fold(full_page: str) -> None:
    before, after = full_page.split("<details><summary>", 1)
    assert before.count('<article class="network">') == 3
    assert after.count('<article class="network">') == 5


def test_one_cell_in_both_roles_is_drawn_once(full_run: RunSummary, random_cell: Callable[..., Cell]) -> None:
    cell = random_cell(0, blocks=3)
    page = render_report(replace(full_run, cells={19: {"normal": cell, "reduction": cell}}, decisions=()))
    assert "Normal and reduction cell" in page
    assert len(_svgs(page)) == 5  # two of progress, two against size, one cell


def test_networks_without_cells_are_told_in_words(full_run: RunSummary) -> None:
    page = render_report(replace(full_run, cells={}))
    assert "<dt>layer0 operation</dt>" in page


def test_drawings_are_well_formed_and_described(full_page: str) -> None:
    svgs = _svgs(full_page)
    assert len(svgs) == 2 + 2 + 16
    assert all(ET.fromstring(svg).get("aria-label") for svg in svgs)


def test_nothing_is_loaded_from_anywhere(full_page: str) -> None:
    assert set(re.findall(r"\w+://[^\"'<) ]*", full_page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\bsrc=|@import|url\((?!#)", full_page)


def test_headers_have_scopes_and_units(full_page: str) -> None:
    assert not re.findall(r"<th(?![^>]*scope=)[ >]", full_page)
    for header in ("Validation accuracy (%)", "Params (K)", "MACs (M)", "Time (s)"):
        assert f">{header}</th>" in full_page


def test_the_same_run_gives_the_same_page(full_run: RunSummary, full_page: str) -> None:
    assert render_report(full_run) == full_page


def test_text_from_data_stays_text(ok: Make, failed: Make) -> None:
    """Every field that holds text holds markup: the page's own script is the only one."""
    cell = Cell((Block(Edge(0, HOSTILE), Edge(1, HOSTILE)),), (2,))
    records = [ok(0, 0.9), ok(1, 0.95, parents=(0,)), failed(2, error=HOSTILE), failed(3, error=f"a\n{HOSTILE} b")]
    records[0] = replace(records[0], worker=HOSTILE)
    summary = RunSummary(
        HOSTILE,
        settings=RunSettings(*[HOSTILE] * 5, others={HOSTILE: HOSTILE}),
        objective=Objective(),
        records=records,
        cells={1: {HOSTILE: cell}},
        decisions=[Decision(f"{HOSTILE}{i}", (HOSTILE, 1, 2)) for i in range(6)],
        final={HOSTILE: 0.5},
        files={HOSTILE: HOSTILE},
        commands={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        reason=HOSTILE,
    )
    page = render_report(summary)
    assert _Page(page).tags.count("script") == 1
    assert "<script>alert" not in page
    assert "\x1b" not in page
    for svg in _svgs(page):
        ET.fromstring(svg)


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss", "<b>"])
def test_any_metric_can_be_the_objective(metric: str, ok: Make) -> None:
    record = ok(0, 0.9)
    metrics = {metric: 0.25}
    record = replace(record, measurement=replace(record.measurement, metrics=metrics))
    page = render_report(RunSummary("run", objective=Objective(metric, "minimize"), records=[record]))
    assert "0.25" in page or "25.00%" in page
    assert "<b>" not in page.replace('<b class="good">', "").replace("<b>run</b>", "")


def test_a_weighed_objective_is_shown_with_its_value(ok: Make) -> None:
    """At 4 times the target of 1M MACs and weight -0.5, 0.9 counts as 0.45."""
    objective = Objective(cost="macs", target=1e6, weight=-0.5)
    page = _Page(render_report(RunSummary("run", objective=objective, records=[ok(0, 0.9, macs=4e6)])))
    assert "maximize val_accuracy x (macs / 1.00M)^-0.5" in page.text
    assert "0.45" in page.text
    assert page.headings[0] == "The best network reaches 90.00% validation accuracy"


def test_a_run_without_records_has_a_page() -> None:
    page = _Page(render_report(RunSummary("new", status="running")))
    assert page.headings == ["No network has a result yet"]


def test_a_run_of_failures_shows_their_reasons(failed: Make) -> None:
    page = _Page(render_report(RunSummary("bad", records=[failed(i, "out_of_memory", "8 GiB") for i in range(3)])))
    assert page.headings == ["No network has a result", "All trials", "Failures", "What was spent"]
    assert "Out of memory" in page.text
    assert "8 GiB" in page.text


def test_a_run_of_one_record_has_a_page(ok: Make) -> None:
    page = _Page(render_report(RunSummary("one", records=[ok(0, 0.5)])))
    assert page.headings[0] == "The best network reaches 50.00% validation accuracy"


def test_an_interrupted_run_says_so(full_run: RunSummary) -> None:
    assert 'class="status interrupted"' in render_report(replace(full_run, cells={}, status="interrupted"))


def test_a_retrained_metric_stands_beside_that_of_the_search(full_run: RunSummary) -> None:
    final = {"val_accuracy": 0.95, "test_accuracy": 0.94, "test_correct": 94, "test_images": 100, "train_s": 75.0}
    final |= {"epochs": 40, "trial": 19}
    text = _Page(render_report(replace(full_run, cells={}, final=final))).text
    assert "Validation accuracy, retrained" in text
    for part in ("95.00%", "94 of 100 images, after 40 epochs", "in the search, 8 epochs", "1 min 15 s"):
        assert part in text


def test_long_runs_stay_small(ok: Make, failed: Make) -> None:
    """2,000 trials in less than 3 MB."""
    records = [ok(i, 0.9, parents=(i - 1,)) if i % 10 else failed(i, error="x" * 3000) for i in range(2000)]
    page = render_report(RunSummary("long", records=records))
    assert page.count("<tr id=") == 2000
    assert len(page.encode()) < 3e6


def test_the_file_is_whole_or_untouched(full_run: RunSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "report.html"
    small = replace(full_run, cells={}, records=full_run.records[:2])
    write_report(small, path)
    first = path.read_text(encoding="utf-8")
    assert first == render_report(small)

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space left on device"):
        write_report(replace(small, name="other"), path)
    assert path.read_text(encoding="utf-8") == first
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_what_draws_is_loaded_only_when_needed() -> None:
    """Neither the package nor its values load matplotlib."""
    code = "import sys, nas, nas.report.summary, nas.report.analysis; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
