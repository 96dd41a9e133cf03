"""Cells as graphs, and the canonical form that makes equal cells equal.

A cell has two input states (0: output of the cell before the previous one, 1: output of the previous cell)
and one state per block. A block applies an operation to each of two earlier states and combines the results.
The cell's output is the concatenation of the states in `concat`.

Two cells are the same network when one becomes the other by renumbering blocks and exchanging the two sides
of blocks: sums commute exactly, and the order of a concatenation is absorbed by the convolution that follows
every one of them. Blocks that do not reach the output do nothing. `canonical` removes all this freedom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Self, get_args

from search_spaces.architecture import FORMAT_VERSION, expect_keys
from search_spaces.errors import InvalidInputError, UnknownNameError

Combination = Literal["add", "concat"]
COMBINATIONS: tuple[str, ...] = get_args(Combination)
NUM_INPUTS = 2
# A search asks for a network's key several times, and a mutation leaves one of its two cells as it was.
CACHED_CELLS = 8192
ZERO = "zero"  # the operation that passes nothing on: where it reads from does not matter


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """One side of a block: which state it reads, and the operation applied to it."""

    state: int
    operation: str


@dataclass(frozen=True, slots=True)
class Block:
    """Two edges and how their results are combined."""

    left: Edge
    right: Edge
    combination: Combination = "add"

    @property
    def edges(self) -> tuple[Edge, Edge]:
        """Both sides."""
        return self.left, self.right


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its blocks, and the states whose concatenation is its output, in ascending order."""

    blocks: tuple[Block, ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a cell that reads states which do not exist yet, or has no output."""
        if not self.blocks:
            raise InvalidInputError("a cell needs at least one block, got none.")
        for i, block in enumerate(self.blocks):
            if block.combination not in COMBINATIONS:
                raise UnknownNameError("combination", str(block.combination), COMBINATIONS)
            for edge in block.edges:
                if not 0 <= edge.state < NUM_INPUTS + i:
                    raise InvalidInputError(
                        f"block {i} may read states 0 to {NUM_INPUTS + i - 1}, got state {edge.state}: "
                        "blocks read inputs and earlier blocks only."
                    )
        last = NUM_INPUTS + len(self.blocks) - 1
        if not self.concat or list(self.concat) != sorted(set(self.concat)):
            raise InvalidInputError(f"concat must list different states in ascending order, got {self.concat}.")
        if self.concat[0] < 0 or self.concat[-1] > last:
            raise InvalidInputError(f"concat may name states 0 to {last}, got {self.concat}.")

    @classmethod
    def from_blocks(cls, blocks: Sequence[Block], *, extra: Sequence[int] = ()) -> Self:
        """Return the cell whose output is every unused block, and the states in `extra` besides."""
        return cls(tuple(blocks), tuple(sorted({*unused_blocks(blocks), *extra})))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; a block is [state, operation, state, operation, combination]."""
        blocks = [
            [b.left.state, b.left.operation, b.right.state, b.right.operation, b.combination] for b in self.blocks
        ]
        return {"format": FORMAT_VERSION, "blocks": blocks, "concat": list(self.concat)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        expect_keys("cell", data, {"format", "blocks", "concat"})
        blocks = tuple(Block(Edge(a, f), Edge(b, g), how) for a, f, b, g, how in data["blocks"])
        return cls(blocks, tuple(data["concat"]))


def unused_blocks(blocks: Sequence[Block]) -> tuple[int, ...]:
    """Return the states of blocks that no block reads, ascending; there is always one, the last."""
    read = {edge.state for block in blocks for edge in block.edges if edge.operation != ZERO}
    return tuple(state for state in range(NUM_INPUTS, NUM_INPUTS + len(blocks)) if state not in read)


@lru_cache(maxsize=CACHED_CELLS)
def canonical(cell: Cell) -> Cell:
    """Return the one cell that stands for all cells equal to this one.

    Blocks are placed one at a time, always one whose description in terms of the states placed before is
    smallest. Where several blocks have the same description but are used differently, every order is tried and
    the smallest whole description wins; so two cells get the same form exactly when they are isomorphic.
    """
    live = _live_blocks(cell)
    uses = _uses(cell, live)
    order = min(_orders(cell, uses, (), frozenset(live)), key=lambda order: _descriptions(cell, order))
    labels = _labels(order)
    blocks = []
    for i in order:
        block = cell.blocks[i]
        left, right = sorted(_relabel(edge, labels) for edge in block.edges)
        blocks.append(Block(left, right, block.combination))
    if not blocks:  # nothing but inputs reaches the output; a cell keeps one block, which is dead
        blocks = [Block(Edge(0, ZERO), Edge(0, ZERO))]
    return Cell(tuple(blocks), tuple(sorted(labels[state] for state in cell.concat)))


@lru_cache(maxsize=CACHED_CELLS)
def cell_key(cell: Cell) -> str:
    """Return a text that is equal for equal cells only: the canonical form, written out."""
    form = canonical(cell)
    blocks = ",".join(
        f"{'+' if b.combination == 'add' else '|'}({b.left.state}{b.left.operation} {b.right.state}{b.right.operation})"
        for b in form.blocks
    )
    return f"{blocks}>{'.'.join(map(str, form.concat))}"


def _live_blocks(cell: Cell) -> list[int]:
    """Indices of the blocks that reach the output, ascending."""
    wanted = {state - NUM_INPUTS for state in cell.concat if state >= NUM_INPUTS}
    for i in range(len(cell.blocks) - 1, -1, -1):
        if i in wanted:
            wanted.update(e.state - NUM_INPUTS for e in cell.blocks[i].edges if e.operation != ZERO and e.state > 1)
    return sorted(wanted)


def _uses(cell: Cell, live: list[int]) -> dict[int, tuple[object, ...]]:
    """For each live block, who reads it through what, and whether it is an output."""
    uses: dict[int, list[tuple[int, str]]] = {i: [] for i in live}
    for i in live:
        for edge in cell.blocks[i].edges:
            if edge.operation != ZERO and edge.state >= NUM_INPUTS:
                uses[edge.state - NUM_INPUTS].append((i, edge.operation))
    return {i: (i + NUM_INPUTS in cell.concat, *sorted(uses[i])) for i in live}


def _orders(
    cell: Cell, uses: dict[int, tuple[object, ...]], placed: tuple[int, ...], waiting: frozenset[int]
) -> Iterator[tuple[int, ...]]:
    """Yield the orders worth comparing: greedy by description, branching where equal blocks are used differently."""
    if not waiting:
        yield placed
        return
    labels = _labels(placed)
    smallest: tuple[object, ...] | None = None
    candidates: list[int] = []
    for i in sorted(waiting):
        description = _description(cell, i, labels)
        if description is None:
            continue
        if smallest is None or description < smallest:
            smallest, candidates = description, [i]
        elif description == smallest:
            candidates.append(i)
    # Two candidates used in the same way can be exchanged without changing the cell: one of them is enough.
    for i in {uses[i]: i for i in candidates}.values():
        yield from _orders(cell, uses, (*placed, i), waiting - {i})


def _labels(order: tuple[int, ...]) -> dict[int, int]:
    labels = {0: 0, 1: 1}
    for position, i in enumerate(order):
        labels[i + NUM_INPUTS] = position + NUM_INPUTS
    return labels


def _relabel(edge: Edge, labels: dict[int, int]) -> Edge:
    return Edge(0, ZERO) if edge.operation == ZERO else Edge(labels[edge.state], edge.operation)


def _description(cell: Cell, i: int, labels: dict[int, int]) -> tuple[Any, ...] | None:
    """Describe block `i` by the labels of what it reads; None while some of that is not placed yet."""
    block = cell.blocks[i]
    sides = []
    for edge in block.edges:
        if edge.operation == ZERO:
            sides.append((0, ZERO))
        elif edge.state in labels:
            sides.append((labels[edge.state], edge.operation))
        else:
            return None
    sides.sort()
    return (*sides[0], *sides[1], block.combination, i + NUM_INPUTS in cell.concat)


def _descriptions(cell: Cell, order: tuple[int, ...]) -> tuple[Any, ...]:
    labels = _labels(order)
    return tuple(_description(cell, i, labels) for i in order)
