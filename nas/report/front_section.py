"""The page's list of the Pareto front, where a search was for several objectives."""

from __future__ import annotations

from controllers.trial import Record
from nas.report.analysis import best_record, front_records, metric_of
from nas.report.formatting import Column, format_number, metric_column
from nas.report.markup import header_cell, section, table, text, trial_link
from nas.report.summary import RunSummary

MOST_ROWS = 200


def front_section(summary: RunSummary) -> str:
    """Return the networks that no other beats in every objective; nothing for a single objective."""
    front = front_records(summary.records, objectives=summary.objectives) if summary.costs else []
    if not front:
        return ""
    names = dict.fromkeys([*(objective.metric for objective in summary.objectives), summary.answer])
    columns = {name: _column(front, name) for name in names if any(metric_of(r, name) is not None for r in front)}
    best = best_record(summary)
    headers = [header_cell("Trial", numeric=True), *(header_cell(c.header, numeric=True) for c in columns.values())]
    headers.append(header_cell("Note"))
    rows = [_row(record, columns, best=best) for record in front[:MOST_ROWS]]
    body = table(headers, rows, label="Pareto front", sortable=True, style="tall")
    more = f" The first {MOST_ROWS} of {format_number(len(front))} are listed." if len(front) > MOST_ROWS else ""
    note = (
        f"{format_number(len(front))} networks: no other one found is at least as good in every objective "
        f"and better in one.{more}"
    )
    return section("Pareto front", f'<p class="note">{text(note)}</p>{body}', anchor="front")


def _column(front: list[Record], name: str) -> Column:
    return metric_column(name, [value for record in front if (value := metric_of(record, name)) is not None])


def _row(record: Record, columns: dict[str, Column], *, best: Record | None) -> str:
    is_best = best is not None and best.trial.number == record.trial.number
    cells = "".join(f'<td class="n">{column.cell(metric_of(record, name))}</td>' for name, column in columns.items())
    note = '<b class="good">best</b>' if is_best else ""
    mark = ' class="best"' if is_best else ""
    return f'<tr{mark}><th scope="row" class="n">{trial_link(record.trial.number)}</th>{cells}<td>{note}</td></tr>'
