"""Where everything in the drawing of a cell goes. Pure arithmetic: nothing is drawn here.

Layered layout from left to right: the two inputs, the blocks by the longest path from an input, the output. A
state that is read further right than in the next layer runs through a lane of its own in every layer between, so
a wire never crosses a box. Order within layers: barycentre sweeps, keeping the order with the fewest crossings.
Lengths are pixels; y grows downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas.report.cell_layers import OUTPUT, Layers, Slot, arrange, layers_of
from search_spaces.graph import NUM_INPUTS, ZERO, Cell

OPERATION_HEIGHT = 24.0
OPERATION_GAP = 7.0
PADDING = 8.0
JOIN_WIDTH = 42.0  # the pill that says how a block combines its two sides
JOIN_HEIGHT = 18.0
JOIN_GAP = 14.0
TERMINAL_WIDTH = 86.0  # inputs and output
TERMINAL_HEIGHT = 40.0
PORT_GAP = 13.0  # between the wires that enter the output
BLOCK_HEIGHT = 2 * (OPERATION_HEIGHT + PADDING) + OPERATION_GAP
LANE_HEIGHT = 2.0
SLOT_GAP = 16.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its left, top, width and height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height

    @property
    def x(self) -> float:
        """Centre from left to right."""
        return self.left + self.width / 2

    @property
    def y(self) -> float:
        """Centre from top to bottom."""
        return self.top + self.height / 2

    def shifted(self, dx: float, dy: float) -> Box:
        """Return the box moved."""
        return replace(self, left=self.left + dx, top=self.top + dy)

    def overlaps(self, other: Box) -> bool:
        """Whether the two share an area."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def contains(self, other: Box) -> bool:
        """Whether the other lies inside."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True, slots=True)
class BlockGeometry:
    """A block: its frame, and in it the boxes of its two operations and of how they are combined.

    Attributes:
        sides: 0 for the left and 1 for the right edge of the block, in the order of `operations`: the sides are
            drawn in the order in which their wires arrive.
    """

    frame: Box
    operations: tuple[Box, Box]
    sides: tuple[int, int]
    join: Box


@dataclass(frozen=True, slots=True)
class Wire:
    """A smooth curve that leaves `start` and reaches `end` horizontally; `state` is what it carries."""

    state: int
    start: tuple[float, float]
    end: tuple[float, float]
    arrow: bool


@dataclass(frozen=True, slots=True)
class CellGeometry:
    """A drawing of a cell: the boxes, the wires, and the size that holds them all."""

    inputs: tuple[Box, ...]
    blocks: tuple[BlockGeometry, ...]
    output: Box
    wires: tuple[Wire, ...]
    width: float
    height: float


def cell_geometry(cell: Cell, *, operation_width: float) -> CellGeometry:
    """Lay out a cell.

    Args:
        cell: what to draw.
        operation_width: width of every operation's box, as its longest label needs.
    """
    layers = layers_of(cell)
    heights = {slot: _height(slot, cell) for slot in layers.slots}
    centres = arrange(layers, heights=heights, gap=SLOT_GAP)
    top = min(centres[slot] - heights[slot] / 2 for slot in layers.slots)
    bottom = max(centres[slot] + heights[slot] / 2 for slot in layers.slots)
    centres = {slot: y - top for slot, y in centres.items()}
    widths = [TERMINAL_WIDTH] + [_block_width(operation_width)] * (len(layers.columns) - 2) + [TERMINAL_WIDTH]
    lefts = _column_lefts(layers, widths=widths, centres=centres)
    frames = {
        slot: Box(lefts[slot.layer], centres[slot] - heights[slot] / 2, widths[slot.layer], heights[slot])
        for slot in layers.slots
    }
    nodes = {slot.state: frame for slot, frame in frames.items() if not slot.lane}
    blocks = tuple(
        _block(nodes[NUM_INPUTS + i], sides=_sides(cell, i, layers=layers, centres=centres))
        for i in range(len(cell.blocks))
    )
    return CellGeometry(
        inputs=tuple(nodes[state] for state in range(NUM_INPUTS)),
        blocks=blocks,
        output=nodes[OUTPUT],
        wires=(*_lane_wires(frames), *_gap_wires(cell, layers=layers, frames=frames, blocks=blocks)),
        width=lefts[-1] + TERMINAL_WIDTH,
        height=bottom - top,
    )


def _height(slot: Slot, cell: Cell) -> float:
    if slot.lane:
        return LANE_HEIGHT
    if slot.state == OUTPUT:
        return max(TERMINAL_HEIGHT, PORT_GAP * (len(cell.concat) + 1))
    return TERMINAL_HEIGHT if slot.state < NUM_INPUTS else BLOCK_HEIGHT


def _block_width(operation_width: float) -> float:
    return 2 * PADDING + operation_width + JOIN_GAP + JOIN_WIDTH


def _column_lefts(layers: Layers, *, widths: Sequence[float], centres: dict[Slot, float]) -> list[float]:
    """Left edge of each column; the steeper the wires between two columns, the wider the gap."""
    lefts = [0.0]
    for layer in range(len(widths) - 1):
        climbs = [abs(centres[a] - centres[b]) for a, b in layers.links if a.layer == layer]
        gap = min(110.0, 40.0 + 0.22 * max(climbs, default=0.0))
        lefts.append(lefts[-1] + widths[layer] + gap)
    return lefts


def _sides(cell: Cell, i: int, *, layers: Layers, centres: dict[Slot, float]) -> tuple[int, int]:
    """The order of a block's sides from top to bottom: that in which their wires arrive, so that they do not cross."""
    layer = layers.layer_of[NUM_INPUTS + i]
    block = cell.blocks[i]

    def arrival(side: int) -> float:
        edge = block.edges[side]
        return centres[layers.slot(edge.state, layer - 1)] if edge.operation != ZERO else float("inf")

    return (0, 1) if arrival(0) <= arrival(1) else (1, 0)


def _block(frame: Box, *, sides: tuple[int, int]) -> BlockGeometry:
    width = frame.width - 2 * PADDING - JOIN_GAP - JOIN_WIDTH
    upper = Box(frame.left + PADDING, frame.top + PADDING, width, OPERATION_HEIGHT)
    lower = upper.shifted(0, OPERATION_HEIGHT + OPERATION_GAP)
    join = Box(frame.right - PADDING - JOIN_WIDTH, frame.y - JOIN_HEIGHT / 2, JOIN_WIDTH, JOIN_HEIGHT)
    return BlockGeometry(frame, (upper, lower), sides, join)


def _lane_wires(frames: dict[Slot, Box]) -> list[Wire]:
    """The straight pieces of wires through layers that do not read them."""
    return [Wire(s.state, (f.left, f.y), (f.right, f.y), arrow=False) for s, f in frames.items() if s.lane]


def _gap_wires(cell: Cell, *, layers: Layers, frames: dict[Slot, Box], blocks: tuple[BlockGeometry, ...]) -> list[Wire]:
    """The curves between neighbouring columns."""
    wires = []
    for source, target in dict.fromkeys(layers.links):
        start = (frames[source].right, frames[source].y)
        if target.lane:
            ends = [(frames[target].left, frames[target].y)]
        elif target.state == OUTPUT:
            ends = [_output_port(source, layers=layers, frames=frames)]
        else:
            ends = _operation_ports(cell, blocks[target.state - NUM_INPUTS], read=source.state, state=target.state)
        wires += [Wire(source.state, start, end, arrow=not target.lane) for end in ends]
    return wires


def _operation_ports(cell: Cell, block: BlockGeometry, *, read: int, state: int) -> list[tuple[float, float]]:
    edges = cell.blocks[state - NUM_INPUTS].edges
    return [
        (box.left, box.y)
        for box, side in zip(block.operations, block.sides, strict=True)
        if edges[side].state == read and edges[side].operation != ZERO
    ]


def _output_port(source: Slot, *, layers: Layers, frames: dict[Slot, Box]) -> tuple[float, float]:
    output = next(frame for slot, frame in frames.items() if slot.state == OUTPUT)
    arriving = sorted((a for a, b in layers.links if b.state == OUTPUT), key=lambda slot: frames[slot].y)
    offset = arriving.index(source) - (len(arriving) - 1) / 2
    return output.left, output.y + offset * PORT_GAP
