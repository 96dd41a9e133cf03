"""The figures and the page: nothing covers anything, nothing is loaded, and data stays data."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from nas.comparison.figures import CHARTS, draw_chart, draw_figures, draw_strip, shorten
from nas.comparison.page import render_page
from nas.comparison.plan import Plan, Terms
from nas.comparison.results import Comparison, Spent
from nas.comparison.rows import Row, Spread
from nas.comparison.statistics import Difference
from nas.comparison.tables import COLUMNS, csv_text, make_table, sort_rows, table_text
from nas.comparison.testing import Costs
from nas.config import SearchConfig
from nas.report.figures import text_width

EVIL = "<script>alert('x')</script> & \"friends\""


def make_row(number: int, *, failed: bool = False, label: str = "") -> Row:
    rng = np.random.default_rng(number)
    accuracies = () if failed else tuple(float(value) for value in 0.9 - 0.01 * number + 0.005 * rng.random(3))
    params = 1e4 * (1 + 3 * number)
    return Row(
        label or f"network-{number}",
        ("found", "baseline", "given", "random", "random search")[number % 5],
        "",
        1,
        None,
        params,
        30 * params,
        Spread.of(accuracies),
        Spread.of([0.99] * len(accuracies)),
        accuracies,
        None if number == 0 or failed else Difference(-0.01 * number, 0.2, 0.01, 0.2),
        Costs(round(4 * params), round(5 * params), 0.1 + number, 5.0 + number),
        None if failed else 12.5,
        None if failed else 40.0,
        (f"seed 0: diverged: {EVIL}",) if failed else (),
    )


def make_page(rows: list[Row]) -> str:
    plan = Plan(SearchConfig(recipe="quick"), Terms(), (), notes=(EVIL,), command=f"nas compare {EVIL}")
    spent = Spent(60, 100, 360, 1e12)
    return render_page(Comparison(Path("results/mine"), plan, tuple(rows), spent, plan.notes, {"torch": EVIL}))


def numbers_of(figure: Figure) -> list[tuple[float, float, float, float]]:
    axes = figure.axes[0]
    boxes = []
    for drawn in axes.texts:
        x, y = axes.transData.transform(drawn.get_position())
        half = text_width(drawn.get_text(), size=11.5) / 2
        boxes.append((x - half, y - 5, x + half, y + 5))
    return boxes


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_numbers_cover_no_other(chart: object, narrow: bool) -> None:
    figure = draw_chart(chart, [make_row(i) for i in range(18)], narrow=narrow)  # type: ignore[arg-type]
    assert figure is not None
    boxes = numbers_of(figure)
    assert len(boxes) >= 12
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_twins_in_one_place_are_both_numbered() -> None:
    figure = draw_chart(CHARTS[0], [make_row(1), make_row(1), make_row(2)])
    assert figure is not None
    assert sorted(drawn.get_text() for drawn in figure.axes[0].texts) == ["1", "2", "3"]


def test_figures_of_nothing_are_left_out() -> None:
    assert draw_strip([make_row(1, failed=True)]) is None
    assert set(draw_figures([make_row(1, failed=True)])) == {"params-memory"}
    assert set(draw_figures([make_row(1)])) == {chart.name for chart in CHARTS}


def test_a_single_network_has_figures() -> None:
    assert draw_strip([make_row(0)], narrow=True) is not None
    assert set(draw_figures([make_row(0)], narrow=True)) == {chart.name for chart in CHARTS}


def test_long_names_are_shortened_in_the_middle() -> None:
    name = "random architecture of a-space-with-a-long-name (3 drawn)"
    short = shorten(name, 150)
    assert text_width(short, size=11.5) <= 150
    assert short.startswith("random")
    assert short.endswith("drawn)")
    assert shorten("lenet", 150) == "lenet"


def test_data_on_the_page_stays_data() -> None:
    page = make_page([make_row(0), make_row(1, label=EVIL), make_row(2, failed=True)])
    assert "<script>alert" not in page
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert" in page


def test_the_page_loads_nothing() -> None:
    page = make_page([make_row(i) for i in range(6)])
    links = set(re.findall(r"(?:src|href)=\"([^\"]*)\"", page))
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "default-src 'none'" in page
    assert not re.search(r"https?://(?!www\.w3\.org)", page)


def test_ids_on_the_page_differ() -> None:
    ids = re.findall(r'\bid="([^"]+)"', make_page([make_row(i) for i in range(6)]))
    assert len(ids) == len(set(ids))


def test_the_page_tells_what_the_rows_hold() -> None:
    rows = [make_row(0), make_row(1), make_row(2, failed=True)]
    page = make_page(rows)
    assert rows[0].top1 is not None
    assert f"network-0 is best: {rows[0].top1.mean:.2%} of the test images" in page
    assert "could be chance, p = 0.2" in page
    assert "seed 0: diverged" in page
    assert page.count("<tr") == 4


def test_numbers_of_a_column_have_one_unit_on_the_page() -> None:
    small, large = make_row(0), make_row(100)
    page = make_page([small, large])
    assert f"{small.params / 1e6:.3f}M" in page
    assert f"{large.params / 1e6:.3f}M" in page


@pytest.mark.parametrize("column", [column.name for column in COLUMNS])
def test_tables_sort_by_every_column(column: str) -> None:
    rows = [make_row(2), make_row(0), make_row(1), make_row(3, failed=True)]
    ordered = sort_rows(rows, column)
    assert sorted(row.label for row in ordered) == sorted(row.label for row in rows)
    values = [
        value for row in ordered if (value := next(c for c in COLUMNS if c.name == column).value(row)) is not None
    ]
    descending = next(c.descending for c in COLUMNS if c.name == column)
    assert values == sorted(values, reverse=descending)  # type: ignore[type-var]


def test_plain_tables_and_csv_have_a_line_a_row() -> None:
    rows = [make_row(i) for i in range(3)]
    assert len(table_text(rows).splitlines()) == 4
    assert len(csv_text(rows).splitlines()) == 4


def test_columns_without_any_value_are_left_out() -> None:
    assert "top-1" not in table_text([make_row(0, failed=True)])


def test_narrow_terminals_get_fewer_columns() -> None:
    rows = [make_row(i) for i in range(3)]
    whole, none_missing = make_table(rows)
    narrow, missing = make_table(rows, width=110)
    assert none_missing == 0
    assert len(whole.columns) - len(narrow.columns) == missing > 0
    assert [column.header for column in narrow.columns][:2] == ["network", "top-1"]
