"""The Gaussian process: equal to the textbook's formulas, and fitted by true gradients."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.gaussian_process import (
    JITTER,
    CategoricalGaussianProcess,
    _negative_log_posterior,
    fit_parameters,
    start_parameters,
)


def data(n: int, decisions: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of three options a decision, and values that depend on the first two decisions only."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 3, (n, decisions))
    values = np.array([-1.0, 0.3, 1.0])[points[:, 0]] + 0.5 * (points[:, 1] == 1)
    return points, (values - values.mean()) / values.std()


def kernel(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.exp(-(weights * (a[:, None, :] != b[None, :, :])).sum(-1))


def test_posterior_equals_the_textbook() -> None:
    """Rasmussen and Williams 2006, eq. 2.25 and 2.26, with inverses written out."""
    points, values = data(12)
    new = data(7, seed=1)[0]
    parameters = np.log([0.5, 1.0, 0.2, 0.7, 0.1])
    model = CategoricalGaussianProcess.condition(points, values, parameters)
    inverse = np.linalg.inv(kernel(points, points, np.exp(parameters[:-1])) + (0.1 + JITTER) * np.eye(12))
    cross = kernel(new, points, np.exp(parameters[:-1]))
    variance = values @ inverse @ values / 12
    mean, deviation = model.predict(new)
    assert np.allclose(mean, cross @ inverse @ values)
    assert np.allclose(deviation**2, variance * (1 - np.einsum("ij,jk,ik->i", cross, inverse, cross)))


def test_gradient_is_the_differences() -> None:
    points, values = data(15)
    differs = (points[:, None, :] != points[None, :, :]).transpose(2, 0, 1).reshape(4, -1).astype(float)
    prior = start_parameters(4)
    rng = np.random.default_rng(0)
    for _ in range(5):
        at = prior + rng.normal(size=5)
        _, gradient = _negative_log_posterior(at, values, differs=differs, prior=prior)
        for i in range(5):
            step = np.eye(5)[i] * 1e-5
            above, _ = _negative_log_posterior(at + step, values, differs=differs, prior=prior)
            below, _ = _negative_log_posterior(at - step, values, differs=differs, prior=prior)
            assert gradient[i] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-5)


def test_without_noise_the_data_are_met() -> None:
    points, values = data(20)
    points, first = np.unique(points, axis=0, return_index=True)
    model = CategoricalGaussianProcess.condition(points, values[first], np.log([1.0, 1.0, 1.0, 1.0, 1e-9]))
    mean, deviation = model.predict(points)
    assert np.allclose(mean, values[first], atol=1e-3)
    assert np.all(deviation < 1e-2)


def test_far_from_all_data_nothing_is_known() -> None:
    points, values = data(10)
    model = CategoricalGaussianProcess.condition(points, values, np.log([50.0, 50.0, 50.0, 50.0, 0.1]))
    mean, deviation = model.predict(np.full((1, 4), 7))
    assert mean[0] == pytest.approx(0.0, abs=1e-6)
    assert deviation[0] == pytest.approx(model.variance**0.5)


def test_fit_finds_the_decisions_that_matter() -> None:
    points, values = data(60)
    fitted = fit_parameters(points, values, start=start_parameters(4))
    assert min(fitted[:2]) > max(fitted[2:4]) + 0.5
    noise = np.random.default_rng(0).normal(size=60)
    assert fit_parameters(points, noise, start=start_parameters(4))[-1] > fitted[-1]


def test_fit_does_not_worsen_its_start() -> None:
    points, values = data(30)
    differs = (points[:, None, :] != points[None, :, :]).transpose(2, 0, 1).reshape(4, -1).astype(float)
    prior = start_parameters(4)
    fitted = fit_parameters(points, values, start=prior)
    losses = [_negative_log_posterior(at, values, differs=differs, prior=prior)[0] for at in (prior, fitted)]
    assert losses[1] < losses[0]
