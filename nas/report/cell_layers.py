"""The layers of a cell's drawing, and the order and height of what stands in each (Sugiyama 1981)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from search_spaces.graph import NUM_INPUTS, ZERO, Cell

OUTPUT = -1  # the state number that stands for the cell's output
ORDERING_SWEEPS = 8
LEVELLING_SWEEPS = 16
LANE_PULLS = (1.0, 100.0)  # two lanes pull on each other so many times harder: place everything, then straighten


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a layer: an input, a block or the output, or the lane of a state that passes through."""

    layer: int
    state: int
    lane: bool


Column = list[Slot]
Pulls = dict[Slot, list[tuple[Slot, float]]]


@dataclass(frozen=True, slots=True)
class Layers:
    """A cell in layers.

    Attributes:
        columns: the slots of each layer, in the order of their states.
        links: pairs of slots in neighbouring layers that a wire joins; twice where both sides of a block read one.
        layer_of: layer of each state.
    """

    columns: tuple[tuple[Slot, ...], ...]
    links: tuple[tuple[Slot, Slot], ...]
    layer_of: Mapping[int, int]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All slots, layer by layer."""
        return tuple(slot for column in self.columns for slot in column)

    def slot(self, state: int, layer: int) -> Slot:
        """Return where a state is found in a layer: its own slot, or its lane."""
        return Slot(layer, state, lane=layer != self.layer_of[state])


def layers_of(cell: Cell) -> Layers:
    """Put every block one layer after the last of what it reads, and give long wires their lanes."""
    layer_of = dict.fromkeys(range(NUM_INPUTS), 0)
    for i, block in enumerate(cell.blocks):
        read = [layer_of[edge.state] for edge in block.edges if edge.operation != ZERO]
        layer_of[NUM_INPUTS + i] = 1 + max(read, default=0)
    layer_of[OUTPUT] = 1 + max(layer_of.values())
    columns: list[list[Slot]] = [[] for _ in range(layer_of[OUTPUT] + 1)]
    for state, layer in layer_of.items():
        columns[layer].append(Slot(layer, state, lane=False))
    links: list[tuple[Slot, Slot]] = []
    for state, readers in _readers(cell).items():
        here = Slot(layer_of[state], state, lane=False)
        for layer in range(layer_of[state] + 1, max((layer_of[r] for r in readers), default=0) + 1):
            links += [(here, Slot(layer, r, lane=False)) for r in readers if layer_of[r] == layer]
            if any(layer_of[r] > layer for r in readers):
                lane = Slot(layer, state, lane=True)
                columns[layer].append(lane)
                links.append((here, lane))
                here = lane
    return Layers(tuple(map(tuple, columns)), tuple(links), layer_of)


def _readers(cell: Cell) -> dict[int, list[int]]:
    """For every state, the states that read it, the output last."""
    readers: dict[int, list[int]] = {state: [] for state in range(NUM_INPUTS + len(cell.blocks))}
    for i, block in enumerate(cell.blocks):
        for edge in block.edges:
            if edge.operation != ZERO:
                readers[edge.state].append(NUM_INPUTS + i)
    for state in cell.concat:
        readers[state].append(OUTPUT)
    return readers


def arrange(layers: Layers, *, heights: Mapping[Slot, float], gap: float) -> dict[Slot, float]:
    """Return the centre of every slot: few crossings, wires as level as they can be, nothing closer than `gap`."""
    pulls = _pulls(layers)
    starts = [[list(column)[::step] for column in layers.columns] for step in (1, -1)]
    orders = [_swept(start, layers=layers, pulls=pulls, forward=way) for start in starts for way in (True, False)]
    columns = min(
        (_swapped(order, layers=layers) for order in orders), key=lambda order: _crossings(layers, _ranks(order))
    )
    centres: dict[Slot, float] = {}
    for column in columns:
        centres |= _spread(column, wanted=dict.fromkeys(column, 0.0), heights=heights, gap=gap)
    for lane_pull in LANE_PULLS:
        pulls = _pulls(layers, lane_pull=lane_pull)
        for column in [*columns, *reversed(columns)] * LEVELLING_SWEEPS:
            wanted = {slot: _mean(slot, pulls=pulls, centres=centres) for slot in column}
            centres |= _spread(column, wanted=wanted, heights=heights, gap=gap)
    return centres


def _swept(columns: Sequence[Column], *, layers: Layers, pulls: Pulls, forward: bool) -> list[Column]:
    """Sort columns, there and back, by the mean rank of what their slots are joined to; return the best order met."""
    best, columns = list(columns), list(columns)
    for _ in range(ORDERING_SWEEPS):
        for i in range(len(columns)) if forward else reversed(range(len(columns))):
            ranks = _ranks(columns)
            beside = i - 1 if forward else i + 1
            wanted = {slot: _mean(slot, pulls=pulls, centres=ranks, only=beside) for slot in columns[i]}
            columns[i] = sorted(columns[i], key=wanted.__getitem__)
        best = min(best, list(columns), key=lambda order: _crossings(layers, _ranks(order)))
        forward = not forward
    return best


def _swapped(columns: Sequence[Column], *, layers: Layers) -> list[Column]:
    """Exchange neighbours as long as that takes crossings away."""
    columns = [list(column) for column in columns]
    fewest, improved = _crossings(layers, _ranks(columns)), True
    while improved:
        improved = False
        for column in columns:
            for i in range(len(column) - 1):
                column[i], column[i + 1] = column[i + 1], column[i]
                crossings = _crossings(layers, _ranks(columns))
                if crossings < fewest:
                    fewest, improved = crossings, True
                else:
                    column[i], column[i + 1] = column[i + 1], column[i]
    return columns


def _ranks(columns: Sequence[Column]) -> dict[Slot, float]:
    """Return every slot's place in its column, measured from the column's middle."""
    return {slot: i - (len(column) - 1) / 2 for column in columns for i, slot in enumerate(column)}


def _pulls(layers: Layers, *, lane_pull: float = 1.0) -> Pulls:
    """For every slot, what it is joined to and how strongly."""
    pulls: Pulls = {slot: [] for slot in layers.slots}
    for a, b in layers.links:
        weight = lane_pull if a.lane and b.lane else 1.0
        pulls[a].append((b, weight))
        pulls[b].append((a, weight))
    for column in layers.columns:  # what nothing joins stays with its column
        for slot in column:
            pulls[slot] = pulls[slot] or [(other, 1.0) for other in column if other != slot]
    return pulls


def _mean(
    slot: Slot,
    *,
    pulls: Pulls,
    centres: Mapping[Slot, float],
    only: int | None = None,
) -> float:
    """Weighted mean height of what a slot is joined to (in one layer); its own height if there is nothing."""
    joined = [(centres[other], weight) for other, weight in pulls[slot] if only in (None, other.layer)]
    if not joined:
        return centres[slot]
    return sum(y * weight for y, weight in joined) / sum(weight for _, weight in joined)


def _spread(
    column: Sequence[Slot], *, wanted: Mapping[Slot, float], heights: Mapping[Slot, float], gap: float
) -> dict[Slot, float]:
    """Return the heights closest to the wanted ones (least squares) that keep order and distance.

    Without the distances taken off, this is isotonic regression: neighbours in the wrong order are pooled.
    """
    offsets = [0.0]
    for above, below in pairwise(column):
        offsets.append(offsets[-1] + (heights[above] + heights[below]) / 2 + gap)
    pools: list[list[float]] = []
    for slot, offset in zip(column, offsets, strict=True):
        pools.append([wanted[slot] - offset])
        while len(pools) > 1 and _average(pools[-2]) > _average(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    levels = [_average(pool) for pool in pools for _ in pool]
    return {slot: level + offset for slot, level, offset in zip(column, levels, offsets, strict=True)}


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _crossings(layers: Layers, centres: Mapping[Slot, float]) -> int:
    """Count the pairs of wires that cross; those that leave the same slot fork and do not."""
    crossings = 0
    for i, (a, b) in enumerate(layers.links):
        for c, d in layers.links[:i]:
            if a.layer == c.layer and a != c and b != d:
                crossings += (centres[a] - centres[c]) * (centres[b] - centres[d]) < 0
    return crossings
