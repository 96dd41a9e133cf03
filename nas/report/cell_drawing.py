"""Drawings of cells: what reads what, through which operations, from the inputs on the left to the output."""

from __future__ import annotations

import re
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve

from nas.errors import InvalidInputError
from nas.report.cell_geometry import BlockGeometry, Box, CellGeometry, Wire, cell_geometry
from nas.report.figures import new_figure, text_width
from nas.report.formatting import printable
from nas.report.theme import colour
from search_spaces.graph import NUM_INPUTS, Block, Cell

FONT_SIZE = 11.0
SMALL_SIZE = 9.0
TITLE_SIZE = 12.0
MARGIN = 10.0
TITLE_HEIGHT = 30.0
LABEL_PADDING = 7.0
LONGEST_LABEL = 22  # characters; longer names are cut
SIDE_BY_SIDE_WIDTH = 1000.0  # wider than this, cells are drawn one above the other
ARROW = 5.0
FRAME_LAYER, WIRE_LAYER, BOX_LAYER = 1.0, 2.0, 3.0  # wires run over the frames of blocks and under all other boxes
CAP_HEIGHT = 0.73  # of capital letters, as a share of the font size
INPUT_NAMES = ("cell before", "previous cell")
_KERNEL = re.compile(r"\d+x\d+")
_KINDS = ("dil", "sep", "conv", "pool", "identity")
_ALIASES = {"skip": "identity", "max": "pool", "avg": "pool", "separable": "sep", "dilated": "dil"}


def operation_label(name: str) -> str:
    """Return a short name: ``sep_conv_3x3`` is "sep 3x3", ``conv_1x7_7x1`` is "conv 1x7 7x1"."""
    words = [word for word in name.split("_") if word]
    kind = operation_kind(name)
    if kind in ("sep", "dil") and "conv" in words and _KERNEL.search(name):
        words.remove("conv")
    if kind == "pool" and len(words) > 1 and "pool" in words and _KERNEL.search(name):
        words.remove("pool")
    label = printable(" ".join(words) or name)
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def operation_kind(name: str) -> str:
    """Return ``conv``, ``sep``, ``dil``, ``pool`` or ``identity``; for all other operations, ``wire``."""
    words = {_ALIASES.get(word, word) for word in name.split("_")}
    return next((kind for kind in _KINDS if kind in words), "wire")


def describe_cell(cell: Cell) -> str:
    """Return in words what a drawing of the cell shows."""
    blocks = "; ".join(
        f"state {NUM_INPUTS + i} is {_side(block, 0)} {'plus' if block.combination == 'add' else 'beside'} "
        f"{_side(block, 1)}"
        for i, block in enumerate(cell.blocks)
    )
    states = ", ".join(map(str, cell.concat))
    return f"State 0 is the cell before, state 1 the previous cell; {blocks}; the output concatenates states {states}."


def _side(block: Block, side: int) -> str:
    edge = block.edges[side]
    return f"{operation_label(edge.operation)} of {edge.state}"


def draw_cell(cell: Cell, *, title: str = "") -> Figure:
    """Draw a cell.

    Args:
        cell: drawn as it is, dead blocks included, with its own state numbers.
        title: stands above the drawing; nothing stands there without it.
    """
    return draw_cells({title: cell})


def draw_cells(cells: Mapping[str, Cell]) -> Figure:
    """Draw several cells, side by side where they fit and one above the other otherwise, each under its title.

    Args:
        cells: title -> cell, such as ``{"normal": ..., "reduction": ...}``.

    Raises:
        InvalidInputError: there is no cell.
    """
    if not cells:
        raise InvalidInputError("a drawing needs at least one cell, got none.")
    width = max(_label_width(edge.operation) for cell in cells.values() for b in cell.blocks for edge in b.edges)
    drawings = {title: cell_geometry(cell, operation_width=width) for title, cell in cells.items()}
    header = TITLE_HEIGHT if any(drawings) else 0.0
    corners, (right, bottom) = _place(list(drawings.values()), header=header)
    label = " ".join(
        f"{title}: {describe_cell(cell)}" if title else describe_cell(cell) for title, cell in cells.items()
    )
    figure = new_figure(right, bottom, label=label)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, right), ylim=(bottom, 0))
    axes.set_axis_off()
    for (title, drawing), (x, y) in zip(drawings.items(), corners, strict=True):
        if title:
            _text(axes, printable(title), x=x, y=y + TITLE_SIZE / 2, size=TITLE_SIZE, align="left", weight="bold")
        _draw(axes, drawing, cell=cells[title], corner=(x, y + header))
    return figure


def _place(drawings: list[CellGeometry], *, header: float) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Return the upper left corner of each drawing, and the size of all together."""
    gap = 4 * MARGIN
    total = sum(d.width for d in drawings) + gap * (len(drawings) - 1) + 2 * MARGIN
    x = y = MARGIN
    corners = []
    side_by_side = total <= SIDE_BY_SIDE_WIDTH
    for drawing in drawings:
        corners.append((x, y))
        if side_by_side:
            x += drawing.width + gap
        else:
            y += header + drawing.height + gap
    right = max(corner[0] + d.width for corner, d in zip(corners, drawings, strict=True))
    bottom = max(corner[1] + header + d.height for corner, d in zip(corners, drawings, strict=True))
    return corners, (right + MARGIN, bottom + MARGIN)


def _label_width(operation: str) -> float:
    """Width of the box that holds an operation's label."""
    return max(text_width(operation_label(operation), size=FONT_SIZE), 40.0) + 2 * LABEL_PADDING


def _draw(axes: Axes, drawing: CellGeometry, *, cell: Cell, corner: tuple[float, float]) -> None:
    """Draw one cell: wires first, boxes upon them."""
    for state in sorted({wire.state for wire in drawing.wires}):
        _draw_wires(axes, [wire for wire in drawing.wires if wire.state == state], corner=corner)
    for state, box in enumerate(drawing.inputs):
        unused = "" if any(wire.state == state for wire in drawing.wires) else ", unused"
        _terminal(axes, box.shifted(*corner), INPUT_NAMES[state], f"state {state}{unused}")
    _terminal(axes, drawing.output.shifted(*corner), "concat", "output")
    for i, geometry in enumerate(drawing.blocks):
        _draw_block(axes, geometry, block=cell.blocks[i], state=NUM_INPUTS + i, corner=corner)


def _draw_block(axes: Axes, geometry: BlockGeometry, *, block: Block, state: int, corner: tuple[float, float]) -> None:
    frame, join = geometry.frame.shifted(*corner), geometry.join.shifted(*corner)
    _box(axes, frame, fill="panel", edge="line", rounding=8, layer=FRAME_LAYER)
    for box, side in zip(geometry.operations, geometry.sides, strict=True):
        box = box.shifted(*corner)
        operation = block.edges[side].operation
        inner = Wire(state, (box.right, box.y), (join.left, join.y), arrow=False)
        _draw_wires(axes, [inner], corner=(0, 0))
        _box(axes, box, fill=operation_kind(operation), edge=operation_kind(operation), alpha=0.16, rounding=5)
        _text(axes, operation_label(operation), x=box.x, y=box.y)
    exit_wire = Wire(state, (join.right, join.y), (frame.right, join.y), arrow=False)
    _draw_wires(axes, [exit_wire], corner=(0, 0))
    _box(axes, join, fill="page", edge="wire", rounding=join.height / 2)
    _text(axes, block.combination, x=join.x, y=join.y, size=SMALL_SIZE)
    _text(axes, f"state {state}", x=join.x, y=frame.top + 13, size=SMALL_SIZE, ink="muted")


def _terminal(axes: Axes, box: Box, name: str, note: str) -> None:
    """Draw an input or the output."""
    _box(axes, box, fill="page", edge="ink", rounding=5)
    _text(axes, name, x=box.x, y=box.y - 7)
    _text(axes, note, x=box.x, y=box.y + 8, size=SMALL_SIZE, ink="muted")


def _box(
    axes: Axes, box: Box, *, fill: str, edge: str, rounding: float, alpha: float = 1.0, layer: float = BOX_LAYER
) -> None:
    shape = FancyBboxPatch(
        (box.left, box.top),
        box.width,
        box.height,
        boxstyle=f"round,pad=0,rounding_size={rounding}",
        facecolor=(colour(fill), alpha),
        edgecolor=colour(edge),
        linewidth=1.0,
        zorder=layer,
        clip_on=False,
    )
    axes.add_artist(shape)


def _text(
    axes: Axes,
    text: str,
    *,
    x: float,
    y: float,
    size: float = FONT_SIZE,
    ink: str = "ink",
    align: str = "center",
    weight: str = "normal",
) -> None:
    """Write text with its capitals centred on `y`: equal baselines for equal `y`, whatever the letters."""
    baseline = y + CAP_HEIGHT * size / 2
    axes.text(x, baseline, text, size=size, color=colour(ink), ha=align, va="baseline", weight=weight, parse_math=False)


def _draw_wires(axes: Axes, wires: list[Wire], *, corner: tuple[float, float]) -> None:
    """Draw the wires of one state as one path, and their arrowheads as another."""
    dx, dy = corner
    lines, heads = [], []
    for wire in wires:
        (x0, y0), (x1, y1) = wire.start, wire.end
        tip = x1 - ARROW * 0.6 if wire.arrow else x1
        bend = (x0 + tip) / 2
        points = [(x0, y0), (bend, y0), (bend, y1), (tip, y1)]
        codes = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
        lines.append(Curve([(x + dx, y + dy) for x, y in points], codes))
        if wire.arrow:
            head = [(x1 - ARROW, y1 - ARROW / 2), (x1, y1), (x1 - ARROW, y1 + ARROW / 2), (0, 0)]
            codes = [Curve.MOVETO, Curve.LINETO, Curve.LINETO, Curve.CLOSEPOLY]
            heads.append(Curve([(x + dx, y + dy) for x, y in head], codes))
    line = Curve.make_compound_path(*lines)
    _add(axes, line, fill="none", edge=colour("wire"))
    if heads:
        _add(axes, Curve.make_compound_path(*heads), fill=colour("wire"), edge="none")


def _add(axes: Axes, curve: Curve, *, fill: str, edge: str) -> None:
    axes.add_artist(PathPatch(curve, facecolor=fill, edgecolor=edge, linewidth=1.1, zorder=WIRE_LAYER, clip_on=False))
