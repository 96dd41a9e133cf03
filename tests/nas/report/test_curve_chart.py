"""Curves over epochs: gaps stay gaps, wide ranges get a logarithmic axis, nothing to draw gives nothing."""

from __future__ import annotations

from nas.report.curve_chart import draw_curves, mark_point


def test_a_line_a_quantity() -> None:
    figure = draw_curves({"a": [1.0, 2.0, 3.0], "b": [None, 1.5, None]}, label="two", y_label="Loss")
    assert figure is not None
    a, _, b, _ = figure.axes[0].lines
    assert list(a.get_xdata()) == [1, 2, 3]
    assert (list(b.get_xdata()), list(b.get_ydata())) == ([2], [1.5])
    assert figure.axes[0].get_yscale() == "linear"


def test_a_wide_range_has_a_logarithmic_axis() -> None:
    figure = draw_curves({"rate": [0.1, 0.01, 0.001]}, label="rate", y_label="Rate")
    assert figure is not None
    assert figure.axes[0].get_yscale() == "log"
    assert draw_curves({"zero": [0.0, 0.1]}, label="rate", y_label="Rate").axes[0].get_yscale() == "linear"  # type: ignore[union-attr]


def test_no_values_give_no_chart() -> None:
    assert draw_curves({"a": [], "b": [None]}, label="none", y_label="Loss") is None


def test_one_epoch_can_be_drawn_and_marked() -> None:
    figure = draw_curves({"a": [99.0]}, label="one", y_label="%", ceiling=100)
    assert figure is not None
    mark_point(figure, x=1, y=99.0, words="epoch 1")
    assert figure.axes[0].texts[-1].get_text() == "epoch 1"
    figure.canvas.draw()
    assert all(label.get_text() == "" or float(label.get_text()) <= 100 for label in figure.axes[0].get_yticklabels())


def test_long_trainings_have_no_dots() -> None:
    figure = draw_curves({"a": [float(i) for i in range(1, 200)]}, label="long", y_label="Loss")
    assert figure is not None
    assert len(figure.axes[0].lines) == 1
