"""The page of a comparison: one self-contained file, made of the pieces that reports of searches are made of."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from nas.comparison.figures import CHARTS, Chart, draw_figures, draw_strip
from nas.comparison.results import Comparison
from nas.comparison.rows import Row
from nas.comparison.statistics import LEVEL
from nas.comparison.tables import Column, format_spread, shown_columns
from nas.report.figures import figure_svg
from nas.report.formatting import VIEWS, format_count, format_duration, format_number
from nas.report.frame import COUNTED, frame
from nas.report.markup import code, definitions, figure, header_cell, section, table, text
from nas.training.recipe import Recipe

PAGE = "report.html"
FOOTER = f"{COUNTED} The test images were looked at once for each trained network, when all trainings were through."
FILES = {
    "results.csv": "the table, for spreadsheets",
    "comparison.json": "the table, for programs",
    "weights": "the trained weights, a file a training",
    "journal.jsonl": "every training, and what each made of every test image",
    "compare.json": "every setting, to run it again",
}


def render_page(comparison: Comparison) -> str:
    """Return the page as text."""
    rows = comparison.rows
    body = "".join(
        (
            _headline(comparison),
            section("The table", _table(rows), anchor="table"),
            section("Accuracy against cost", _figures(rows), anchor="figures"),
            section("Every training", _strip(rows), anchor="trainings"),
            section("Failures", _failures(rows), anchor="failures"),
            section("What was spent", _spent(comparison), anchor="spent"),
            section("Repeat it", _repeat(comparison), anchor="repeat"),
        )
    )
    return frame(body, title=f"{comparison.folder.resolve().name} - comparison of networks", footer=FOOTER)


def _headline(comparison: Comparison) -> str:
    config, terms = comparison.plan.config, comparison.plan.terms
    trained = [row for row in comparison.rows if row.top1]
    best = next((row for row in trained if row.difference is None), None)
    title = "No network could be trained" if best is None else f"{text(best.label)} is best: {_percent(best)}"
    length = _epochs(config.search_recipe.epochs) if terms.budget_s is None else f"{terms.budget_s:g} s each"
    asked = {
        "Data set": text(config.data),
        "Recipe": text(f"{config.recipe}, {length}"),
        "Seeds": text(terms.seeds),
        **({"Each test image": text(VIEWS[views])} if (views := _views(config.search_recipe)) in VIEWS else {}),
        "Executor": text(config.executor),
        "Device": text(config.device),
    }
    notes = "".join(f'<p class="note">{text(note)}</p>' for note in comparison.notes)
    files = {
        str(comparison.folder / name): text(what) for name, what in FILES.items() if (comparison.folder / name).exists()
    }
    return (
        f'<header>\n<p class="overline">Comparison <b>{text(comparison.folder.resolve().name)}</b></p>\n'
        f"<h1>{title}</h1>\n"
        f'<p class="lead">{text(_verdict(trained, best))}</p>\n{_answer(best)}\n{notes}'
        f"{definitions(files, style='files')}\n"
        f'<div class="asked">{definitions(asked, style="facts")}</div></header>\n'
    )


def _views(recipe: Recipe) -> int:
    return 2 if recipe.flip_test else recipe.test_crops


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"


def _percent(row: Row) -> str:
    return "" if row.top1 is None else f"{row.top1.mean:.2%} of the test images"


def _verdict(trained: Sequence[Row], best: Row | None) -> str:
    if best is None:
        return "The reasons stand below."
    others = [row for row in trained if row is not best]
    if not others:
        return "It is the only network that was trained."
    clear = [row for row in others if row.difference and row.difference.p is not None and row.difference.p < LEVEL]
    if len(clear) == len(others):
        return f"Its lead is unlikely to be chance: over {_others(len(others))}."
    if not clear:
        return f"Its lead could be chance: over {_others(len(others))}."
    return f"Its lead over {len(clear)} of {len(others)} others is unlikely to be chance; over the rest it could be."


def _others(count: int) -> str:
    return "the only other network" if count == 1 else f"each of the {count} others"


def _answer(best: Row | None) -> str:
    if best is None:
        return ""
    pairs = {
        "Top-1 test accuracy": text(format_spread(best.top1).replace("+-", "\u00b1")),
        "Params": text(format_count(best.params, kind="params")),
        "MACs": text(format_count(best.macs, kind="macs")),
    }
    return definitions(pairs, style="answer")


def _table(rows: Sequence[Row]) -> str:
    columns = shown_columns(rows)
    headers = [header_cell("#", numeric=True)]
    headers += [header_cell(c.header, numeric=c.numeric, descending=c.descending) for c in columns]
    lines = [_line(number, row, columns) for number, row in enumerate(rows, start=1)]
    notes = "".join(f'<p class="note">{text(row.label)}: {text(row.note)}</p>' for row in rows if row.note)
    legend = (
        "Deviations are over seeds, of random architectures over architectures. Chance is tested against other "
        "trainings (a t-test over seeds, paired from five on) and other test images (McNemar's test, or its like for "
        "several seeds); the larger p counts, corrected for the number of networks by Holm."
    )
    return (
        table(headers, lines, label="Networks side by side", sortable=True)
        + f'<p class="note" style="margin-top:10px">{legend}</p>{notes}'
    )


def _line(number: int, row: Row, columns: Sequence[Column]) -> str:
    cells = [f'<td class="n">{number}</td>']
    for column in columns:
        shown = text(_page_cell(column, row))
        if column.name == "network":
            cells.append(f'<th scope="row" style="white-space:normal;min-width:9rem">{shown}</th>')
        else:
            cells.append(f'<td class="n">{shown}</td>' if column.numeric else f"<td>{shown}</td>")
    best = row.top1 is not None and row.difference is None
    return f"<tr{' class=best' if best else ''}>{''.join(cells)}</tr>"


def _page_cell(column: Column, row: Row) -> str:
    """Return what a cell shows; numbers have one unit in a column, since the page sorts by them."""
    value = column.value(row)
    if value is None:
        return "0 (best)" if column.name == "difference" and row.top1 else ""
    units: Mapping[str, tuple[float, str]] = {
        "params": (1e6, "M"),
        "macs": (1e6, "M"),
        "activations": (1e6, " MB"),
        "memory": (1e6, " MB"),
        "latency": (1.0, " ms"),
        "latency64": (1.0, " ms"),
        "time": (1.0, " s"),
    }
    if column.name in units and isinstance(value, float | int):
        size, unit = units[column.name]
        return f"{value / size:.3f}{unit}" if value / size < 100 else f"{value / size:.1f}{unit}"
    return column.cell(row).replace("+-", "\u00b1").replace(",", "") if column.numeric else column.cell(row)


def _figures(rows: Sequence[Row]) -> str:
    wide, narrow = draw_figures(rows), draw_figures(rows, narrow=True)
    drawn = []
    for chart in CHARTS:
        if chart.name in wide:
            caption = _caption(chart, rows)
            large = figure(figure_svg(wide[chart.name], name=f"{chart.name}-w"), caption=caption, style="wide")
            small = figure(figure_svg(narrow[chart.name], name=f"{chart.name}-n"), caption=caption, style="narrow")
            drawn.append(f'<article class="network"><h3>{text(chart.title)}</h3>{large}{small}</article>')
    return "\n".join(drawn)


def _caption(chart: Chart, rows: Sequence[Row]) -> str:
    parts = ["Numbers are those of the table."]
    if chart.bubbles:
        most = format_count(max(row.params for row in rows if row.top1), kind="params")
        parts.append(f"A bubble's area stands for the parameters, {most} of the largest; tiny ones are drawn larger.")
    if not chart.log_y:
        parts.append("Bars are one standard deviation; on the front nothing cheaper is as good.")
    return " ".join(parts)


def _strip(rows: Sequence[Row]) -> str:
    wide, narrow = draw_strip(rows), draw_strip(rows, narrow=True)
    if wide is None or narrow is None:
        return ""
    caption = "A dot a training, ticks at the means."
    return figure(figure_svg(wide, name="strip-w"), caption=caption, style="wide") + figure(
        figure_svg(narrow, name="strip-n"), caption=caption, style="narrow"
    )


def _failures(rows: Sequence[Row]) -> str:
    return "".join(
        f'<div class="failure"><h3>{text(row.label)}</h3>'
        + "".join(f'<p class="bad">{text(reason)}</p>' for reason in row.failures)
        + "</div>"
        for row in rows
        if row.failures
    )


def _spent(comparison: Comparison) -> str:
    spent = comparison.spent
    pairs = {
        "Wall time": format_duration(spent.wall_s),
        "Worker time": format_duration(spent.worker_s),
        "Network-epochs": format_number(spent.epochs),
        "MACs, forward and backward": text(format_count(spent.macs, kind="macs")),
    }
    if spent.searched_s:
        pairs["Random search, worker time"] = format_duration(spent.searched_s)
        pairs["Random search, network-epochs"] = format_number(spent.searched_epochs)
    return definitions(pairs, style="facts")


def _repeat(comparison: Comparison) -> str:
    commands = {
        "Run it again": comparison.plan.command,
        "Go on with it": f"nas resume {shlex.quote(str(comparison.folder))}",
    }
    shown = {what: f"<pre>{text(line)}</pre>" for what, line in commands.items() if line}
    versions = {name: code(version) for name, version in comparison.versions.items()}
    return definitions(shown, style="commands") + f'<div class="asked">{definitions(versions, style="facts")}</div>'
