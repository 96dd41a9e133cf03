"""The chart of a comparison: a line a controller, and no line below what the axis can show."""

from __future__ import annotations

import io

import numpy as np
import pytest

from nas.benchmarking import BenchResult, ControllerResult
from nas.errors import InvalidInputError
from nas.report.regret_chart import ROLES, draw_regret


def result(regret: list[list[float]], *names: str) -> BenchResult:
    distances = np.array(regret)
    found = ControllerResult(1 - distances, distances, 1 - distances[:, -1], np.ones(len(distances)))
    return BenchResult(1.0, dict.fromkeys(names, found))


def test_line_is_the_mean_and_ends_where_it_is_0() -> None:
    figure = draw_regret(result([[0.5, 0.1, 0.0], [0.3, 0.3, 0.0]], "a"), metric="score")
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), [0.4, 0.2, np.nan])
    assert figure.axes[0].get_yscale() == "log"
    assert "a" in str(figure.get_label())


def test_one_seed_has_no_band_and_regret_0_everywhere_can_be_drawn() -> None:
    figure = draw_regret(result([[0.0, 0.0]], "a"), metric="score")
    figure.savefig(io.BytesIO())


def test_more_controllers_than_colours_are_told_apart() -> None:
    figure = draw_regret(result([[0.5, 0.1]], *map(str, range(len(ROLES) + 1))), metric="score")
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == len(ROLES) + 1


def test_missing_hypervolume_is_drawn_on_demand() -> None:
    distances = np.array([[0.5, 0.1, 0.0]])
    found = ControllerResult(1 - distances, distances, np.ones(1), np.ones(1), hypervolume=np.array([[0.2, 0.6, 1.0]]))
    figure = draw_regret(BenchResult(1.0, {"a": found}), metric="score", of_front=True)
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), [0.8, 0.4, np.nan])
    assert figure.axes[0].get_ylabel() == "Missing share of the hypervolume"
    with pytest.raises(InvalidInputError, match="needs a comparison with costs"):
        draw_regret(result([[0.5, 0.1]], "a"), metric="score", of_front=True)


def test_epochs_are_the_axis_where_they_are_counted() -> None:
    distances = np.full((2, 100), 0.5)
    found = ControllerResult(1 - distances, distances, np.ones(2), np.ones(2), max_epochs=600)
    figure = draw_regret(BenchResult(1.0, {"a": found}), metric="score")
    assert figure.axes[0].get_xlabel() == "Epochs"
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xdata()[[0, -1]], [6, 600])
