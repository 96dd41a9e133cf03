"""The page's lists of trials: all of them in a table, failures with their reasons, and the winner's lineage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controllers.trial import Record
from nas.executors.simulated_executor import FINISHED
from nas.report.analysis import (
    Ancestor,
    best_record,
    cost_names,
    epochs_of,
    failure_groups,
    front_numbers,
    front_records,
    lineage,
    metric_of,
    reason_of,
)
from nas.report.formatting import REPORTED, format_metric, format_number, metric_column, status_words
from nas.report.markup import header_cell, section, table, text, trial_link, trial_links
from nas.report.summary import RunSummary

LONGEST_NOTE = 90  # characters of an error in the table; the whole text stands among the failures
LONGEST_ERROR = 4000
LONG_TABLE = 300  # rows, more than its box shows
MOST_FAILURES = 25  # different reasons that are shown
MOST_NUMBERS = 15  # trials named for each
MOST_CHANGES = 6  # decisions named in one step of a lineage
RECENT_STEPS = 12  # of a lineage; older ones unfold


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table of trials: its header, and the HTML of a record's cell."""

    header: str
    cell: Callable[[Record], str]


def trials_section(summary: RunSummary) -> str:
    """Return the table of all trials, by number."""
    records = sorted(summary.records, key=lambda record: record.trial.number)
    if not records:
        return ""
    best = best_record(summary)
    columns = _columns(summary, best)
    shown = [c for c in columns if any(c.cell(record) not in _EMPTY for record in records)]
    winner = best.trial.number if best else None
    rows = [_row(record, shown, winner=winner) for record in records]
    headers = [header_cell("Trial", numeric=True), *(column.header for column in shown)]
    # a browser lays a long table out when it comes into view: half of the time that the page takes to open
    style = "tall long" if len(rows) >= LONG_TABLE else "tall"
    body = table(headers, rows, label="All trials", sortable=True, style=style)
    return section("All trials", body, anchor="trials")


_EMPTY = ("<td></td>", '<td class="n"></td>', '<td class="w"></td>')


def _row(record: Record, columns: list[_Column], *, winner: int | None) -> str:
    number = record.trial.number
    mark = ' class="best"' if number == winner else ""
    cells = "".join(column.cell(record) for column in columns)
    return f'<tr id="t{number}"{mark}><th scope="row" class="n">{number}</th>{cells}</tr>'


def _columns(summary: RunSummary, best: Record | None) -> list[_Column]:
    return [
        _Column(header_cell("Status"), _status_cell),
        *(_metric_cells(summary, name) for name in _metric_names(summary)),
        _Column(
            header_cell("Epochs", numeric=True),
            lambda record: _number_cell(epochs_of(record, default=summary.epochs) if record.measurement.ok else None),
        ),
        _Column(
            header_cell("Time (s)", numeric=True, descending=True),
            lambda record: _numeric(_seconds_words(record)),
        ),
        _Column(header_cell("Parents"), lambda record: f"<td>{trial_links(record.trial.parents)}</td>"),
        _Column(header_cell("Worker"), lambda record: f"<td>{text(record.worker)}</td>"),
        _Column(header_cell("Note"), _note_cells(summary, best)),
    ]


def _metric_names(summary: RunSummary) -> list[str]:
    """The objective's metrics, what was to be reported, and those that every reader knows; time if simulated."""
    objective = summary.objective
    weighed = [objective.cost] if objective.target else []
    return list(dict.fromkeys((objective.metric, *summary.costs, *weighed, summary.answer, *REPORTED, FINISHED)))


def _metric_cells(summary: RunSummary, name: str) -> _Column:
    values = [value for record in summary.records if (value := metric_of(record, name)) is not None]
    column = metric_column(name, values)
    header = header_cell(column.header, numeric=True, descending="accuracy" in name)
    return _Column(header, lambda record: _numeric(column.cell(metric_of(record, name))))


def _numeric(value: str) -> str:
    return f'<td class="n">{value}</td>'


def _number_cell(value: float | None) -> str:
    return _numeric("" if value is None else f"{value:g}")


def _status_cell(record: Record) -> str:
    status = record.measurement.status
    style = {"ok": "", "infeasible": ' class="off"'}.get(status, ' class="bad"')
    return f"<td{style}>{status_words(status)}</td>"


def _seconds_words(record: Record) -> str:
    """Return the seconds of an evaluation; nothing for one that took none, such as a look-up."""
    seconds = record.measurement.seconds
    return f"{seconds:.1f}" if seconds and record.reused_from is None else ""


def _note_cells(summary: RunSummary, best: Record | None) -> Callable[[Record], str]:
    if summary.costs:  # the front that was asked for
        on_front = {record.trial.number for record in front_records(summary.records, objectives=summary.objectives)}
    else:
        on_front = set().union(*(front_numbers(summary, cost=cost) for cost in cost_names(summary)))

    def cell(record: Record) -> str:
        notes = ['<b class="good">best</b>'] if best and record.trial.number == best.trial.number else []
        if record.trial.number in on_front:
            notes.append("on the front")
        if record.reused_from is not None:
            notes.append(f"same network as {trial_link(record.reused_from)}")
        if not record.measurement.ok:
            reason = reason_of(record)
            notes.append(text(reason if len(reason) <= LONGEST_NOTE else f"{reason[: LONGEST_NOTE - 1]}…"))
        return f'<td class="w">{", ".join(notes)}</td>'

    return cell


def failures_section(summary: RunSummary) -> str:
    """Return what has no result, grouped by reason."""
    groups = failure_groups(summary.records)
    items = []
    for group in groups[:MOST_FAILURES]:
        more = len(group.numbers) - MOST_NUMBERS
        numbers = trial_links(group.numbers[:MOST_NUMBERS]) + (f" and {more} more" if more > 0 else "")
        plural = "trial" if len(group.numbers) == 1 else "trials"
        reason = text(group.reason) or "no reason was given"
        body = f'<p>{reason}</p><p class="note">{format_number(len(group.numbers))} {plural}: {numbers}</p>'
        if group.text.strip() != group.reason:
            tail = group.text[-LONGEST_ERROR:]
            body += (
                f"<details><summary>Full text of trial {group.numbers[0]}</summary><pre>{text(tail)}</pre></details>"
            )
        style = "off" if group.status == "infeasible" else "bad"
        title = status_words(group.status).capitalize()
        items.append(f'<div class="failure"><h3 class="{style}">{title}</h3>{body}</div>')
    if len(groups) > MOST_FAILURES:
        items.append(f'<p class="note">{len(groups) - MOST_FAILURES} more reasons are in the table.</p>')
    return section("Failures", "\n".join(items), anchor="failures")


def lineage_section(summary: RunSummary) -> str:
    """Return how the winner came about, from its oldest known ancestor; nothing if it has no parents."""
    best = best_record(summary)
    steps = lineage(summary, best) if best else []
    if len(steps) < 2:
        return ""
    items = [_step(step, metric=summary.objective.metric) for step in steps]
    older, recent = items[:-RECENT_STEPS], items[-RECENT_STEPS:]
    first = ""
    if older:
        first = f'<details><summary>{len(older)} older</summary><ol class="line">{"".join(older)}</ol></details>'
    body = f'{first}<ol class="line">{"".join(recent)}</ol>'
    return section(f"Lineage of trial {steps[-1].number}", body, anchor="lineage")


def _step(step: Ancestor, *, metric: str) -> str:
    value = metric_of(step.record, metric) if step.record else None
    result = format_metric(metric, value) if value is not None else _without_result(step.record)
    also = f" (and {trial_links(step.others)})" if step.others else ""
    changes = [
        f"<li>{text(change.decision)}: {text(change.before)} &rarr; {text(change.after)}</li>"
        for change in step.changes[:MOST_CHANGES]
    ]
    if len(step.changes) > MOST_CHANGES:
        changes.append(f"<li>and {len(step.changes) - MOST_CHANGES} more decisions</li>")
    listed = f"<ul>{''.join(changes)}</ul>" if changes else ""
    return f"<li>Trial {trial_link(step.number)}: {text(result)}{also}{listed}</li>"


def _without_result(record: Record | None) -> str:
    return status_words(record.measurement.status) if record else "not recorded"
