"""Charts of a run: the best result so far over trials, and what networks achieve against what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from controllers.trial import Objective, Record
from nas.report.analysis import fully_trained, metric_of, objective_value
from nas.report.chart_axes import FONT_SIZE, HALF, NARROW, WIDE, log_ticks, make_axes, short_count
from nas.report.formatting import format_metric, metric_style, printable
from nas.report.pareto import pareto_front
from nas.report.theme import colour

FAR_FENCE = 3.0  # quartile distances below the lower quartile, beyond which a result is far out (Tukey 1977)
FAILURE_HEIGHT = 0.035  # of the marks of failed trials, as a share of the chart's height
SHORTER = 0.55  # size of the dot of a training that was not in full, as a share of the others'
ROOM_FOR_LABEL = 0.16  # beyond the best result, as a share of the range of results
ROOM_FOR_FAILURES = 0.12


@dataclass(frozen=True, slots=True)
class Point:
    """A network in a chart: its trial, where it stands, and how good it is (larger is better)."""

    number: int
    x: float
    y: float
    score: float


def draw_progress(
    records: Sequence[Record], *, objective: Objective, size: tuple[float, float] = WIDE
) -> Figure | None:
    """Draw every result over trial numbers, the best so far as a line, and failures at the bottom.

    Args:
        records: in any order, failures included.
        objective: what "best" means; with a target, its weighed metric is drawn.
        size: width and height in pixels: `WIDE` or `NARROW`.

    Returns:
        The chart, or None when no trial has a result.
    """
    ordered = sorted(records, key=lambda record: record.trial.number)
    points = _points(ordered, objective=objective, xs=[float(record.trial.number) for record in ordered])
    if not points:
        return None
    scored = [record for record in ordered if objective_value(record, objective) is not None]
    fully = {record.trial.number for record in fully_trained(scored)}
    contenders = [point for point in points if point.number in fully]
    others = [point for point in points if point.number not in fully]
    best = max(contenders, key=lambda point: point.score)
    label = f"{_metric_label(objective)} over {len(ordered)} trials; the best, {_value(best, objective)}, is trial "
    figure, axes = make_axes(size, label=f"{label}{best.number}.", x_label="Trial", y_label=_y_label(objective))
    _scale_y(axes, points, objective=objective)
    last = ordered[-1].trial.number
    axes.set_xlim(-0.5 - 0.01 * last, last + 0.5 + 0.01 * last)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if size[0] < WIDE[0] else 12, integer=True))
    size_of_dot = 3.6 if len(points) <= 400 else 2.4
    _draw_dots(axes, contenders, size=size_of_dot, role="dot")
    if others:
        _draw_dots(axes, others, size=SHORTER * size_of_dot, role="dot")
    _draw_best_so_far(axes, contenders, last=last)
    _draw_failures(axes, ordered)
    _ring(axes, best, objective=objective)
    return figure


def draw_tradeoff(
    records: Sequence[Record], *, objective: Objective, cost: str, size: tuple[float, float] = HALF
) -> Figure | None:
    """Draw the objective's metric against a cost on a logarithmic axis, with the Pareto front.

    Args:
        records: in any order; those without both metrics are left out, and so are trainings that were not in full.
        objective: its metric is drawn, and the best network under it is ringed.
        cost: name of the metric on the horizontal axis: ``params`` or ``macs``.
        size: width and height in pixels.

    Returns:
        The chart, or None when no trial has both metrics and a cost above 0.
    """
    plain = Objective(metric=objective.metric, direction=objective.direction)
    scored = [record for record in records if objective_value(record, plain) is not None]
    priced = fully_trained([record for record in scored if (metric_of(record, cost) or 0) > 0])
    points = _points(priced, objective=plain, xs=[record.measurement.metrics[cost] for record in priced])
    if not points:
        return None
    best = _best_under(objective, priced, points)
    front = [points[i] for i in pareto_front([p.x for p in points], [p.score for p in points])]
    name = metric_style(cost).label
    label = (
        f"{_metric_label(plain)} against {name} of {len(points)} networks, {len(front)} of them on the Pareto front."
    )
    figure, axes = make_axes(size, label=label, x_label=f"{name} (log scale)", y_label=_y_label(plain))
    _scale_y(axes, points, objective=plain)
    _scale_cost(axes, [point.x for point in points], cost=cost)
    _draw_dots(axes, points, size=3.6 if len(points) <= 400 else 2.4, role="dot")
    _draw_front(axes, front)
    _ring(axes, best, objective=plain)
    return figure


def num_far_out(records: Sequence[Record], *, objective: Objective) -> int:
    """Return how many results are so far below the others that `draw_progress` puts them on the edge."""
    points = _points(records, objective=objective, xs=[0.0] * len(records))
    fence = _far_fence([point.score for point in points]) if points else -math.inf
    return sum(point.score < fence for point in points)


def _points(records: Sequence[Record], *, objective: Objective, xs: Sequence[float]) -> list[Point]:
    """Return the points of the records that have a result; shares become percent."""
    points = []
    for record, x in zip(records, xs, strict=True):
        value = objective_value(record, objective)
        if value is not None:
            sign = 1 if objective.direction == "maximize" else -1
            points.append(Point(record.trial.number, x, value * _factor(objective), sign * value))
    return points


def _best_under(objective: Objective, records: Sequence[Record], points: Sequence[Point]) -> Point:
    scored = {p.number: p.score for p in _points(records, objective=objective, xs=[0.0] * len(records))}
    return max(points, key=lambda point: scored.get(point.number, -math.inf))


def _factor(objective: Objective) -> float:
    return 100.0 if metric_style(objective.metric).kind == "share" and objective.target is None else 1.0


def _metric_label(objective: Objective) -> str:
    label = printable(metric_style(objective.metric).label)
    return label if objective.target is None else f"{label}, weighed by {metric_style(objective.cost).label}"


def _y_label(objective: Objective) -> str:
    return f"{_metric_label(objective)} (%)" if _factor(objective) == 100 else _metric_label(objective)


def _value(point: Point, objective: Objective) -> str:
    if objective.target is not None:
        return f"{point.y:.4g}"
    return format_metric(objective.metric, point.y / _factor(objective))


def _scale_y(axes: Axes, points: Sequence[Point], *, objective: Objective) -> None:
    """Show the good results at a readable scale: those far worse than the rest are drawn at the edge."""
    fence = _far_fence([point.score for point in points])
    ys = [point.y for point in points if point.score >= fence]
    low, high = min(ys), max(ys)
    span = (high - low) or abs(high) * 0.05 or 1.0
    room_below = ROOM_FOR_FAILURES if objective.direction == "maximize" else ROOM_FOR_LABEL
    axes.set_ylim(low - room_below * span, high + ROOM_FOR_LABEL * span)
    ceiling = 100.0 if _factor(objective) == 100 else math.inf  # room above 100 % is for the label, not for results
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(*axes.get_ylim())
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low - span <= tick <= ceiling]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))


def _far_fence(scores: Sequence[float]) -> float:
    """Return the score below which results are far out; minus infinity where quartiles say nothing."""
    ordered = sorted(scores)
    lower, upper = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    if len(ordered) < 8 or lower == upper:
        return -math.inf
    return lower - FAR_FENCE * (upper - lower)


def _scale_cost(axes: Axes, costs: Sequence[float], *, cost: str) -> None:
    low, high = min(costs), max(costs)
    pad = max((high / low) ** 0.06, 1.08)
    axes.set_xscale("log")
    axes.set_xlim(low / pad, high * pad)
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low / pad, high * pad)))
    axes.xaxis.set_minor_locator(NullLocator())
    counted = metric_style(cost).kind in ("params", "macs")
    write = (lambda value: short_count(value, kind=metric_style(cost).kind)) if counted else "{:.4g}".format
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))


def _draw_dots(axes: Axes, points: Sequence[Point], *, size: float, role: str) -> None:
    """Draw dots as one path of lines without length and with round ends: a quarter of the text that markers take.

    What lies beyond the edge of the chart is drawn on it.
    """
    low, high = sorted(axes.get_ylim())
    hair = 1e-6 * (high - low)  # some renderers drop lines of no length at all
    vertices = []
    for point in points:
        y = min(max(point.y, low), high)
        vertices += [(point.x, y), (point.x, y + hair)]
    path = Curve(vertices, [Curve.MOVETO, Curve.LINETO] * len(points))
    path.should_simplify = False  # simplification and snapping to pixels drop lines this short
    patch = PathPatch(path, facecolor="none", edgecolor=colour(role), linewidth=size, capstyle="round", clip_on=False)
    patch.set(snap=False, zorder=2)
    axes.add_artist(patch)


def _draw_best_so_far(axes: Axes, points: Sequence[Point], *, last: int) -> None:
    """Draw a step for every trial that was better than all before it."""
    steps: list[Point] = []
    for point in points:
        if not steps or point.score > steps[-1].score:
            steps.append(point)
    xs, ys = [point.x for point in steps], [point.y for point in steps]
    ink = colour("accent")
    axes.plot([*xs, last], [*ys, ys[-1]], drawstyle="steps-post", color=ink, linewidth=1.8, zorder=3)


def _draw_failures(axes: Axes, records: Sequence[Record]) -> None:
    """Mark trials without a result at the bottom: crosses for failures, ticks for what was refused untrained."""
    for refused, marker, role in ((True, "|", "dot"), (False, "x", "bad")):
        numbers = [
            record.trial.number
            for record in records
            if not record.measurement.ok and (record.measurement.status == "infeasible") == refused
        ]
        heights = [FAILURE_HEIGHT] * len(numbers)
        size = 5 if len(numbers) <= 50 else 3
        marks = axes.plot(numbers, heights, marker, color=colour(role), markersize=size, clip_on=False, zorder=3)
        marks[0].set_transform(axes.get_xaxis_transform())


def _draw_front(axes: Axes, front: Sequence[Point]) -> None:
    """Draw the front as steps: a network is as good as the cheaper one until the next is affordable."""
    xs, ys = [point.x for point in front], [point.y for point in front]
    right = axes.get_xlim()[1]
    ink = colour("accent")
    axes.plot([*xs, right], [*ys, ys[-1]], drawstyle="steps-post", color=ink, linewidth=1.4, zorder=3)
    axes.plot(xs, ys, "o", color=ink, markersize=4.5, markeredgewidth=0, zorder=4)


def _ring(axes: Axes, best: Point, *, objective: Objective) -> None:
    """Ring the best network and write its trial and value beside the ring, away from the edges."""
    ring = axes.plot([best.x], [best.y], "o", color=colour("best"), markersize=11, markeredgewidth=2, zorder=5)
    ring[0].set(markerfacecolor="none", clip_on=False)
    across = axes.transAxes.inverted().transform(axes.transData.transform((best.x, best.y)))[0]
    side, shift = ("left", -6) if across < 0.25 else ("right", 6) if across > 0.75 else ("center", 0)
    up = objective.direction == "maximize"
    axes.annotate(
        f"trial {best.number}: {_value(best, objective)}",
        (best.x, best.y),
        xytext=(shift, 11 if up else -11),
        textcoords="offset points",
        ha=side,
        va="bottom" if up else "top",
        color=colour("best"),
        size=FONT_SIZE,
        weight="bold",
        parse_math=False,
        annotation_clip=False,
    )


__all__ = ["FONT_SIZE", "HALF", "NARROW", "WIDE", "Point", "draw_progress", "draw_tradeoff", "log_ticks", "num_far_out"]
