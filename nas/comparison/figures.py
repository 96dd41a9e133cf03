"""The figures of a comparison, as the field draws them (Canziani 2016, https://arxiv.org/abs/1605.07678).

Accuracy against MACs with bubbles as large as the parameters, accuracy against latency, and parameters against peak
memory. Networks are marked with their number in the table, put where it covers no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from nas.comparison.rows import Row
from nas.report.chart_axes import FONT_SIZE, MARGINS, log_ticks, make_axes, short_count
from nas.report.figures import new_figure, text_width
from nas.report.formatting import printable
from nas.report.pareto import pareto_front
from nas.report.theme import colour

WIDE, NARROW = (1040.0, 420.0), (390.0, 330.0)
LEGEND_WIDTH = 300.0
LINE_HEIGHT = 15.5
ROLES = {"found": "best", "given": "sep", "baseline": "conv", "random": "dot", "random search": "dil"}
KINDS = {
    "found": "found by search",
    "given": "given as a blueprint",
    "baseline": "hand-designed",
    "random": "random architectures",
    "random search": "random search",
}
LARGEST, SMALLEST = 34.0, 7.0  # diameters of bubbles in pixels
DISTANCES = (6.5, 13.0, 22.0, 34.0)  # of a number from its bubble, tried in this order
DIRECTIONS = tuple((math.cos(i * math.pi / 4), math.sin(i * math.pi / 4)) for i in (1, 3, 5, 7, 0, 2, 4, 6))
STRIP_ROW = 26.0
Pixels = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A network in a figure: its number in the table, where it stands, and how large it is drawn (pixels)."""

    number: int
    row: Row
    x: float
    y: float
    diameter: float = 9.0


@dataclass(frozen=True, slots=True)
class Chart:
    """What a figure shows.

    Attributes:
        name: of its file.
        title: what it shows, in a sentence without its end.
        x, y: values of a row; None where it has none.
        x_label, y_label: with units.
        write_x, write_y: ticks.
        log_y: whether the vertical axis is logarithmic; the horizontal one is.
        best: whether larger or smaller values of y are better, for the front.
        bubbles: whether bubbles show the parameters.
    """

    name: str
    title: str
    x: Callable[[Row], float | None]
    y: Callable[[Row], float | None]
    x_label: str
    y_label: str
    write_x: Callable[[float], str]
    write_y: Callable[[float], str]
    log_y: bool = False
    best: Literal["larger", "none"] = "larger"
    bubbles: bool = False


def _top1(row: Row) -> float | None:
    return None if row.top1 is None else 100 * row.top1.mean


def _latency(row: Row) -> float | None:
    return None if row.costs is None else row.costs.latency_ms


def _memory(row: Row) -> float | None:
    return None if row.costs is None else row.costs.peak_memory_bytes / 1e6


CHARTS = (
    Chart(
        "accuracy-macs",
        "Top-1 test accuracy against multiply-accumulates, bubbles as large as the parameters",
        lambda row: row.macs,
        _top1,
        "MACs (log scale)",
        "Top-1 test accuracy (%)",
        lambda value: short_count(value, kind="macs"),
        lambda value: f"{value:.6g}",
        bubbles=True,
    ),
    Chart(
        "accuracy-latency",
        "Top-1 test accuracy against the latency of one image",
        _latency,
        _top1,
        "Latency at batch 1 (ms, log scale)",
        "Top-1 test accuracy (%)",
        lambda value: f"{value:.4g}",
        lambda value: f"{value:.6g}",
    ),
    Chart(
        "params-memory",
        "Parameters against the peak memory of a forward pass of one image",
        _memory,
        lambda row: row.params,
        "Peak memory (MB, log scale)",
        "Parameters (log scale)",
        lambda value: f"{value:.4g}",
        lambda value: short_count(value, kind="params"),
        log_y=True,
        best="none",
    ),
)


def draw_figures(rows: Sequence[Row], *, narrow: bool = False) -> dict[str, Figure]:
    """Return the figures by name; those for which nothing was measured are left out.

    Args:
        rows: in the order of the table, which numbers them from 1.
        narrow: whether they are for a phone, and without the list of names.
    """
    found = {chart.name: draw_chart(chart, rows, narrow=narrow) for chart in CHARTS}
    return {name: figure for name, figure in found.items() if figure is not None}


def draw_chart(chart: Chart, rows: Sequence[Row], *, narrow: bool = False) -> Figure | None:
    """Return one figure; None where no row has both values."""
    marks = _marks(chart, rows)
    if not marks:
        return None
    size = NARROW if narrow else WIDE
    front = _front(chart, marks)
    label = f"{chart.title}, of {len(marks)} networks."
    figure, axes = make_axes(size, label=label, x_label=chart.x_label, y_label=chart.y_label)
    if not narrow:
        place = axes.get_position()
        axes.set_position((place.x0, place.y0, place.width - LEGEND_WIDTH / size[0], place.height))
    _scale(axes, chart, marks, narrow=narrow)
    if front:
        xs, ys = [mark.x for mark in front], [mark.y for mark in front]
        axes.plot(
            [*xs, axes.get_xlim()[1]],
            [*ys, ys[-1]],
            drawstyle="steps-post",
            color=colour("accent"),
            linewidth=1.3,
            zorder=2,
        )
    for mark in sorted(marks, key=lambda mark: -mark.diameter):
        _draw_mark(axes, mark, chart, on_front=mark in front)
    _number(axes, [*front, *(mark for mark in marks if mark not in front)])
    if not narrow:
        _list_names(figure, marks, has_front=bool(front))
    return figure


def _marks(chart: Chart, rows: Sequence[Row]) -> list[Mark]:
    pairs = [(number, row, chart.x(row), chart.y(row)) for number, row in enumerate(rows, start=1)]
    able = [(number, row, x, y) for number, row, x, y in pairs if x is not None and y is not None and x > 0]
    most = max((row.params for _, row, _, _ in able), default=1.0)
    return [
        Mark(number, row, x, y, max(SMALLEST, LARGEST * math.sqrt(row.params / most)) if chart.bubbles else 9.0)
        for number, row, x, y in able
    ]


def _front(chart: Chart, marks: Sequence[Mark]) -> list[Mark]:
    if chart.best == "none":
        return []
    return [marks[i] for i in pareto_front([mark.x for mark in marks], [mark.y for mark in marks])]


def _scale(axes: Axes, chart: Chart, marks: Sequence[Mark], *, narrow: bool) -> None:
    axes.set_xscale("log")
    low, high = _log_range([mark.x for mark in marks])
    axes.set_xlim(low, high)
    ticks = log_ticks(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks[:: 1 + (narrow and len(ticks) > 5)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: chart.write_x(value)))
    ys = [mark.y for mark in marks]
    if chart.log_y:
        axes.set_yscale("log")
        low, high = _log_range(ys)
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        spread = [100 * (mark.row.top1.std or 0) if mark.row.top1 else 0.0 for mark in marks]
        least = min(y - s for y, s in zip(ys, spread, strict=True))
        most = max(y + s for y, s in zip(ys, spread, strict=True))
        room = 0.14 * ((most - least) or 1.0)
        axes.set_ylim(least - room, most + room)
        ticks = [tick for tick in MaxNLocator(nbins=6).tick_values(least - room, most + room) if tick <= 100]
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if least - room <= tick <= most + room]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: chart.write_y(value)))


def _log_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = max((high / low) ** 0.09, 1.15)
    return low / pad, high * pad


def _draw_mark(axes: Axes, mark: Mark, chart: Chart, *, on_front: bool) -> None:
    ink = colour(ROLES[mark.row.kind])
    if mark.row.top1 is not None and mark.row.top1.std and not chart.log_y:
        reach = 100 * mark.row.top1.std
        axes.plot([mark.x, mark.x], [mark.y - reach, mark.y + reach], color=ink, linewidth=1, alpha=0.7, zorder=3)
    drawn = axes.plot([mark.x], [mark.y], "o", color=ink, markersize=mark.diameter, alpha=0.75, zorder=4)[0]
    drawn.set(markeredgewidth=1.6 if on_front else 0, markeredgecolor=colour("accent"), clip_on=False)


def _number(axes: Axes, marks: Sequence[Mark]) -> None:
    """Write each network's number beside its bubble, where it covers nothing; where there is no such place, none."""
    centres = {mark.number: _pixels(axes, mark) for mark in marks}
    bubbles = [_box(centres[mark.number], mark.diameter, mark.diameter) for mark in marks]
    frame = axes.get_window_extent()
    placed: list[Box] = []
    for mark in marks:
        text = str(mark.number)
        for x, y, far in _places(centres[mark.number], mark.diameter, text):
            box = _box((x, y), text_width(text, size=FONT_SIZE) + 2, FONT_SIZE)
            inside = frame.x0 <= box[0] and box[2] <= frame.x1 and frame.y0 <= box[1] and box[3] <= frame.y1 + 14
            if inside and not any(_overlap(box, other) for other in (*bubbles, *placed)):
                placed.append(box)
                _write_number(axes, text, centres[mark.number], (x, y), far=far)
                break


def _pixels(axes: Axes, mark: Mark) -> Pixels:
    x, y = axes.transData.transform((mark.x, mark.y))
    return float(x), float(y)


def _places(centre: Pixels, diameter: float, text: str) -> Iterator[tuple[float, float, bool]]:
    half = text_width(text, size=FONT_SIZE) / 2 + 1
    for distance in DISTANCES:
        for right, up in DIRECTIONS:
            reach = diameter / 2 + distance
            yield centre[0] + right * (reach + half * abs(right)), centre[1] + up * (reach + 4), distance > DISTANCES[1]


def _write_number(axes: Axes, text: str, centre: Pixels, place: Pixels, *, far: bool) -> None:
    inverse = axes.transData.inverted()
    x, y = inverse.transform(place)
    if far:  # a thin line says whose number it is
        start = inverse.transform(centre)
        axes.plot([start[0], x], [start[1], y], color=colour("dot"), linewidth=0.6, zorder=1)
    axes.text(x, y, text, color=colour("ink"), size=FONT_SIZE, ha="center", va="center", zorder=6, parse_math=False)


def _box(centre: Pixels, width: float, height: float) -> Box:
    x, y = centre
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _list_names(figure: Figure, marks: Sequence[Mark], *, has_front: bool) -> None:
    """Write numbers and names to the right of the axes, then what the colours mean."""
    width, height = (72 * inches for inches in figure.get_size_inches())
    kinds = [kind for kind in ROLES if any(mark.row.kind == kind for mark in marks)]
    room = int((height - MARGINS["top"]) / LINE_HEIGHT) - len(kinds) - has_front - 1
    x, y = width - LEGEND_WIDTH + 14, height - MARGINS["top"]
    shown = marks if len(marks) <= room else marks[: room - 1]
    for mark in shown:
        name = shorten(f"{mark.number}  {mark.row.label}", LEGEND_WIDTH - 20)
        _write_line(figure, x, y, name, role=ROLES[mark.row.kind] if mark.row.kind != "random" else "muted")
        y -= LINE_HEIGHT
    if len(shown) < len(marks):
        _write_line(figure, x, y, f"and {len(marks) - len(shown)} more: see the table", role="muted")
        y -= LINE_HEIGHT
    y -= LINE_HEIGHT / 2
    for kind in kinds:
        _write_line(figure, x, y, f"\u25cf {KINDS[kind]}", role=ROLES[kind])
        y -= LINE_HEIGHT
    if has_front:
        _write_line(figure, x, y, "\u2500 Pareto front", role="accent")


def _write_line(figure: Figure, x: float, y: float, text: str, *, role: str) -> None:
    width, height = (72 * inches for inches in figure.get_size_inches())
    figure.text(x / width, y / height, text, color=colour(role), size=FONT_SIZE - 0.5, va="top", parse_math=False)


def shorten(text: str, width: float) -> str:
    """Return a text that is no wider than so many pixels, its middle left out where it is."""
    text = printable(text)
    if text_width(text, size=FONT_SIZE) <= width:
        return text
    keep = len(text) - 1
    while keep > 4 and text_width(text[: keep - 8] + "\u2026" + text[-8:], size=FONT_SIZE) > width:
        keep -= 1
    return text[: keep - 8] + "\u2026" + text[-8:]


def draw_strip(rows: Sequence[Row], *, narrow: bool = False) -> Figure | None:
    """Return every training as a dot, a line a network, with the mean as a tick; None where nothing was trained."""
    able = [(number, row) for number, row in enumerate(rows, start=1) if row.accuracies]
    if not able:
        return None
    width, height = (NARROW if narrow else WIDE)[0], 56 + STRIP_ROW * len(able)
    figure = new_figure(width, height, label=f"Top-1 test accuracy of every training of {len(able)} networks.")
    left = 120.0 if narrow else 300.0
    axes = figure.add_axes(
        (left / width, 44 / height, (width - left - 18) / width, (height - 50) / height), facecolor="none"
    )
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set_color(colour("dot"))
    axes.grid(axis="x", color=colour("line"), linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=colour("muted"), labelsize=FONT_SIZE, length=0, pad=6)
    for i, (number, row) in enumerate(able):
        ink = colour(ROLES[row.kind])
        assert row.top1 is not None
        axes.plot(
            [100 * value for value in row.accuracies],
            [i] * len(row.accuracies),
            "o",
            color=ink,
            markersize=7,
            alpha=0.7,
        )
        axes.plot([100 * row.top1.mean], [i], "|", color=colour("ink"), markersize=15, markeredgewidth=1.8)
        y = (44 + (height - 50) * (len(able) - 0.5 - i) / len(able)) / height
        name = shorten(f"{number}  {row.label}", left - 16)
        figure.text(4 / width, y, name, color=colour("ink"), size=FONT_SIZE, va="center", parse_math=False)
    axes.set_ylim(len(able) - 0.5, -0.5)
    axes.yaxis.set_major_locator(NullLocator())
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if narrow else 8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.set_xlabel("Top-1 test accuracy (%)", labelpad=6, color=colour("muted"), size=FONT_SIZE, parse_math=False)
    return figure
