"""A table of measured networks, and how it is read from a NumPy archive.

A table that lacks things can still be searched: a point of its grid without a row is infeasible, and a row
whose metric is not a finite number is a failed evaluation. Only a metric without any number is refused.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nas.errors import InvalidInputError, UnknownNameError
from search_spaces.table import TableSpace

OPS = "ops"
CLASSES = "iso_id"
_DAMAGED = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Measured networks.

    Attributes:
        ops: (rows, decisions) option indices.
        columns: by name, (rows,) numbers; those that are not finite were not measured.
        classes: (rows,) whole numbers, equal for rows that are the same network; None when all differ.
        space: the space of its points.
    """

    ops: npt.NDArray[Any]
    columns: Mapping[str, npt.NDArray[np.float64]]
    classes: npt.NDArray[Any] | None = None
    space: TableSpace = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what no space can be made of, and columns of another length."""
        object.__setattr__(self, "space", TableSpace(self.ops, classes=self.classes))
        columns = {name: np.asarray(values, dtype=np.float64) for name, values in self.columns.items()}
        for name, values in columns.items():
            if values.shape != (len(self.ops),):
                raise InvalidInputError(
                    f"a table's columns hold one number a row, ({len(self.ops)},), got {values.shape} for {name!r}."
                )
        object.__setattr__(self, "columns", columns)

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column, (rows,), in which at least one number is finite.

        Raises:
            UnknownNameError: no such column; the message lists those that there are.
            InvalidInputError: none of its numbers is finite.
        """
        if name not in self.columns:
            raise UnknownNameError("column of the table", name, self.columns)
        values = self.columns[name]
        if not np.isfinite(values).any():
            raise InvalidInputError(f"column {name!r} holds no finite number in {len(values)} rows: use another one.")
        return values

    def num_unmeasured(self, name: str) -> int:
        """Return in how many rows a column holds no finite number."""
        return int(np.count_nonzero(~np.isfinite(self.column(name))))

    def with_columns(self, names: Iterable[str]) -> Self:
        """Return a table with these columns only; repeated names count once."""
        return type(self)(self.ops, {name: self.column(name) for name in names}, self.classes)


def load_table(path: str | Path) -> Table:
    """Read a table from an ``.npz`` archive.

    ``ops`` (rows, decisions) holds the option indices, ``iso_id`` (rows,), if there, says which rows are the same
    network; every other array of one number a row is a column. Other arrays, such as texts, are passed over.

    Raises:
        InvalidInputError: no such file, no archive, a damaged one, or arrays that no table can have.
    """
    arrays = _read_arrays(Path(path))
    if OPS not in arrays:
        raise InvalidInputError(
            f"a table needs an array {OPS!r} of option indices, (rows, decisions); "
            f"{path} holds: {', '.join(arrays) or 'nothing'}."
        )
    ops = arrays.pop(OPS)
    classes = arrays.pop(CLASSES, None)
    columns = {name: a for name, a in arrays.items() if a.dtype.kind in "iuf" and a.shape == ops.shape[:1]}
    try:
        return Table(ops, columns, classes)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} is no table: {error}") from None


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InvalidInputError(f"a table is a NumPy .npz archive; {path} holds one array: use numpy.savez.")
            with archive:
                return {name: archive[name] for name in archive.files}
    except InvalidInputError:
        raise
    except OSError as error:
        raise InvalidInputError(f"cannot read the table {path}: {error.strerror or error}.") from None
    except _DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInputError(f"a table is a NumPy .npz archive of plain arrays; {path} is not: {reason}") from None
