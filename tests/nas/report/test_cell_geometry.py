"""Nothing overlaps in the layout of a cell, and no wire runs through a box."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from nas.report.cell_geometry import Box, CellGeometry, Wire, cell_geometry
from nas.report.cell_layers import OUTPUT, layers_of
from search_spaces.genotypes import CELLS
from search_spaces.graph import Block, Cell, Edge

Layouts = list[tuple[Cell, CellGeometry]]


@pytest.fixture(scope="module")
def layouts(random_cell: Callable[..., Cell]) -> list[tuple[Cell, CellGeometry]]:
    """Random cells of 1 to 8 blocks, some with inputs and used blocks in their concatenation, laid out."""
    cells = [random_cell(seed, blocks=blocks, extra=seed % 3) for blocks in range(1, 9) for seed in range(6)]
    return [(cell, cell_geometry(cell, operation_width=90)) for cell in cells]


def _curve(wire: Wire) -> np.ndarray:
    """(50, 2) points of the curve that is drawn for a wire: level at both ends, bent in the middle."""
    t = np.linspace(0, 1, 50)[:, None]
    (x0, y0), (x1, y1) = wire.start, wire.end
    a, b, c, d = (np.array(p) for p in ((x0, y0), ((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1), (x1, y1)))
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d


def _crosses(wire: Wire, box: Box) -> bool:
    """Whether a wire enters a box other than the one it ends in."""
    if box.left <= wire.end[0] <= box.right and box.top <= wire.end[1] <= box.bottom:
        return False
    x, y = _curve(wire).T
    inside = (x > box.left + 0.5) & (x < box.right - 0.5) & (y > box.top - 2) & (y < box.bottom + 2)
    return bool(inside.any())


def test_boxes_do_not_overlap(layouts: Layouts) -> None:
    for _, geometry in layouts:
        boxes = [*geometry.inputs, *(block.frame for block in geometry.blocks), geometry.output]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_parts_of_a_block_lie_apart_inside_its_frame(layouts: Layouts) -> None:
    for _, geometry in layouts:
        for block in geometry.blocks:
            parts = [*block.operations, block.join]
            assert all(block.frame.contains(part) for part in parts)
            assert not any(a.overlaps(b) for a, b in combinations(parts, 2))


def test_no_wire_runs_through_a_box(layouts: Layouts) -> None:
    for _, geometry in layouts:
        boxes = [*geometry.inputs, *(block.frame for block in geometry.blocks), geometry.output]
        assert not any(_crosses(wire, box) for wire in geometry.wires for box in boxes)


def test_everything_lies_within_the_stated_size(layouts: Layouts) -> None:
    for _, geometry in layouts:
        page = Box(-1e-6, -1e-6, geometry.width + 2e-6, geometry.height + 2e-6)
        assert all(page.contains(box) for box in (*geometry.inputs, *(b.frame for b in geometry.blocks)))
        assert all(page.contains(Box(*point, 0, 0)) for wire in geometry.wires for point in (wire.start, wire.end))


def test_every_read_has_one_arrow(layouts: Layouts) -> None:
    """One arrow per edge of a block and per state of the concatenation, and each carries the state that is read."""
    for cell, geometry in layouts:
        arrows = sorted(wire.state for wire in geometry.wires if wire.arrow)
        read = [edge.state for block in cell.blocks for edge in block.edges]
        assert arrows == sorted([*read, *cell.concat])


def test_wires_are_unbroken(layouts: Layouts) -> None:
    """Every wire starts where its state's box or another wire of the state ends."""
    for _, geometry in layouts:
        boxes = [*geometry.inputs, *(block.frame for block in geometry.blocks)]
        for wire in geometry.wires:
            exits = [(boxes[wire.state].right, boxes[wire.state].y)]
            exits += [other.end for other in geometry.wires if other.state == wire.state]
            assert wire.start in exits


@pytest.mark.parametrize("name", sorted(CELLS))
def test_published_cells_have_room(name: str) -> None:
    for cell in (CELLS[name].normal, CELLS[name].reduction):
        geometry = cell_geometry(cell, operation_width=90)
        boxes = [*geometry.inputs, *(block.frame for block in geometry.blocks), geometry.output]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        assert not any(_crosses(wire, box) for wire in geometry.wires for box in boxes)


def test_zero_reads_nothing() -> None:
    cell = Cell((Block(Edge(1, "zero"), Edge(1, "zero")),), (2,))
    geometry = cell_geometry(cell, operation_width=60)
    assert [wire.state for wire in geometry.wires if wire.arrow] == [2]


def test_an_unread_input_stays_beside_the_other() -> None:
    cell = Cell((Block(Edge(0, "identity"), Edge(0, "identity")),), (2,))
    before, previous = cell_geometry(cell, operation_width=60).inputs
    assert abs(before.y - previous.y) < 2 * before.height


def test_a_layer_holds_what_the_longest_path_says() -> None:
    a, b = Edge(1, "identity"), Edge(0, "identity")
    cell = Cell((Block(a, b), Block(Edge(2, "identity"), b), Block(a, b)), (3, 4))
    assert dict(layers_of(cell).layer_of) == {0: 0, 1: 0, 2: 1, 3: 2, 4: 1, OUTPUT: 3}


def test_a_cell_that_needs_no_crossing_has_none() -> None:
    """Two parallel chains, numbered so that keeping the numbers' order would cross them."""
    blocks = (
        Block(Edge(1, "identity"), Edge(1, "identity")),
        Block(Edge(0, "identity"), Edge(0, "identity")),
        Block(Edge(3, "identity"), Edge(3, "identity")),
        Block(Edge(2, "identity"), Edge(2, "identity")),
    )
    geometry = cell_geometry(Cell(blocks, (4, 5)), operation_width=60)
    for one, two in combinations([wire for wire in geometry.wires if wire.start[0] != wire.end[0]], 2):
        if one.state != two.state and one.start[0] == two.start[0]:
            assert (one.start[1] - two.start[1]) * (one.end[1] - two.end[1]) > 0
