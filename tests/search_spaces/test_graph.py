"""The canonical form: equal for equal cells, different for different ones, in both directions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from search_spaces.errors import InvalidInputError
from search_spaces.graph import NUM_INPUTS, Block, Cell, Edge, canonical, cell_key, unused_blocks
from search_spaces.operations import OPERATION_SETS


def all_cells(operations: list[str], *, blocks: int) -> list[Cell]:
    """Every cell of so many blocks, with unused blocks concatenated."""
    per_block = []
    for i in range(blocks):
        edges = [Edge(s, op) for s in range(NUM_INPUTS + i) for op in operations]
        per_block.append([Block(a, b, how) for a in edges for b in edges for how in ("add", "concat")])
    return [Cell.from_blocks(choice) for choice in itertools.product(*per_block)]


def isomorphic(a: Cell, b: Cell) -> bool:
    """Try every renumbering of `a`'s blocks and compare with `b` as sets of unordered blocks."""
    if len(a.blocks) != len(b.blocks):
        return False
    states = range(NUM_INPUTS, NUM_INPUTS + len(a.blocks))

    def described(cell: Cell, label: dict[int, int]) -> tuple[object, ...]:
        blocks = {
            label[NUM_INPUTS + i]: (sorted((label[e.state], e.operation) for e in block.edges), block.combination)
            for i, block in enumerate(cell.blocks)
        }
        return blocks, {label[state] for state in cell.concat}

    same = {s: s for s in range(NUM_INPUTS + len(b.blocks))}
    target = described(b, same)
    return any(
        described(a, {0: 0, 1: 1, **dict(zip(states, order, strict=True))}) == target
        for order in itertools.permutations(states)
    )


def assert_all_different(cells: list[Cell]) -> None:
    """No two cells are isomorphic; those of different make-up cannot be, the others are compared one by one."""
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        blocks = [
            (b.combination, *sorted((e.operation, min(e.state, NUM_INPUTS)) for e in b.edges)) for b in cell.blocks
        ]
        groups.setdefault((len(cell.concat), tuple(sorted(blocks))), []).append(cell)
    for group in groups.values():
        assert not any(isomorphic(a, b) for a, b in itertools.combinations(group, 2))


def relabelled(cell: Cell, rng: np.random.Generator) -> Cell:
    """An equal cell: blocks in another order that respects who reads whom, sides exchanged at random."""
    label = {0: 0, 1: 1}
    waiting = list(range(len(cell.blocks)))
    blocks: list[Block] = []
    while waiting:
        ready = [i for i in waiting if all(e.state in label for e in cell.blocks[i].edges)]
        i = ready[int(rng.integers(len(ready)))]
        waiting.remove(i)
        sides = [Edge(label[e.state], e.operation) for e in cell.blocks[i].edges]
        if rng.random() < 0.5:
            sides.reverse()
        label[NUM_INPUTS + i] = NUM_INPUTS + len(blocks)
        blocks.append(Block(sides[0], sides[1], cell.blocks[i].combination))
    return Cell(tuple(blocks), tuple(sorted(label[state] for state in cell.concat)))


def random_cell(rng: np.random.Generator, *, blocks: int, operations: tuple[str, ...]) -> Cell:
    def edge(i: int) -> Edge:
        return Edge(int(rng.integers(NUM_INPUTS + i)), operations[int(rng.integers(len(operations)))])

    made = [Block(edge(i), edge(i), "add" if rng.random() < 0.5 else "concat") for i in range(blocks)]
    return Cell.from_blocks(made, extra=[s for s in range(NUM_INPUTS + blocks) if rng.random() < 0.1])


def test_keys_partition_a_small_space_exactly_as_isomorphism_does() -> None:
    """All 9,216 cells of two blocks and two operations: equal keys exactly for isomorphic cells."""
    cells = all_cells(["a", "b"], blocks=2)
    classes: dict[str, list[Cell]] = {}
    for cell in cells:
        classes.setdefault(cell_key(cell), []).append(cell)
    representatives = [members[0] for members in classes.values()]
    assert len(cells) == 32 * 72
    for members in classes.values():
        assert all(isomorphic(members[0], other) for other in members[1:])
    by_shape: dict[object, list[Cell]] = {}
    for cell in representatives:  # cells of different make-up cannot be isomorphic; compare the rest pairwise
        shape = (
            len(cell.concat),
            tuple(sorted((b.combination, *sorted(e.operation for e in b.edges)) for b in cell.blocks)),
        )
        by_shape.setdefault(shape, []).append(cell)
    for group in by_shape.values():
        assert not any(isomorphic(a, b) for a, b in itertools.combinations(group, 2))


def test_keys_tell_three_identical_blocks_apart_by_their_use() -> None:
    """All cells of three blocks over one operation: symmetric blocks are the hard case for a canonical form."""
    cells = all_cells(["a"], blocks=3)
    representatives: list[Cell] = []
    keys: set[str] = set()
    for cell in cells:
        if cell_key(cell) not in keys:
            keys.add(cell_key(cell))
            representatives.append(cell)
    assert_all_different(representatives)
    for cell in cells[:: len(cells) // 100]:
        assert sum(isomorphic(cell, other) for other in representatives) == 1


@pytest.mark.parametrize("name", ["nasnet", "enas"])
def test_key_survives_thousands_of_relabellings(name: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(1500):
        cell = random_cell(rng, blocks=5, operations=OPERATION_SETS[name])
        assert cell_key(cell) == cell_key(relabelled(cell, rng))
        assert canonical(cell) == canonical(relabelled(cell, rng))


@pytest.mark.parametrize("operations", [("a", "b"), OPERATION_SETS["nasnet"]])
def test_key_changes_with_any_single_change(operations: tuple[str, ...]) -> None:
    """One edge of a full-size cell changed: the key differs exactly when brute force says the cells differ.

    Two operations make many changes that change nothing; thirteen are the real thing.
    """
    rng = np.random.default_rng(1)
    num_compared = num_equal = 0
    for _ in range(1500):
        cell = random_cell(rng, blocks=5, operations=operations)
        i, side = int(rng.integers(5)), int(rng.integers(2))
        edges = list(cell.blocks[i].edges)
        edges[side] = Edge(int(rng.integers(NUM_INPUTS + i)), operations[int(rng.integers(len(operations)))])
        blocks = list(cell.blocks)
        blocks[i] = Block(edges[0], edges[1], cell.blocks[i].combination)
        other = relabelled(Cell(tuple(blocks), cell.concat), rng)
        if _all_live(cell) and _all_live(other):
            num_compared += 1
            num_equal += isomorphic(cell, other)
            assert (cell_key(cell) == cell_key(other)) == isomorphic(cell, other)
    assert num_compared > 700
    assert 0 < num_equal < num_compared


def _all_live(cell: Cell) -> bool:
    return len(canonical(cell).blocks) == len(cell.blocks)


def test_shared_block_is_not_two_equal_blocks() -> None:
    """Reading one block twice and reading two equal blocks once each are different networks."""
    a, out = Edge(0, "a"), "o"
    shared = Cell((Block(a, a), Block(Edge(2, out), Edge(2, out))), (3,))
    doubled = Cell((Block(a, a), Block(a, a), Block(Edge(2, out), Edge(3, out))), (4,))
    assert cell_key(shared) != cell_key(doubled)


def test_equal_blocks_with_different_readers_need_the_whole_search() -> None:
    """Blocks 2 and 3 are alike but for what reads them; both numberings are the same cell."""
    a = Edge(0, "a")
    first = Cell((Block(a, a), Block(a, a), Block(Edge(2, "x"), Edge(2, "x")), Block(Edge(3, "y"), Edge(4, "y"))), (5,))
    second = Cell(
        (Block(a, a), Block(a, a), Block(Edge(3, "x"), Edge(3, "x")), Block(Edge(2, "y"), Edge(4, "y"))), (5,)
    )
    assert cell_key(first) == cell_key(second)


def test_dead_blocks_are_dropped() -> None:
    live = Block(Edge(0, "a"), Edge(1, "b"))
    dead = Block(Edge(1, "c"), Edge(1, "c"))
    assert cell_key(Cell((dead, live), (3,))) == cell_key(Cell((live,), (2,)))


def test_zero_reads_from_nowhere() -> None:
    """A zero's source does not matter, and does not keep the block it names alive."""
    a = Block(Edge(0, "a"), Edge(0, "a"))
    assert cell_key(Cell((a, Block(Edge(2, "zero"), Edge(0, "b"))), (3,))) == cell_key(
        Cell((Block(Edge(1, "zero"), Edge(0, "b")),), (2,))
    )


def test_canonical_is_idempotent() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        form = canonical(random_cell(rng, blocks=6, operations=("a", "b")))
        assert canonical(form) == form


def test_cell_goes_to_json_and_back() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        cell = random_cell(rng, blocks=5, operations=OPERATION_SETS["nasnet"])
        assert Cell.from_json(cell.to_json()) == cell


def test_unused_blocks_are_those_nobody_reads() -> None:
    blocks = (Block(Edge(0, "a"), Edge(1, "a")), Block(Edge(0, "a"), Edge(0, "a")), Block(Edge(2, "a"), Edge(1, "a")))
    assert unused_blocks(blocks) == (3, 4)


@pytest.mark.parametrize(
    ("blocks", "concat", "message"),
    [
        ((), (2,), "at least one block"),
        ((Block(Edge(2, "a"), Edge(0, "a")),), (2,), "may read states 0 to 1"),
        ((Block(Edge(0, "a"), Edge(0, "a")),), (), "different states"),
        ((Block(Edge(0, "a"), Edge(0, "a")),), (2, 2), "different states"),
        ((Block(Edge(0, "a"), Edge(0, "a")),), (5,), "states 0 to 2"),
        ((Block(Edge(0, "a"), Edge(0, "a"), "times"),), (2,), "unknown combination 'times'"),  # type: ignore[arg-type]
    ],
)
def test_impossible_cells_are_refused(blocks: tuple[Block, ...], concat: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Cell(blocks, concat)
