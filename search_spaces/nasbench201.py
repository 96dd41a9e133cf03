"""The search space of NAS-Bench-201 (Dong & Yang 2020, https://arxiv.org/abs/2001.00326).

A cell of four nodes, one of five operations on each of its six edges: 15,625 cells, all of which the benchmark's
authors trained. The space is exact, cell for cell and parameter for parameter, so that their table applies to
it; the table itself is not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.nasbench201_network import (
    EDGES,
    NONE,
    NUM_NODES,
    OPERATIONS,
    SKIP,
    NasBench201Network,
    NetworkSizes,
    Operations,
    network_complexity,
)
from search_spaces.space import SearchSpace

NAME = "nasbench201"
# What first-order and second-order DARTS end in (section 5), and the cell with the highest mean accuracy on
# CIFAR-10, validation and test alike, in the benchmark's notation.
PUBLISHED_CELLS = {
    "darts": "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
    "best": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
}
_NOTHING = "#"  # the benchmark's name for zeros


class NasBench201Space(SearchSpace):
    """One operation for each edge of a cell."""

    def __init__(self) -> None:
        """Lay out the six decisions, named ``from>to``."""
        super().__init__(NAME, [Decision(f"{source}>{target}", OPERATIONS) for source, target in EDGES])

    def operations(self, architecture: Architecture) -> Operations:
        """Return the operation of each edge, in the order of `EDGES`."""
        self.validate(architecture)
        return tuple([OPERATIONS[choice] for choice in architecture.choices])

    def key(self, architecture: Architecture) -> str:
        """Return the benchmark's canonical text, which tells 6,466 classes of cells apart.

        Cells of a class are one cell on paper, not always weight for weight: the text does not show edges that
        reach no output, nor whether an equal part is computed once or twice with weights of its own. 578 classes
        hold cells with different numbers of parameters, as the benchmark trained them; `build` and `complexity`
        follow the cell as it is written.
        """
        return _cell_key(self.operations(architecture))

    def build(self, blueprint: Blueprint) -> NasBench201Network:
        """Return the benchmark's network; depth is N (default 5), width is C (default 16).

        Where node 1 is the input itself, the edges from both are put into one order, so that cells which differ
        in nothing else get the same weights.
        """
        return NasBench201Network(_ordered(self._blueprint_operations(blueprint)), _sizes(blueprint))

    def complexity(self, blueprint: Blueprint) -> Complexity:
        """Return parameters and MACs from shapes alone; see `network_complexity`."""
        return network_complexity(self._blueprint_operations(blueprint), _sizes(blueprint))

    def _blueprint_operations(self, blueprint: Blueprint) -> Operations:
        if not isinstance(blueprint.network, Architecture):
            raise InvalidInputError(
                f"space {self.name!r} builds its architectures, got the name {blueprint.network!r}."
            )
        return self.operations(blueprint.network)

    def to_string(self, architecture: Architecture) -> str:
        """Return the benchmark's notation: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``, nodes 1 to 3 in turn."""
        operations = self.operations(architecture)
        return "+".join(
            "".join(f"|{operations[i]}~{source}" for i, source in _incoming(node)) + "|" for node in range(1, NUM_NODES)
        )

    def from_string(self, text: str) -> Architecture:
        """Return the architecture of a text in the benchmark's notation; the inverse of `to_string`.

        Raises:
            InvalidInputError: the text is not in that notation.
            UnknownNameError: an operation is not among the five.
        """
        operations = re.findall(r"\|(\w+)~", text)
        for operation in operations:
            if operation not in OPERATIONS:
                raise UnknownNameError(f"operation of {NAME!r}", operation, OPERATIONS)
        if len(operations) == len(EDGES):
            architecture = self.architecture([OPERATIONS.index(operation) for operation in operations])
            if self.to_string(architecture) == text:
                return architecture
        raise InvalidInputError(
            f"a NAS-Bench-201 cell is written |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, got {text!r}: write it so."
        )


@lru_cache(maxsize=15_625)  # every cell there is
def _cell_key(operations: Operations) -> str:
    """Write the last node as a sum of what is done to the cell's input, node 0.

    Only the benchmark's own rule gives its 6,466 classes: zeros stay in the sum. Dropping them, which would be
    as right, gives 5,390.
    """
    nodes = ["0"]
    for node in range(1, NUM_NODES):
        nodes.append("+".join(sorted(_term(operations[i], nodes[source]) for i, source in _incoming(node))))
    return nodes[-1]


def _term(operation: str, source: str) -> str:
    if operation == NONE or source == _NOTHING:
        return _NOTHING
    return source if operation == SKIP else f"({source})@{operation}"


def _incoming(node: int) -> Iterator[tuple[int, int]]:
    """Yield (index in `EDGES`, source node) of the edges into a node."""
    return ((i, source) for i, (source, target) in enumerate(EDGES) if target == node)


def _ordered(operations: Operations) -> Operations:
    first, *rest, last = operations
    if first != SKIP:
        return operations
    return (first, *sorted(rest[:2]), *sorted(rest[2:]), last)


def _sizes(blueprint: Blueprint) -> NetworkSizes:
    return NetworkSizes.from_blueprint(blueprint)


def nasbench201_space(specification: str) -> NasBench201Space:
    """Return the space; it has no settings.

    Raises:
        InvalidInputError: the specification is not just ``nasbench201``.
    """
    if specification != NAME:
        raise InvalidInputError(f"space {NAME!r} has no settings, got {specification!r}: name it alone.")
    return NasBench201Space()
