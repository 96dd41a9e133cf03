"""The page of a scaling: coefficients, members against their budgets, the grid they come from, and the ablation."""

from __future__ import annotations

from collections.abc import Sequence

from nas.report.figures import figure_svg
from nas.report.formatting import format_count, format_duration, format_metric, format_number, status_words
from nas.report.frame import frame
from nas.report.markup import definitions, figure, section, text
from nas.report.overview_sections import macs_words, repeat
from nas.report.page_header import PageHeader, figure_of, page_header
from nas.report.scaling_summary import ScalingSummary
from nas.report.scaling_tables import members_table, points_table
from nas.scaling.chart import draw_ablation
from nas.scaling.grid import TrainedPoint
from nas.scaling.laws import Coefficients
from nas.scaling.members import Accuracy


def render_scaling(summary: ScalingSummary) -> str:
    """Return the page as text; the same summary gives the same page."""
    sections = (members_section, ablation_section, grid_section, failures_section, spent_section)
    body = _header(summary) + "".join(one(summary) for one in sections)
    body += repeat(summary.commands, summary.versions)
    return frame(body, title=f"{summary.name} - scaling")


def _header(summary: ScalingSummary) -> str:
    found, trainings = summary.coefficients, summary.trainings
    counted = f"{format_number(trainings.done)} of {format_number(trainings.planned)} trainings are done"
    title = f"{text(summary.network)}: {counted}"
    if found is not None:
        family = f"{len(summary.members)} network{'' if len(summary.members) == 1 else 's'}"
        title = f"{text(summary.network)} as a family of {family}"
    notes = [counted] if found is not None and trainings.planned else []
    lead = " ".join(f"{text(line[0].upper() + line[1:].rstrip('.'))}." for line in (*notes, *summary.notes) if line)
    return page_header(
        PageHeader(
            "Scaling",
            summary.name,
            summary.status,
            title=title,
            lead=lead,
            answer=_answer(found, summary.grid),
            files=summary.files,
            asked={term: text(value) for term, value in summary.settings.items()},
        )
    )


def _answer(found: Coefficients | None, grid: Sequence[TrainedPoint]) -> str:
    if found is None:
        return ""
    entries = {
        "Depth": figure_of(f"{found.depth:.4g}", note="times deeper a step of phi"),
        "Width": figure_of(f"{found.width:.4g}", note="times wider"),
        "Resolution": figure_of(f"{found.resolution:.4g}", note="times finer images"),
        "MACs": figure_of(f"{found.growth:.4g}", note="times more, before rounding"),
    }
    chosen = next((point for point in grid if point.point.coefficients == found and point.accuracy), None)
    if chosen is not None and chosen.accuracy is not None:
        written = format_metric("val_accuracy", chosen.accuracy.mean)
        entries["Validation accuracy"] = figure_of(written, note=f"of the grid's point, {_seeds(chosen.accuracy)}")
    return definitions(entries, style="answer")


def _seeds(accuracy: Accuracy) -> str:
    return f"{accuracy.seeds} seed{'' if accuracy.seeds == 1 else 's'}"


def members_section(summary: ScalingSummary) -> str:
    """Return the table of the base and the members, with their blueprints' files."""
    note = '<p class="note">Memory is the most that is alive in a forward pass of one image. '
    note += "Of intended is the share of the MACs that the law, or a budget, asks for. Accuracy is that of "
    note += "validation images, with one standard deviation over seeds.</p>"
    body = members_table(summary)
    return section("Members", f"{note}{body}" if body else "", anchor="members")


def ablation_section(summary: ScalingSummary) -> str:
    """Return single dimensions against all of them together: the figure, and its numbers."""
    if not summary.ablation:
        return ""
    drawn = ""
    if sum(point.accuracy is not None for point in summary.ablation) > 1:
        points = [point for point in summary.ablation if point.accuracy]
        wide, narrow = draw_ablation(points), draw_ablation(points, narrow=True)
        drawn = figure(figure_svg(wide, name="ablation-w"), style="wide")
        drawn += figure(figure_svg(narrow, name="ablation-n"), style="narrow")
    return section(
        "Ablation", f"{drawn}{points_table(summary.ablation, label='Ablation', chosen=None)}", anchor="ablation"
    )


def grid_section(summary: ScalingSummary) -> str:
    """Return the points of the grid with the spread of their trainings."""
    body = points_table(summary.grid, label="Grid", chosen=summary.coefficients) if summary.grid else ""
    note = '<p class="note">Every triple at phi = 1. The spread is one standard deviation over seeds.</p>'
    return section("Grid", f"{note}{body}" if body else "", anchor="grid")


def failures_section(summary: ScalingSummary) -> str:
    """Return the trainings that gave nothing, by reason."""
    items = []
    for group in summary.trainings.failures:
        count = len(group.numbers)
        trainings = f"{format_number(count)} training{'' if count == 1 else 's'}"
        title = text(status_words(group.status).capitalize())
        reason = text(group.reason) or "no reason was given"
        items.append(
            f'<div class="failure"><h3 class="bad">{title}</h3><p>{reason}</p><p class="note">{trainings}</p></div>'
        )
    return section("Failures", "\n".join(items), anchor="failures")


def spent_section(summary: ScalingSummary) -> str:
    """Return what the trainings cost."""
    cost = summary.trainings
    if not cost.done:
        return ""
    pairs = {
        "Wall time": "" if cost.seconds is None else format_duration(cost.seconds),
        "Worker time": format_duration(cost.worker_s),
        "Trainings": format_number(cost.done),
        "Network-epochs": "" if cost.network_epochs is None else format_number(cost.network_epochs),
        "MACs trained": macs_words(cost.trained_macs),
        "Largest network": _largest(summary),
    }
    return section("What was spent", definitions(pairs, style="facts"), anchor="spent")


def _largest(summary: ScalingSummary) -> str:
    macs = max((point.cost.macs for point in (*summary.grid, *summary.ablation)), default=0)
    return text(f"{format_count(macs, kind='macs')} MACs") if macs else ""
