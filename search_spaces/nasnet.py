"""The NASNet search space (Zoph 2018, section 3 and appendix A) and its relatives.

A normal and a reduction cell of B blocks; per block two earlier states, two operations, and how their results
are combined; states that no block reads are concatenated. AmoebaNet, PNASNet, ENAS and DARTS searched the same
kind of space with other operations, combinations and skeletons: they are settings of this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
from search_spaces.cell_layout import CellPair, NetworkLayout, layout_network
from search_spaces.cell_network import CellNetwork
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.graph import COMBINATIONS, NUM_INPUTS, Block, Cell, Edge, canonical, cell_key, unused_blocks
from search_spaces.operations import OPERATION_SETS, operation_set
from search_spaces.skeleton import get_skeleton
from search_spaces.space import SearchSpace

Concat = Literal["unused", "blocks", "extra"]


@dataclass(frozen=True, slots=True)
class CellSpaceOptions:
    """What distinguishes one cell space from another.

    Attributes:
        blocks: B, blocks a cell.
        operations: name of a set in `OPERATION_SETS`, or operations joined by ``+``.
        combinations: ``add``, ``concat``, or ``add+concat``.
        concat: which states make up a cell's output: ``unused`` blocks (Zoph 2018), all ``blocks`` (DARTS), or
            unused blocks and any ``extra`` states, one yes-or-no decision each, as released NASNet and AmoebaNet
            cells need.
        skeleton: how cells are stacked, a key of `SKELETONS`.
        shared: whether the reduction cell is the normal cell with stride 2 (PNASNet).
    """

    blocks: int = 5
    operations: str = "nasnet"
    combinations: str = "add+concat"
    concat: Concat = "unused"
    skeleton: str = "nasnet"
    shared: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that make no space."""
        if not 1 <= self.blocks <= 12:
            raise InvalidInputError(f"a cell has 1 to 12 blocks, got blocks={self.blocks}.")
        if self.concat not in get_args(Concat):
            raise UnknownNameError("concat", str(self.concat), get_args(Concat))
        for name in self.combinations.split("+"):
            if name not in COMBINATIONS:
                raise UnknownNameError("combination", name, [*COMBINATIONS, "add+concat"])
        operation_set(self.operations)
        get_skeleton(self.skeleton)


class CellSpace(SearchSpace):
    """Architectures made of a normal and a reduction cell."""

    def __init__(self, name: str, options: CellSpaceOptions | None = None) -> None:
        """Lay out the decisions.

        Args:
            name: the specification that `search_spaces.get_space` turns into this space.
            options: what distinguishes it; by default the space of the NASNet paper.
        """
        self.cell_options = options or CellSpaceOptions()
        self.operations = operation_set(self.cell_options.operations)
        self.combinations = tuple(dict.fromkeys(self.cell_options.combinations.split("+")))
        self.skeleton = get_skeleton(self.cell_options.skeleton)
        kinds = ("normal",) if self.cell_options.shared else ("normal", "reduction")
        super().__init__(name, [decision for kind in kinds for decision in self._cell_decisions(kind)])

    def _cell_decisions(self, kind: str) -> Iterator[Decision]:
        """Yield one cell's decisions in the order of the paper's five steps."""
        for i in range(self.cell_options.blocks):
            states = tuple(range(NUM_INPUTS + i))
            yield Decision(f"{kind}_block{i}_left_state", states)
            yield Decision(f"{kind}_block{i}_right_state", states)
            yield Decision(f"{kind}_block{i}_left_operation", self.operations)
            yield Decision(f"{kind}_block{i}_right_operation", self.operations)
            if len(self.combinations) > 1:
                yield Decision(f"{kind}_block{i}_combination", self.combinations)
        if self.cell_options.concat == "extra":
            for state in range(NUM_INPUTS + self.cell_options.blocks - 1):  # the last block always is in the output
                yield Decision(f"{kind}_concat_state{state}", (False, True))

    def cells(self, architecture: Architecture) -> dict[str, Cell]:
        """Return the architecture's ``normal`` and ``reduction`` cell."""
        self.validate(architecture)
        choices = architecture.choices
        if self.cell_options.shared:
            cell = self._cell(choices)
            return {"normal": cell, "reduction": cell}
        half = len(choices) // 2
        return {"normal": self._cell(choices[:half]), "reduction": self._cell(choices[half:])}

    def _cell(self, choices: tuple[int, ...]) -> Cell:
        step = 5 if len(self.combinations) > 1 else 4
        blocks = []
        for start in range(0, step * self.cell_options.blocks, step):
            left, right, f, g, *how = choices[start : start + step]
            combination = self.combinations[how[0] if how else 0]
            edges = Edge(left, self.operations[f]), Edge(right, self.operations[g])
            blocks.append(Block(*edges, "add" if combination == "add" else "concat"))
        if self.cell_options.concat == "blocks":
            return Cell(tuple(blocks), tuple(range(NUM_INPUTS, NUM_INPUTS + len(blocks))))
        flags = choices[step * self.cell_options.blocks :]
        return Cell.from_blocks(blocks, extra=[state for state, flag in enumerate(flags) if flag])

    def from_cells(self, normal: Cell, reduction: Cell) -> Architecture:
        """Return the architecture with these cells; the inverse of `cells`.

        Raises:
            InvalidInputError: this space cannot express a cell, and why.
        """
        if self.cell_options.shared:
            if normal != reduction:
                raise InvalidInputError(f"space {self.name!r} uses one cell for both roles, got two different ones.")
            return self.architecture(self._choices(normal))
        return self.architecture([*self._choices(normal), *self._choices(reduction)])

    def _choices(self, cell: Cell) -> list[int]:
        if len(cell.blocks) != self.cell_options.blocks:
            raise InvalidInputError(
                f"cells of {self.name!r} have {self.cell_options.blocks} blocks, got {len(cell.blocks)}."
            )
        choices: list[int] = []
        for block in cell.blocks:
            for name, known in (
                *((e.operation, self.operations) for e in block.edges),
                (block.combination, self.combinations),
            ):
                if name not in known:
                    raise UnknownNameError(f"operation or combination of {self.name!r}", name, known)
            choices += [edge.state for edge in block.edges]
            choices += [self.operations.index(edge.operation) for edge in block.edges]
            if len(self.combinations) > 1:
                choices.append(self.combinations.index(block.combination))
        return choices + self._concat_choices(cell)

    def _concat_choices(self, cell: Cell) -> list[int]:
        unused = set(unused_blocks(cell.blocks))
        states = range(NUM_INPUTS + len(cell.blocks))
        expected = {"unused": unused, "blocks": set(states[NUM_INPUTS:]), "extra": unused | set(cell.concat)}
        if set(cell.concat) != expected[self.cell_options.concat]:
            raise InvalidInputError(
                f"cells of {self.name!r} concatenate {sorted(expected[self.cell_options.concat])} here, "
                f"got {list(cell.concat)}: a space with concat=extra can express more."
            )
        if self.cell_options.concat != "extra":
            return []
        return [int(state in cell.concat and state not in unused) for state in states[:-1]]

    def key(self, architecture: Architecture) -> str:
        """Return the two cells' canonical forms; see `search_spaces.graph.canonical`."""
        cells = self.cells(architecture)
        if self.cell_options.shared:
            return cell_key(cells["normal"])
        return f"{cell_key(cells['normal'])}/{cell_key(cells['reduction'])}"

    def layout(self, blueprint: Blueprint) -> NetworkLayout:
        """Return the network with every shape worked out.

        Raises:
            InvalidInputError: another space's architecture, or sizes that a cell network cannot take.
        """
        if not isinstance(blueprint.network, Architecture):
            raise InvalidInputError(
                f"space {self.name!r} builds its architectures, got the name {blueprint.network!r}."
            )
        cells = self.cells(blueprint.network)
        pair = CellPair(canonical(cells["normal"]), canonical(cells["reduction"]))
        return layout_network(pair, self.skeleton, blueprint)

    def build(self, blueprint: Blueprint) -> CellNetwork:
        """Return the network, built from the canonical cells: equal keys give equal networks, weight for weight."""
        return CellNetwork(self.layout(blueprint))

    def complexity(self, blueprint: Blueprint) -> Complexity:
        """Return parameters and MACs from shapes alone; the auxiliary head is not counted."""
        return self.layout(blueprint).complexity


# The spaces of the papers, by name; options given after a colon change them.
NAMED_OPTIONS: dict[str, CellSpaceOptions] = {
    "nasnet": CellSpaceOptions(),
    "amoebanet": CellSpaceOptions(operations="amoebanet", combinations="add"),
    "pnasnet": CellSpaceOptions(operations="pnasnet", combinations="add", skeleton="pnasnet", shared=True),
    "enas": CellSpaceOptions(operations="enas", combinations="add"),
    "darts": CellSpaceOptions(blocks=4, operations="darts", combinations="add", concat="blocks", skeleton="darts"),
}


@lru_cache(maxsize=64)
def cell_space(specification: str) -> CellSpace:
    """Return the cell space of a specification: a name, then optional settings.

    ``nasnet``; ``nasnet:blocks=3``; ``darts:operations=sep_conv_3x3+identity,concat=unused``.

    Raises:
        UnknownNameError: unknown name or setting.
        InvalidInputError: a setting that cannot be read, or makes no space.
    """
    name, _, rest = specification.partition(":")
    if name not in NAMED_OPTIONS:
        raise UnknownNameError("space", name, NAMED_OPTIONS)
    fields = {field: getattr(NAMED_OPTIONS[name], field) for field in CellSpaceOptions.__slots__}
    for setting in filter(None, rest.split(",")):
        field, equals, text = setting.partition("=")
        if field not in fields:
            raise UnknownNameError("setting of a cell space", field, fields)
        if not equals or not text:
            raise InvalidInputError(f"settings of a space are written name=value, got {setting!r}.")
        fields[field] = _parse(field, text, like=fields[field])
    return CellSpace(specification, CellSpaceOptions(**fields))


def _parse(field: str, text: str, *, like: object) -> object:
    if isinstance(like, bool):
        if text not in ("true", "false"):
            raise InvalidInputError(f"setting {field} is true or false, got {text!r}.")
        return text == "true"
    if isinstance(like, int):
        if not text.isdecimal():
            raise InvalidInputError(f"setting {field} is a whole number, got {text!r}.")
        return int(text)
    return text


__all__ = ["NAMED_OPTIONS", "OPERATION_SETS", "CellSpace", "CellSpaceOptions", "cell_space"]
