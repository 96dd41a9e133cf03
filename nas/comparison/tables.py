"""A comparison as a table: the columns once, for terminals, CSV files and pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from nas.comparison.rows import Row, Spread
from nas.errors import UnknownNameError
from nas.report.formatting import MISSING, format_count, format_duration

PLAIN_WIDTH = 1000
# columns that a narrow terminal does without, in this order
DISPENSABLE = ("epochs", "density", "activations", "latency64", "time", "memory", "top5", "latency", "params")
Value = float | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Attributes:
        name: what `--sort` takes, and the head of the CSV column.
        header: what people read.
        value: what is sorted by, and written to the CSV file.
        cell: what is shown.
        descending: whether the largest comes first.
        numeric: whether it holds numbers.
    """

    name: str
    header: str
    value: Callable[[Row], Value]
    cell: Callable[[Row], str]
    descending: bool = False
    numeric: bool = True


def format_spread(spread: Spread | None) -> str:
    """Return percent with its deviation, which a single training has none of."""
    if spread is None:
        return MISSING
    return f"{spread.mean:.2%}" + ("" if spread.std is None else f" +- {spread.std:.2%}")


def _megabytes(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value / 1e3:,.1f} KB" if value < 1e5 else f"{value / 1e6:,.1f} MB"


def _milliseconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"


def _gap(row: Row) -> str:
    if row.difference is None:
        return "best" if row.top1 else MISSING
    return f"{100 * row.difference.accuracy:+.2f}"


def _cost(name: str) -> Callable[[Row], Value]:
    return lambda row: None if row.costs is None else getattr(row.costs, name)


def _shown(name: str, write: Callable[[float | None], str]) -> Callable[[Row], str]:
    return lambda row: write(None if row.costs is None else getattr(row.costs, name))


COLUMNS: tuple[Column, ...] = (
    Column("network", "network", lambda row: row.label, lambda row: row.label, numeric=False),
    Column("top1", "top-1", lambda row: row.top1.mean if row.top1 else None, lambda row: format_spread(row.top1), True),
    Column("top5", "top-5", lambda row: row.top5.mean if row.top5 else None, lambda row: format_spread(row.top5), True),
    Column(
        "difference", "points from best", lambda row: row.difference.accuracy if row.difference else None, _gap, True
    ),
    Column(
        "chance",
        "by chance?",
        lambda row: row.difference.p if row.difference else None,
        lambda row: row.difference.words if row.difference else MISSING,
        numeric=False,
    ),
    Column("params", "params", lambda row: row.params, lambda row: format_count(row.params, kind="params")),
    Column("macs", "MACs", lambda row: row.macs, lambda row: format_count(row.macs, kind="macs")),
    Column("activations", "activations", _cost("activation_bytes"), _shown("activation_bytes", _megabytes)),
    Column("memory", "peak memory", _cost("peak_memory_bytes"), _shown("peak_memory_bytes", _megabytes)),
    Column("latency", "latency, 1", _cost("latency_ms"), _shown("latency_ms", _milliseconds)),
    Column("latency64", "latency, 64", _cost("latency_64_ms"), _shown("latency_64_ms", _milliseconds)),
    Column("time", "training", lambda row: row.train_s, lambda row: format_duration(row.train_s)),
    Column(
        "epochs", "epochs", lambda row: row.epochs, lambda row: MISSING if row.epochs is None else f"{row.epochs:.3g}"
    ),
    Column(
        "density",
        "% per M params",
        lambda row: row.density,
        lambda row: (
            MISSING if row.density is None else f"{row.density:,.3g}" if row.density < 1000 else f"{row.density:,.0f}"
        ),
        True,
    ),
)


def shown_columns(rows: Sequence[Row]) -> list[Column]:
    """Return the columns in which any row has something."""
    return [column for column in COLUMNS if any(column.value(row) is not None for row in rows)]


def sort_rows(rows: Sequence[Row], name: str | None) -> tuple[Row, ...]:
    """Return the rows by a column, the better or cheaper first; rows without a value come last.

    Args:
        rows: by accuracy.
        name: of the column; None leaves the order.

    Raises:
        UnknownNameError: no such column.
    """
    if name is None:
        return tuple(rows)
    column = find_column(name)
    able = [row for row in rows if column.value(row) is not None]
    ordered = sorted(able, key=lambda row: column.value(row), reverse=column.descending)  # type: ignore[arg-type,return-value]
    if name == "difference":  # the best has none, and is first
        return (*(row for row in rows if row.top1 and row not in able), *ordered, *(r for r in rows if not r.top1))
    return (*ordered, *(row for row in rows if row not in able))


def find_column(name: str) -> Column:
    """Return the column of a name.

    Raises:
        UnknownNameError: there is none.
    """
    for column in COLUMNS:
        if column.name == name:
            return column
    raise UnknownNameError("column", name, [column.name for column in COLUMNS])


def make_table(rows: Sequence[Row], *, width: int = PLAIN_WIDTH) -> tuple[Table, int]:
    """Return a table that is no wider than so many letters, as far as that can be, and how many columns it lacks."""
    columns = shown_columns(rows)
    dropped = [column for name in DISPENSABLE for column in columns if column.name == name]
    for count in range(len(dropped) + 1):
        table = _table_of(rows, [column for column in columns if column not in dropped[:count]])
        if Console(width=PLAIN_WIDTH, markup=False).measure(table).maximum <= width:
            return table, count
    return table, len(dropped)


def _table_of(rows: Sequence[Row], columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.header, justify="right" if column.numeric else "left", no_wrap=column.numeric)
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns))
    return table


def table_text(rows: Sequence[Row]) -> str:
    """Return the table as plain lines, as wide as they need to be."""
    console = Console(file=io.StringIO(), markup=False, highlight=False, width=PLAIN_WIDTH)
    console.print(make_table(rows)[0])
    written: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in written.splitlines())


def csv_text(rows: Sequence[Row]) -> str:
    """Return the table as CSV: shares in [0, 1], bytes, milliseconds and seconds; a deviation beside each mean."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    extra = ("kind", "top1_std", "top5_std", "trainings", "words", "failures", "note")
    writer.writerow([*(column.name for column in COLUMNS), *extra])
    for row in rows:
        words = row.difference.words if row.difference else ""
        deviations = [spread.std if spread else None for spread in (row.top1, row.top5)]
        more = [row.kind, *deviations, len(row.accuracies), words, "; ".join(row.failures), row.note]
        writer.writerow([*(column.value(row) for column in COLUMNS), *more])
    return file.getvalue()
