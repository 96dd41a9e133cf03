"""Charts: what is drawn is what was measured, for many results, few and none."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from controllers.trial import Objective, Record
from nas.report.charts import NARROW, draw_progress, draw_tradeoff, log_ticks, num_far_out
from nas.report.figures import figure_svg
from nas.report.theme import colour

Make = Callable[..., Record]


def _line(figure: Figure, role: str, *, marker: str = "None") -> np.ndarray:
    """(n, 2) data of the line of a colour and marker."""
    (axes,) = figure.axes
    (line,) = [line for line in axes.lines if line.get_color() == colour(role) and line.get_marker() == marker]
    return np.column_stack([line.get_xdata(), line.get_ydata()])


def _texts(figure: Figure) -> set[str]:
    return {text for element in ET.fromstring(figure_svg(figure)).iter() if (text := element.text)}


def test_best_so_far_steps_up_only(ok: Make, failed: Make) -> None:
    records = [ok(3, 0.95), ok(0, 0.90), ok(1, 0.85), failed(2), ok(4, 0.91)]
    figure = draw_progress(records, objective=Objective())
    assert figure is not None
    np.testing.assert_allclose(_line(figure, "accent"), [[0, 90], [3, 95], [4, 95]])
    assert "trial 3: 95.00%" in _texts(figure)


def test_best_so_far_steps_down_when_minimising(ok: Make) -> None:
    figure = draw_progress([ok(0, 0.9, params=5e5), ok(1, 0.9, params=1e5)], objective=Objective("params", "minimize"))
    assert figure is not None
    np.testing.assert_allclose(_line(figure, "accent")[:, 1], [5e5, 1e5, 1e5])
    assert "trial 1: 100K" in _texts(figure)


def test_trainings_that_were_not_in_full_are_small_dots_and_no_trade_off(ok: Make) -> None:
    records = [ok(i, 0.1 * i, budget=2 if i < 4 else 8, params=1e5 * (1 + i)) for i in range(6)]
    progress, tradeoff = (
        draw_progress(records, objective=Objective()),
        draw_tradeoff(records, objective=Objective(), cost="params"),
    )
    assert progress is not None
    assert tradeoff is not None
    dots = {len(patch.get_path().vertices) // 2: patch.get_linewidth() for patch in progress.axes[0].patches}
    assert dots.keys() == {2, 4}
    assert dots[4] < dots[2]
    np.testing.assert_allclose(_line(tradeoff, "accent", marker="o")[:, 0], [5e5, 6e5])


def test_failures_and_refusals_are_marked_at_the_bottom(ok: Make, failed: Make) -> None:
    records = [ok(0, 0.9), failed(1), failed(2, "infeasible"), failed(3, "lost")]
    figure = draw_progress(records, objective=Objective())
    assert figure is not None
    assert _line(figure, "bad", marker="x")[:, 0].tolist() == [1, 3]
    assert _line(figure, "dot", marker="|")[:, 0].tolist() == [2]


def test_a_weighed_objective_is_drawn_as_weighed(ok: Make) -> None:
    objective = Objective(cost="macs", target=4e6)
    figure = draw_progress([ok(0, 0.9, macs=4e6)], objective=objective)
    assert figure is not None
    assert "Validation accuracy, weighed by MACs" in _texts(figure)
    np.testing.assert_allclose(_line(figure, "accent")[0], [0, 0.9])


def test_the_front_is_drawn_and_the_best_ringed(ok: Make) -> None:
    records = [ok(0, 0.80, params=1e5), ok(1, 0.90, params=2e5), ok(2, 0.85, params=3e5), ok(3, 0.95, params=1e6)]
    figure = draw_tradeoff(records, objective=Objective(), cost="params")
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    np.testing.assert_allclose(_line(figure, "accent", marker="o"), [[1e5, 80], [2e5, 90], [1e6, 95]])
    np.testing.assert_allclose(_line(figure, "best", marker="o"), [[1e6, 95]])


def test_the_ring_marks_the_best_of_a_weighed_objective(ok: Make) -> None:
    records = [ok(0, 0.90, macs=1e6), ok(1, 0.901, macs=1e9)]
    figure = draw_tradeoff(records, objective=Objective(cost="macs", target=1e6), cost="macs")
    assert figure is not None
    np.testing.assert_allclose(_line(figure, "best", marker="o"), [[1e6, 90]])


@pytest.mark.parametrize("accuracies", [[], [0.9], [0.9, 0.9], [0.0], [1.0, 0.999]])
def test_few_results_are_drawn(accuracies: list[float], ok: Make) -> None:
    records = [ok(i, accuracy) for i, accuracy in enumerate(accuracies)]
    for figure in (
        draw_progress(records, objective=Objective(), size=NARROW),
        draw_tradeoff(records, objective=Objective(), cost="macs"),
    ):
        assert (figure is None) == (not accuracies)
        if figure is not None:
            ET.fromstring(figure_svg(figure))


def test_only_failures_give_no_chart(failed: Make) -> None:
    assert draw_progress([failed(0)], objective=Objective()) is None
    assert draw_tradeoff([failed(0)], objective=Objective(), cost="params") is None


def test_networks_without_cost_are_left_out(ok: Make) -> None:
    assert draw_tradeoff([ok(0, 0.9, params=0)], objective=Objective(), cost="params") is None
    assert draw_tradeoff([ok(0, 0.9)], objective=Objective(), cost="latency_ms") is None


def test_far_out_results_do_not_flatten_the_others(ok: Make) -> None:
    records = [ok(i, 0.9 + 0.002 * i) for i in range(12)] + [ok(12, 0.1)]
    figure = draw_progress(records, objective=Objective())
    assert figure is not None
    assert figure.axes[0].get_ylim()[0] > 80
    assert num_far_out(records, objective=Objective()) == 1
    assert num_far_out(records[:12], objective=Objective()) == 0


def test_accuracy_has_no_ticks_above_100_percent(ok: Make) -> None:
    figure = draw_progress([ok(0, 0.97), ok(1, 1.0)], objective=Objective())
    assert figure is not None
    assert max(figure.axes[0].get_yticks()) <= 100


def test_thousands_of_dots_stay_small(ok: Make) -> None:
    """Dots are one path of about 20 bytes each."""
    records = [ok(i, 0.9 + 0.05 * np.sin(i)) for i in range(2000)]
    figure = draw_progress(records, objective=Objective())
    assert figure is not None
    assert len(figure_svg(figure)) < 100_000


@pytest.mark.parametrize(
    ("low", "high"), [(1e5, 1.1e5), (1e5, 3e5), (9e4, 4e6), (1, 1e9), (99_999, 100_001), (5e5, 9.7e6)]
)
def test_ticks_are_few_and_round(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)
    assert ticks == sorted(set(ticks))
