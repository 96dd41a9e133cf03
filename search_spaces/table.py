"""A space read off a table of measured networks: the decisions are its columns of option indices.

Only the space is here: which choices have a row, and which of them are the same network. What the rows
measured, and the file that they come from, are the business of whoever evaluates.
"""

from __future__ import annotations

import hashlib
from typing import Any, final

import numpy as np
import numpy.typing as npt
from torch import nn

from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
from search_spaces.errors import InvalidInputError
from search_spaces.space import SearchSpace

_NO_NETWORKS = "a table holds measurements, not networks: {} takes a space that can build them, such as 'nasnet'."


@final
class TableSpace(SearchSpace):
    """The points of a table, and those of its grid that have no row.

    A decision's options are 0 to the largest index in its column. The name holds a digest of the contents, so
    equal tables are equal spaces; `get_space` does not find them, since the name alone cannot bring them back.
    """

    def __init__(self, ops: npt.NDArray[Any], *, classes: npt.NDArray[Any] | None = None) -> None:
        """Index the rows by their choices.

        Args:
            ops: (rows, decisions) option indices, whole numbers >= 0, no two rows equal.
            classes: (rows,) whole numbers, equal for rows that are the same network; None when all differ.

        Raises:
            InvalidInputError: an array of another shape or kind, or two rows with the same choices.
        """
        _check(ops, classes)
        counts = ops.max(axis=0).astype(int) + 1
        super().__init__(
            f"table:{_digest(ops, classes)}",
            [Decision(f"decision{i}", tuple(range(count))) for i, count in enumerate(counts.tolist())],
        )
        choices = [tuple(row) for row in ops.tolist()]
        self._rows = {point: row for row, point in enumerate(choices)}
        if len(self._rows) < len(choices):
            second = next(row for row, point in enumerate(choices) if self._rows[point] != row)
            raise InvalidInputError(
                f"a table has one row per point, got rows {second} and {self._rows[choices[second]]} "
                f"both for the choices {choices[second]}: keep one of them."
            )
        self._classes = None if classes is None else [int(number) for number in classes]

    @property
    def num_rows(self) -> int:
        """Number of points that have a row; `size` counts the others too."""
        return len(self._rows)

    def find_row(self, architecture: Architecture) -> int | None:
        """Return the row of an architecture of this space, or None for a point of the grid without a row."""
        return self._rows.get(architecture.choices) if architecture.space == self.name else None

    def row(self, architecture: Architecture) -> int:
        """Return the row of an architecture.

        Raises:
            InvalidInputError: it is no point of this space, or one without a row.
        """
        self.validate(architecture)
        found = self.find_row(architecture)
        if found is None:
            raise InvalidInputError(
                f"the table has no row for the choices {architecture.choices}: "
                f"it holds {self.num_rows} of the {self.size} points of its grid."
            )
        return found

    def key(self, architecture: Architecture) -> str:
        """Return the row's class where the table has classes, else the choices."""
        row = self.find_row(architecture)
        if row is None or self._classes is None:
            return "-".join(map(str, architecture.choices))
        return f"class {self._classes[row]}"

    def build(self, blueprint: Blueprint) -> nn.Module:
        """Refuse: there is nothing to build."""
        raise InvalidInputError(_NO_NETWORKS.format("building"))

    def complexity(self, blueprint: Blueprint) -> Complexity:
        """Refuse: what a network costs is known only if a column of the table says so."""
        raise InvalidInputError(_NO_NETWORKS.format("counting"))


def _check(ops: npt.NDArray[Any], classes: npt.NDArray[Any] | None) -> None:
    if ops.ndim != 2 or 0 in ops.shape:
        raise InvalidInputError(f"a table's ops have the shape (rows, decisions), both >= 1, got {ops.shape}.")
    if ops.dtype.kind not in "iu" or ops.min() < 0:
        found = ops.dtype if ops.dtype.kind not in "iu" else f"{ops.min()}"
        raise InvalidInputError(f"a table's ops are option indices, whole numbers >= 0, got {found}.")
    # every option should have been measured somewhere, so there cannot be more of them than rows
    if ops.max() >= len(ops):
        raise InvalidInputError(
            f"a table's ops count options from 0, and each has a row: {len(ops)} rows allow no index {ops.max()}."
        )
    if classes is not None and (classes.shape != (len(ops),) or classes.dtype.kind not in "iu"):
        raise InvalidInputError(
            f"a table's classes are one whole number a row, ({len(ops)},), got {classes.dtype} {classes.shape}."
        )


def _digest(ops: npt.NDArray[Any], classes: npt.NDArray[Any] | None) -> str:
    """Return 12 hex digits that depend on the values alone, not on how wide they are stored."""
    digest = hashlib.sha256(repr(ops.shape).encode())
    for array in (ops, classes):
        digest.update(b"" if array is None else np.ascontiguousarray(array, dtype="<i8").tobytes())
    return digest.hexdigest()[:12]
