"""The tables of a scaling's page: members with what they cost, and trained points with the spread over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from nas.report.markup import code, header_cell, table, text
from nas.report.scaling_summary import ScalingSummary
from nas.scaling.grid import TrainedPoint
from nas.scaling.laws import Coefficients
from nas.scaling.members import Accuracy, Member

MEGABYTE = 1e6
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class _Column(Generic[Row]):
    """A column: its header, and the HTML in a row's cell."""

    header: str
    cell: Callable[[Row], str]
    numeric: bool = True
    descending: bool = False


def members_table(summary: ScalingSummary) -> str:
    """Return the table of the base and the members, with their blueprints' files; nothing where there are none."""
    members = [*([summary.base] if summary.base else []), *summary.members]
    columns: list[_Column[Member]] = [
        _Column("Phi", lambda m: f"{m.phi:g}"),
        _Column("Depth", lambda m: f"{m.blueprint.depth or 1:.4g}"),
        _Column("Width", lambda m: f"{m.blueprint.width or 1:.4g}"),
        _Column("Resolution", lambda m: str(m.blueprint.resolution)),
        _Column("Params (K)", lambda m: f"{m.params / 1e3:.2f}"),
        _Column("MACs (M)", lambda m: f"{m.macs / 1e6:.3f}"),
        _Column("Accuracy (%)", lambda m: _percent(m.accuracy), descending=True),
        _Column("Seeds", lambda m: str(m.accuracy.seeds) if m.accuracy else ""),
        _Column("Latency (ms)", lambda m: "" if m.latency_ms is None else f"{m.latency_ms:.2f}"),
        _Column("Memory (MB)", lambda m: f"{m.memory_bytes / MEGABYTE:.2f}"),
        _Column("Of intended (%)", _of_intended),
        _Column("Layers", lambda m: str(m.layers)),
        _Column("Law", lambda m: "base" if m is summary.base else text(m.law), numeric=False),
        _Column("Budgets used", _used, numeric=False),
        _Column("Blueprint", lambda m: _file(summary, m), numeric=False),
    ]
    names = [f"{summary.network} (base)" if m is summary.base else m.name for m in members]
    return _table(members, names, columns, label="Members") if members else ""


def _of_intended(member: Member) -> str:
    budgeted = member.used and "macs" not in member.used
    return "" if budgeted else f"{100 * member.macs / member.intended_macs:.1f}"


def _percent(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return ""
    spread = f" &plusmn; {100 * accuracy.std:.2f}" if accuracy.seeds > 1 else ""
    return f"{100 * accuracy.mean:.2f}{spread}"


def _used(member: Member) -> str:
    return text(", ".join(f"{100 * share:.1f}% of {name}" for name, share in member.used.items()))


def _file(summary: ScalingSummary, member: Member) -> str:
    return code(summary.member_files[member.name]) if member.name in summary.member_files else ""


def points_table(points: Sequence[TrainedPoint], *, label: str, chosen: Coefficients | None) -> str:
    """Return the table of trained points.

    Args:
        points: with mean and spread of their trainings.
        label: what the table is, for those who cannot see it.
        chosen: coefficients of the point to mark; None for none.
    """
    columns: list[_Column[TrainedPoint]] = [
        _Column("Depth", lambda p: f"{p.point.blueprint.depth or 1:.4g}"),
        _Column("Width", lambda p: f"{p.point.blueprint.width or 1:.4g}"),
        _Column("Resolution", lambda p: str(p.point.blueprint.resolution)),
        _Column("Params (K)", lambda p: f"{p.cost.params / 1e3:.2f}" if p.cost.params else ""),
        _Column("MACs (M)", lambda p: f"{p.cost.macs / 1e6:.3f}" if p.cost.macs else ""),
        _Column("Validation accuracy (%)", lambda p: _percent(p.accuracy), descending=True),
        _Column("Seeds", lambda p: str(p.accuracy.seeds) if p.accuracy else "0"),
    ]
    best = next((p for p in points if chosen is not None and p.point.coefficients == chosen), None)
    return _table(points, [point.point.label for point in points], columns, label=label, best=best)


def _table(
    rows: Sequence[Row], names: Sequence[str], columns: Sequence[_Column[Row]], *, label: str, best: Row | None = None
) -> str:
    """Return a sortable table of the columns that hold something."""
    shown = [column for column in columns if any(column.cell(row) for row in rows)]
    headers = [header_cell("Network" if label == "Members" else "Point")]
    headers += [header_cell(c.header, numeric=c.numeric, descending=c.descending) for c in shown]
    lines = []
    for row, name in zip(rows, names, strict=True):
        cells = "".join(f"<td{' class=n' if c.numeric else ''}>{c.cell(row)}</td>" for c in shown)
        mark = ' class="best"' if best is not None and row is best else ""
        lines.append(f'<tr{mark}><th scope="row">{text(name)}</th>{cells}</tr>')
    return table(headers, lines, label=label, sortable=True, style="tall")
