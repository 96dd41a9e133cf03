"""Drawings of cells: every text fits its box, none overlap, and the words are right."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.transforms import Bbox

from nas.errors import InvalidInputError
from nas.report.cell_drawing import describe_cell, draw_cell, draw_cells, operation_kind, operation_label
from nas.report.figures import figure_svg
from search_spaces.genotypes import CELLS
from search_spaces.graph import Block, Cell, Edge
from search_spaces.operations import OPERATION_SETS, OPERATIONS

RandomCell = Callable[..., Cell]


def _extents(figure: Figure) -> tuple[dict[str, list[Bbox]], list[Bbox]]:
    """Boxes of the texts, by text, and of the rounded boxes, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    texts: dict[str, list[Bbox]] = {}
    for text in axes.texts:
        texts.setdefault(text.get_text(), []).append(text.get_window_extent(renderer))
    return texts, [a.get_window_extent(renderer) for a in axes.get_children() if isinstance(a, FancyBboxPatch)]


def _inside(inner: Bbox, outer: Bbox, *, margin: float) -> bool:
    return bool(
        outer.x0 + margin <= inner.x0
        and inner.x1 <= outer.x1 - margin
        and outer.y0 + margin <= inner.y0
        and inner.y1 <= outer.y1 - margin
    )


@pytest.mark.parametrize("seed", range(8))
def test_texts_fit_their_boxes_and_do_not_overlap(seed: int, random_cell: RandomCell) -> None:
    texts, boxes = _extents(draw_cell(random_cell(seed, blocks=1 + seed), title="Title"))
    (title,) = texts.pop("Title")
    everything = [extent for extents in texts.values() for extent in extents]
    assert all(any(_inside(text, box, margin=1.5) for box in boxes) for text in everything)
    assert not any(a.overlaps(b) for a, b in combinations(everything, 2))
    assert not any(title.overlaps(other) for other in [*everything, *boxes])


def test_every_operation_fits_its_box() -> None:
    """All known operations in one cell, and one whose name is too long to be shown whole."""
    names = [*OPERATIONS, "my_very_long_operation_name_of_32x32"]
    cell = Cell.from_blocks([Block(Edge(0, name), Edge(1, name)) for name in names])
    texts, boxes = _extents(draw_cell(cell))
    assert all(any(_inside(t, box, margin=1.5) for box in boxes) for extents in texts.values() for t in extents)


def test_all_operations_and_states_are_named(random_cell: RandomCell) -> None:
    cell = random_cell(3, blocks=6)
    texts, _ = _extents(draw_cell(cell))
    for block in cell.blocks:
        assert {operation_label(edge.operation) for edge in block.edges} < texts.keys()
    assert {f"state {i}" for i in range(2, 8)} < texts.keys()
    assert {"cell before", "previous cell", "output"} < texts.keys()


def test_an_input_that_is_not_read_says_so() -> None:
    texts, _ = _extents(draw_cell(Cell((Block(Edge(1, "identity"), Edge(1, "identity")),), (2,))))
    assert {"state 0, unused", "state 1"} < texts.keys()


@pytest.mark.parametrize("name", sorted(CELLS))
def test_a_pair_is_drawn_without_overlap(name: str) -> None:
    cells = CELLS[name]
    texts, boxes = _extents(draw_cells({"Normal cell": cells.normal, "Reduction cell": cells.reduction}))
    titles = [*texts.pop("Normal cell"), *texts.pop("Reduction cell")]
    everything = [extent for extents in texts.values() for extent in extents]
    assert not any(a.overlaps(b) for a, b in combinations([*titles, *everything], 2))
    assert not any(title.overlaps(box) for title in titles for box in boxes)


def test_small_cells_stand_side_by_side_and_large_ones_above_each_other(random_cell: RandomCell) -> None:
    small, large = random_cell(0, blocks=1), random_cell(0, blocks=8)
    one, two = draw_cell(small).get_size_inches(), draw_cells({"a": small, "b": small}).get_size_inches()
    assert two[0] > one[0]
    one, two = draw_cell(large).get_size_inches(), draw_cells({"a": large, "b": large}).get_size_inches()
    assert two[0] == pytest.approx(one[0])
    assert two[1] > 2 * one[1] - 0.5


def test_no_cell_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least one cell"):
        draw_cells({})


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("sep_conv_3x3", "sep 3x3"),
        ("dil_sep_conv_5x5", "dil sep 5x5"),
        ("dil_conv_3x3", "dil 3x3"),
        ("conv_1x7_7x1", "conv 1x7 7x1"),
        ("max_pool_7x7", "max 7x7"),
        ("identity", "identity"),
        ("zero", "zero"),
        ("_", "_"),
        ("squeeze_and_excitation_16x", "squeeze and excitatio…"),
    ],
)
def test_labels_are_short(name: str, label: str) -> None:
    assert operation_label(name) == label


def test_operations_of_a_set_have_different_labels() -> None:
    for names in OPERATION_SETS.values():
        assert len({operation_label(name) for name in names}) == len(names)


def test_every_kind_has_its_colour() -> None:
    kinds = ["sep_conv_3x3", "dil_conv_3x3", "conv_1x1", "avg_pool_3x3", "identity", "skip_connect", "zero"]
    assert [operation_kind(n) for n in kinds] == ["sep", "dil", "conv", "pool", "identity", "identity", "wire"]


def test_the_description_tells_the_whole_cell() -> None:
    cell = Cell((Block(Edge(1, "sep_conv_3x3"), Edge(0, "identity"), "concat"),), (0, 2))
    words = describe_cell(cell)
    assert "state 2 is sep 3x3 of 1 beside identity of 0; the output concatenates states 0, 2." in words


def test_hostile_names_stay_text() -> None:
    """Markup, TeX and control characters in names are drawn as they are, and the SVG stays well-formed."""
    cell = Cell((Block(Edge(0, "<b>&\"'"), Edge(1, "$\\frac{")), Block(Edge(0, "a\x00b"), Edge(1, "日本"))), (2, 3))
    root = ET.fromstring(figure_svg(draw_cell(cell, title="$x_{</svg>")))
    texts = {text for element in root.iter() if (text := element.text)}
    assert {"<b>&\"'", "$\\frac{", "a\ufffdb", "日本", "$x_{</svg>"} < texts
