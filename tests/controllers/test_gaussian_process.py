"""The Gaussian process: equal to the textbook's formulas, and fitted by true gradients."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.encoding import Encoder, Features
from controllers.gaussian_process import Kernel, Posterior, _Likelihood, fit_kernel
from search_spaces.architecture import Decision

DECISIONS = [Decision("a", (1, 2, 3)), Decision("b", (1, 2, 3)), Decision("c", ("x", "y", "z")), Decision("d", (0, 1))]
ENCODER = Encoder(DECISIONS)
KERNEL = Kernel(np.log([0.5, 1.0, 0.2, 0.7]), np.log([0.3, 0.6]), float(np.log(0.1)))


def points(n: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    return ENCODER.encode(np.stack([rng.integers(0, len(decision), n) for decision in DECISIONS], axis=1))


def values(features: Features) -> np.ndarray:
    """Depend on the first two decisions only."""
    raw = np.array([-1.0, 0.3, 1.0])[features.choices[:, 0]] + 0.5 * (features.choices[:, 1] == 1)
    return (raw - raw.mean()) / raw.std()


def covariance(a: Features, b: Features, kernel: Kernel = KERNEL) -> np.ndarray:
    """The kernel as the module's docstring writes it, point by point."""
    found = np.zeros((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            combined = np.exp(-np.exp(kernel.log_weights) @ (a.choices[i] != b.choices[j]))
            linear = [
                np.exp(s) * (f[i] @ g[j]) for s, f, g in zip(kernel.log_strengths, a.linear, b.linear, strict=True)
            ]
            found[i, j] = combined + sum(linear)
    return found


def test_the_kernel_is_the_formula() -> None:
    a, b = points(9), points(5, seed=1)
    assert np.allclose(KERNEL.covariance(a, b), covariance(a, b))
    assert np.allclose(KERNEL.variance(a), np.diag(covariance(a, a)))


def test_kernel_and_vector_are_two_ways_to_write_the_same() -> None:
    again = Kernel.from_vector(KERNEL.to_vector(), num_decisions=4)
    assert np.array_equal(again.to_vector(), KERNEL.to_vector())
    assert len(again.log_weights) == 4


def test_posterior_equals_the_textbook() -> None:
    """Rasmussen and Williams 2006, eq. 2.25 and 2.26, with inverses written out, however the points arrive."""
    known, new = points(12), points(7, seed=1)
    y = values(known)
    inverse = np.linalg.inv(covariance(known, known) + KERNEL.noise * np.eye(12))
    cross = covariance(new, known)
    signal = y @ inverse @ y / 12
    expected = signal * (np.diag(covariance(new, new)) - np.einsum("ij,jk,ik->i", cross, inverse, cross))
    for parts in ([12], [5, 7], [1] * 12):
        posterior = Posterior(KERNEL, new)
        start = 0
        for size in parts:
            posterior.extend(known.take(np.arange(start, start + size)))
            start += size
        mean, deviation = posterior.predict(y)
        assert np.allclose(mean, cross @ inverse @ y)
        assert np.allclose(deviation**2, expected)


def test_values_to_come_are_believed_to_be_as_predicted() -> None:
    """Points without values change no mean and take the same uncertainty as any value for them would."""
    known, pending, new = points(12), points(3, seed=5), points(40, seed=1)
    y = values(known)
    posterior = Posterior(KERNEL, new)
    posterior.extend(known)
    mean, before = posterior.predict(y)
    at_pending = Posterior(KERNEL, pending)
    at_pending.extend(known)
    believed = np.concatenate([y, at_pending.predict(y)[0]])
    posterior.extend(pending)
    same, after = posterior.predict(y)
    assert np.allclose(posterior.predict(believed)[0], mean)
    assert np.array_equal(same, mean)
    assert np.all(after <= before + 1e-12)
    assert after.min() < before.min()
    posterior.truncate(12)
    assert len(posterior) == 12
    assert np.allclose(posterior.predict(y)[1], before)


def test_gradient_is_the_differences() -> None:
    known = points(15)
    likelihood = _Likelihood.of(known, values(known))
    rng = np.random.default_rng(0)
    for _ in range(5):
        at = likelihood.prior + rng.normal(size=len(likelihood.prior))
        _, gradient = likelihood.loss(at)
        for i in range(len(at)):
            step = np.eye(len(at))[i] * 1e-5
            slope = (likelihood.loss(at + step)[0] - likelihood.loss(at - step)[0]) / 2e-5
            assert gradient[i] == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_without_noise_the_data_are_met() -> None:
    known = points(20)
    _, first = np.unique(known.choices, axis=0, return_index=True)
    known = known.take(first)
    posterior = Posterior(Kernel(np.zeros(4), np.log([0.1, 0.1]), float(np.log(1e-9))), known)
    posterior.extend(known)
    mean, deviation = posterior.predict(values(known))
    assert np.allclose(mean, values(known), atol=1e-3)
    assert np.all(deviation < 1e-2)


def test_fit_finds_the_decisions_that_matter() -> None:
    """Values of combinations of the first two decisions; what is left for the others is small."""
    known = points(80)
    raw = np.where(known.choices[:, 0] == known.choices[:, 1], 1.0, -1.0)
    start = Kernel.start(4, 2)
    fitted = fit_kernel(known, (raw - raw.mean()) / raw.std(), start=start)
    assert min(fitted.log_weights[:2]) > max(fitted.log_weights[2:]) + 0.5
    noise = np.random.default_rng(0).normal(size=80)
    assert fit_kernel(known, noise, start=start).log_noise > fitted.log_noise


def test_fit_finds_that_effects_add_up() -> None:
    known = points(80)
    start = Kernel.start(4, 2)
    fitted = fit_kernel(known, values(known), start=start)
    assert fitted.log_strengths[0] > start.log_strengths[0]


def test_fit_does_not_worsen_its_start() -> None:
    known = points(30)
    likelihood = _Likelihood.of(known, values(known))
    fitted = fit_kernel(known, values(known), start=Kernel.start(4, 2))
    assert likelihood.loss(fitted.to_vector())[0] < likelihood.loss(likelihood.prior)[0]
