"""Figures as files, and as SVG inside pages."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest

from nas.errors import InvalidInputError
from nas.report.cell_drawing import draw_cell
from nas.report.figures import figure_svg, new_figure, save_figure
from nas.report.theme import COLOURS, css_variables
from search_spaces.graph import Cell

HEADS = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}


@pytest.fixture
def cell(random_cell: Callable[..., Cell]) -> Cell:
    return random_cell(1, blocks=4)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf", ".PNG"])
def test_the_suffix_chooses_the_format(suffix: str, tmp_path: Path, cell: Cell) -> None:
    save_figure(draw_cell(cell), tmp_path / f"cell{suffix}")
    assert (tmp_path / f"cell{suffix}").read_bytes().startswith(HEADS[suffix.lower()])


@pytest.mark.parametrize("name", ["cell.jpg", "cell"])
def test_an_unknown_suffix_is_refused(name: str, tmp_path: Path, cell: Cell) -> None:
    with pytest.raises(InvalidInputError, match=r"one of \.svg, \.png, \.pdf, got 'cell"):
        save_figure(draw_cell(cell), tmp_path / name)


@pytest.mark.parametrize("suffix", HEADS)
def test_equal_figures_give_equal_files(suffix: str, tmp_path: Path, cell: Cell) -> None:
    for name in ("a", "b"):
        save_figure(draw_cell(cell), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_all_colours_follow_the_page(cell: Cell) -> None:
    """No colour is written outside a CSS variable, which names the light colour to fall back on."""
    svg = figure_svg(draw_cell(cell))
    assert not re.search(r"#[0-9a-f]{6}", re.sub(r"var\(--[a-z]+, #[0-9a-f]{6}\)", "", svg))
    assert set(re.findall(r"var\(--([a-z]+)", svg)) <= COLOURS.keys()


def test_the_style_sheet_defines_every_colour_twice() -> None:
    sheet = css_variables()
    for role, pair in COLOURS.items():
        assert f"--{role}:{pair.light};" in sheet
        assert f"--{role}:{pair.dark};" in sheet


def test_no_two_roles_share_a_colour() -> None:
    """Figures are drawn with the light codes and told apart by them."""
    assert len({pair.light for pair in COLOURS.values()}) == len(COLOURS)


def _luminance(code: str) -> float:
    channels = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("role", ["ink", "muted", "accent", "best", "bad"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_the_page(role: str, theme: str) -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3) on the page and on panels."""
    for behind in ("page", "panel"):
        pair = sorted(_luminance(getattr(COLOURS[name], theme)) for name in (role, behind))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def test_ids_of_different_names_differ() -> None:
    def chart() -> str:
        figure = new_figure(100, 100, label="x")
        figure.add_subplot().plot([0, 1], "o")
        return figure

    ids = [set(re.findall(r'id="([^"]+)"', figure_svg(chart(), name=name))) for name in ("a", "b")]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_references_lead_to_ids_and_nothing_else_has_one() -> None:
    figure = new_figure(100, 100, label="x")
    figure.add_subplot().plot([0, 1], "o")
    svg = figure_svg(figure, name="chart")
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", svg))
    assert used == set(re.findall(r' id="([^"]+)"', svg))
    assert all(name.startswith("chart-") for name in used)


def test_the_element_says_what_it_shows(cell: Cell) -> None:
    root = ET.fromstring(figure_svg(draw_cell(cell)))
    assert root.get("role") == "img"
    assert root.get("aria-label", "").startswith("State 0 is the cell before")


def test_nothing_is_fetched(cell: Cell) -> None:
    svg = figure_svg(draw_cell(cell))
    assert re.findall(r"https?://[^\"' ]+", svg) == ["http://www.w3.org/2000/svg"]
    assert "<style" not in svg
    assert "font-family" not in svg


def test_global_settings_are_left_alone(tmp_path: Path, cell: Cell) -> None:
    before = dict(mpl.rcParams)
    figure_svg(draw_cell(cell))
    save_figure(draw_cell(cell), tmp_path / "cell.svg")
    assert dict(mpl.rcParams) == before
