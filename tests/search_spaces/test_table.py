"""A space read off arrays: its points, its rows, what is the same network, and what no table can be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from search_spaces.architecture import Architecture, Blueprint
from search_spaces.errors import InvalidInputError
from search_spaces.table import TableSpace

OPS = np.array(list(itertools.product(range(4), repeat=3)), dtype=np.int8)


def test_grid_has_one_row_a_point() -> None:
    space = TableSpace(OPS)
    assert [decision.name for decision in space.decisions] == ["decision0", "decision1", "decision2"]
    assert (space.size, space.num_rows) == (64, 64)
    assert [space.row(space.architecture(choices)) for choices in OPS] == list(range(64))


def test_name_depends_on_contents_alone() -> None:
    name = TableSpace(OPS).name
    assert name.startswith("table:")
    assert TableSpace(OPS.astype(np.int64)).name == name
    assert TableSpace(OPS[::-1]).name != name
    assert TableSpace(OPS, classes=np.arange(64)).name != name


def test_key_is_the_choices_or_the_class() -> None:
    plain = TableSpace(OPS)
    assert len({plain.key(plain.architecture(choices)) for choices in OPS}) == 64
    paired = TableSpace(OPS, classes=np.arange(64) // 2)
    keys = [paired.key(paired.architecture(choices)) for choices in OPS]
    assert keys[0::2] == keys[1::2]
    assert len(set(keys)) == 32


def test_point_without_a_row_is_none_or_an_error() -> None:
    space = TableSpace(OPS[1:], classes=np.zeros(63, dtype=int))
    missing = space.architecture((0, 0, 0))
    assert space.find_row(missing) is None
    assert space.key(missing) != space.key(space.architecture((0, 0, 1)))
    with pytest.raises(InvalidInputError, match=r"no row for the choices .*63 of the 64"):
        space.row(missing)


def test_wrong_number_of_decisions_is_refused() -> None:
    space = TableSpace(OPS)
    with pytest.raises(InvalidInputError, match="has 3 choices, got 2"):
        space.row(Architecture(space.name, (0, 0)))
    assert space.find_row(Architecture("another", (0, 0, 0))) is None


def test_nothing_to_build_or_count() -> None:
    space = TableSpace(OPS)
    blueprint = Blueprint(space.architecture((0, 0, 0)), 8)
    for ask in (space.build, space.complexity):
        with pytest.raises(InvalidInputError, match="holds measurements, not networks"):
            ask(blueprint)


BAD = {
    "flat": (OPS[:, 0], None, r"shape \(rows, decisions\)"),
    "no rows": (OPS[:0], None, "both >= 1"),
    "fractions": (OPS / 2, None, "whole numbers >= 0, got float64"),
    "negative": (OPS.astype(int) - 1, None, "whole numbers >= 0, got -1"),
    "too large": (OPS.astype(int) * 1000, None, "64 rows allow no index 3000"),
    "double": (OPS[[0, 1, 2, 3, 1]], None, r"rows 1 and 4 both for the choices \(0, 0, 1\)"),
    "classes": (OPS, np.arange(63), "one whole number a row"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_table_is_refused(case: str) -> None:
    ops, classes, message = BAD[case]
    with pytest.raises(InvalidInputError, match=message):
        TableSpace(ops, classes=classes)
