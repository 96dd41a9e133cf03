"""Expected improvement against its integral, and where its value is too small for a number."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from controllers.acquisition import log_expected_improvement


@pytest.mark.parametrize("mean", [-3.0, -0.9, 0.0, 2.0])
@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.5])
def test_it_is_the_integral(mean: float, deviation: float) -> None:
    def improvement(value: float) -> float:
        return float((value - 0.5) * norm.pdf(value, mean, deviation))

    expected, _ = quad(improvement, 0.5, max(mean, 0.5) + 12 * deviation, epsabs=0, epsrel=1e-9)
    found = log_expected_improvement(np.array([mean]), np.array([deviation]), best=0.5)[0]
    assert found == pytest.approx(np.log(expected), abs=1e-5)


def test_what_is_hopeless_is_still_in_order() -> None:
    """From means below the best by up to a million deviations: finite, and rising with the mean."""
    means = -np.logspace(6, -6, 400)
    found = log_expected_improvement(means, np.ones(400), best=0.0)
    assert np.all(np.isfinite(found))
    assert np.all(np.diff(found) > 0)


def test_certainty_above_the_best_is_worth_the_difference() -> None:
    found = log_expected_improvement(np.array([3.0]), np.array([1e-5]), best=1.0)
    assert np.exp(found[0]) == pytest.approx(2.0)
