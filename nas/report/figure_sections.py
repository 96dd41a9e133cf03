"""The page's figures: progress, what networks achieve against what they cost, and the best networks drawn."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from controllers.trial import Record
from nas.report.analysis import SIZES, cost_names, front_numbers, fully_trained, metric_of, top_records
from nas.report.cell_drawing import draw_cell
from nas.report.charts import NARROW, WIDE, draw_progress, draw_tradeoff, num_far_out
from nas.report.figures import PIXELS_PER_INCH, figure_svg
from nas.report.formatting import format_metric, label_in_sentence, metric_style
from nas.report.markup import definitions, figure, section, text, trial_link, trial_links
from nas.report.summary import RunSummary
from search_spaces.graph import Cell

NUM_OPEN = 3  # best networks that are shown at once; the others unfold
NUM_SHOWN = 8
PAGE_WIDTH = 1040.0
LARGEST_SCALE, SMALLEST_SCALE = 1.2, 0.85  # of drawings of cells; a narrower page scrolls them
LONGEST_FRONT = 30  # trials named below the charts


def progress_section(summary: RunSummary) -> str:
    """Return the best result so far over trials, in a wide and a narrow drawing of which a page shows one."""
    drawings = []
    for style, size in (("wide", WIDE), ("narrow", NARROW)):
        chart = draw_progress(summary.records, objective=summary.objective, size=size)
        if chart is not None:
            drawings.append(figure(figure_svg(chart, name=f"progress-{style}"), style=style))
    if not drawings:
        return ""
    statuses = {record.measurement.status for record in summary.records}
    keys = ['<span class="key">best so far</span>', '<span class="key dot">a trial</span>']
    if _has_shorter(summary):
        keys.append('<span class="key dot less">not trained in full</span>')
    if statuses - {"ok", "infeasible"}:
        keys.append('<span class="key cross">failed</span>')
    if "infeasible" in statuses:
        keys.append('<span class="key tick">refused untrained</span>')
    far_out = num_far_out(summary.records, objective=summary.objective)
    if far_out:
        keys.append(f"<span>On the edge: {far_out} far worse than the others</span>")
    caption = f'<p class="note keys">{"".join(keys)}</p>'
    return section("Progress", "\n".join([*drawings, caption]), anchor="progress")


def tradeoff_section(summary: RunSummary) -> str:
    """Return the objective's metric against params, MACs and other costs, with the Pareto fronts."""
    figures = []
    shown: list[str] = []
    for cost in cost_names(summary):
        if cost == summary.objective.metric:
            continue
        chart = draw_tradeoff(summary.records, objective=summary.objective, cost=cost)
        if chart is not None:
            front = trial_links(_by_cost(summary, cost)[:LONGEST_FRONT])
            caption = f"Pareto front by {text(label_in_sentence(cost))}: trials {front}."
            name = f"tradeoff-{cost}" if cost in SIZES else f"tradeoff-cost{len(shown)}"
            figures.append(figure(figure_svg(chart, name=name), caption=caption))
            shown.append(cost)
    if not figures:
        return ""
    dot = "a network trained in full" if _has_shorter(summary) else "a network"
    keys = f'<span class="key">Pareto front</span><span class="key dot">{dot}</span>'
    note = f'<p class="note keys">{keys}<span class="key ring">best network</span></p>'
    what = "size" if set(shown) <= set(SIZES) else "cost"
    title = f"{metric_style(summary.objective.metric).label} against {what}"
    return section(title, f'{note}<div class="pair">{"".join(figures)}</div>', anchor="size")


def _has_shorter(summary: RunSummary) -> bool:
    return len(fully_trained(summary.records)) < sum(record.measurement.ok for record in summary.records)


def _by_cost(summary: RunSummary, cost: str) -> list[int]:
    numbers = front_numbers(summary, cost=cost)
    on_front = [record for record in summary.records if record.trial.number in numbers]
    return [r.trial.number for r in sorted(on_front, key=lambda record: metric_of(record, cost) or 0.0)]


def networks_section(summary: RunSummary) -> str:
    """Return the best networks, drawn where there are cells and in words where there are not."""
    best = top_records(summary.records, objective=summary.objective, count=NUM_SHOWN)
    networks = [
        _network(summary, record, rank=rank)
        for rank, record in enumerate(best, start=1)
        if record.trial.number in summary.cells or summary.decisions
    ]
    body = "\n".join(networks[:NUM_OPEN])
    if len(networks) > NUM_OPEN:
        more = len(networks) - NUM_OPEN
        body += f"<details><summary>{more} more</summary>\n{''.join(networks[NUM_OPEN:])}</details>"
    return section("Best networks", body, anchor="networks")


def _network(summary: RunSummary, record: Record, *, rank: int) -> str:
    names = dict.fromkeys((summary.objective.metric, *cost_names(summary), summary.answer))
    facts = [
        text(f"{format_metric(name, value)} {label_in_sentence(name)}")
        for name in names
        if (value := metric_of(record, name)) is not None
    ]
    number = record.trial.number
    cells = summary.cells.get(number)
    drawn = cells_html(cells, name=f"cell-{number}") if cells else _choices(summary, record)
    title = f"<h3>{rank}. Trial {trial_link(number)}</h3>"
    return f'<article class="network"><header>{title}<p>{" &middot; ".join(facts)}</p></header>\n{drawn}</article>'


def cells_html(cells: Mapping[str, Cell], *, name: str) -> str:
    """Return the drawings of a network's cells; cells that are one and the same are drawn once.

    Args:
        cells: by role (``normal``, ``reduction``).
        name: what ids inside start with, different for every network of a page.
    """
    roles: dict[Cell, list[str]] = {}
    for role, cell in cells.items():
        roles.setdefault(cell, []).append(role)
    drawings = [draw_cell(cell) for cell in roles]
    scale = min(LARGEST_SCALE, PAGE_WIDTH / max(map(_width, drawings)))
    figures = []
    for i, (drawing, names) in enumerate(zip(drawings, roles.values(), strict=True)):
        title = f"{' and '.join(names)} cell".capitalize()
        drawing.set_label(f"{title}. {drawing.get_label()}")
        svg = figure_svg(drawing, name=f"{name}-{i}", scale=max(scale, SMALLEST_SCALE))
        smallest = SMALLEST_SCALE * _width(drawing)
        svg = svg.replace("<svg ", f'<svg style="min-width:{smallest:.0f}px" ', 1)
        figures.append(f"<div><h4>{text(title)}</h4>{figure(svg)}</div>")
    return f'<div class="cells">{"".join(figures)}</div>'


def _width(drawing: Figure) -> float:
    return float(PIXELS_PER_INCH * drawing.get_size_inches()[0])


def _choices(summary: RunSummary, record: Record) -> str:
    """Return an architecture in words: every decision and the option taken."""
    choices = record.trial.architecture.choices
    if len(choices) != len(summary.decisions):
        return ""
    pairs = {
        decision.name.replace("_", " "): text(decision.options[choice])
        for decision, choice in zip(summary.decisions, choices, strict=True)
        if choice < len(decision)
    }
    return definitions(pairs, style="facts")
