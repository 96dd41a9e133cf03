"""A table's file: what is read, and one line for what cannot be."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.errors import InvalidInputError, UnknownNameError
from nas.evaluators.table import load_table

OPS = np.array(list(itertools.product(range(4), repeat=3)), dtype=np.int8)
SCORES = np.linspace(0, 1, 64).astype(np.float32)


def stored(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_reads_ops_classes_and_columns(tmp_path: Path) -> None:
    path = stored(
        tmp_path / "t.npz",
        ops=OPS,
        iso_id=np.arange(64),
        score=SCORES,
        count=np.arange(64),
        names=np.array(["x"] * 64),
        seeds=np.zeros((64, 3)),
    )
    table = load_table(path)
    assert list(table.columns) == ["score", "count"]
    np.testing.assert_array_equal(table.column("score"), SCORES.astype(float))
    assert table.classes is not None
    assert table.space.num_rows == 64


def test_unknown_column_lists_the_columns(tmp_path: Path) -> None:
    table = load_table(stored(tmp_path / "t.npz", ops=OPS, score=SCORES))
    with pytest.raises(UnknownNameError, match=r"'scor'.*Known: score"):
        table.column("scor")


def test_numbers_that_lack_are_counted_and_a_column_without_any_is_refused(tmp_path: Path) -> None:
    some = np.where(np.arange(64) < 5, np.nan, SCORES)
    table = load_table(stored(tmp_path / "t.npz", ops=OPS, some=some, none=np.full(64, np.nan)))
    assert table.num_unmeasured("some") == 5
    with pytest.raises(InvalidInputError, match="'none' holds no finite number in 64 rows"):
        table.column("none")


def test_fewer_columns_leave_the_same_space(tmp_path: Path) -> None:
    table = load_table(stored(tmp_path / "t.npz", ops=OPS, a=SCORES, b=SCORES, iso_id=np.arange(64)))
    smaller = table.with_columns(("b", "b"))
    assert list(smaller.columns) == ["b"]
    assert smaller.space.name == table.space.name


def archive(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def single_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, OPS)
    return buffer.getvalue()


WHOLE = archive(ops=OPS, score=SCORES)
MISTAKES = {
    "missing": (None, "No such file"),
    "empty": (b"", "is not"),
    "text": (b"row,ops\n0,1\n", "is not"),
    "torn": (WHOLE[: len(WHOLE) // 2], "is not"),
    "changed": (WHOLE[:400] + bytes(50) + WHOLE[450:], "is not"),
    "one array": (single_array(), "holds one array"),
    "objects": (archive(ops=OPS, things=np.array([{}, []], dtype=object)), "is not"),
    "no ops": (archive(score=SCORES), "holds: score"),
    "flat ops": (archive(ops=OPS[:, 0]), "shape"),
    "double": (archive(ops=OPS[[0, 1, 2, 3, 1]]), "one row per point"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_read_says_so_in_one_line(mistake: str, tmp_path: Path) -> None:
    content, message = MISTAKES[mistake]
    path = tmp_path / "t.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=message) as caught:
        load_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
