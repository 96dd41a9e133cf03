"""A Gaussian process over categorical choices: what is known of networks that were not evaluated, and how well.

The kernel says that networks are alike by the decisions they share: k(a, b) = exp(-sum_i w_i [a_i != b_i]), one
weight a decision, so decisions that do not matter get weight zero. Weights and noise are fitted to the data by
marginal likelihood (Rasmussen and Williams 2006, sections 5.4.1 and 2.2) under weak priors that hold them near
their start while data are few. Nothing here knows of searching.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Choices = NDArray[np.int64]
Floats = NDArray[np.float64]

START_WEIGHT_SUM = 3.0  # networks that share no decision are e^-3 alike before anything is known
START_NOISE = 0.05
PRIOR_SD = 1.0  # of the logarithms of weights and noise around their start
JITTER = 1e-6
FIT_STEPS = 15


@dataclass(frozen=True, slots=True)
class CategoricalGaussianProcess:
    """A posterior of zero prior mean, given `values` at `points`.

    Attributes:
        points: (n, decisions) option indices.
        log_parameters: (decisions + 1,) logarithms of the weights and of the noise, relative to the signal.
        factor: (n, n) lower Cholesky factor of the relative covariance with noise.
        whitened: (n,) values with the factor's correlations taken out.
        variance: of the signal.
    """

    points: Choices
    log_parameters: Floats
    factor: Floats
    whitened: Floats
    variance: float

    @classmethod
    def condition(cls, points: Choices, values: Floats, log_parameters: Floats) -> Self:
        """Return the posterior for given parameters; the signal's variance is their best fit."""
        covariance = _kernel(points, points, log_parameters[:-1])
        covariance[np.diag_indices(len(points))] += np.exp(log_parameters[-1]) + JITTER
        factor = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
        whitened = solve_triangular(factor, values, lower=True)
        return cls(points, log_parameters, factor, whitened, max(float(whitened @ whitened) / len(values), 1e-12))

    def predict(self, points: Choices) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the noise-free value at each of (m, decisions) points."""
        cross = _kernel(self.points, points, self.log_parameters[:-1])
        projected = solve_triangular(self.factor, cross, lower=True, overwrite_b=True)
        left = np.maximum(1.0 - np.einsum("ij,ij->j", projected, projected), 0.0)
        return np.asarray(self.whitened @ projected), np.sqrt(self.variance * left)


def start_parameters(num_decisions: int) -> Floats:
    """Return the parameters before anything is known: all decisions matter equally."""
    weight = START_WEIGHT_SUM / num_decisions
    return np.array([*([np.log(weight)] * num_decisions), np.log(START_NOISE)])


def fit_parameters(points: Choices, values: Floats, *, start: Floats) -> Floats:
    """Return the parameters of largest marginal likelihood times prior, found by a few quasi-Newton steps.

    Args:
        points: (n, decisions) option indices.
        values: (n,) of about zero mean and unit variance.
        start: where to begin, such as an earlier fit.
    """
    differs = (points[:, None, :] != points[None, :, :]).transpose(2, 0, 1).reshape(points.shape[1], -1)
    prior = start_parameters(points.shape[1])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        return _negative_log_posterior(parameters, values, differs=differs.astype(np.float64), prior=prior)

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": FIT_STEPS})
    return np.asarray(found.x, dtype=np.float64)


def _negative_log_posterior(
    parameters: Floats, values: Floats, *, differs: Floats, prior: Floats
) -> tuple[float, Floats]:
    """Return -log p(values, parameters) up to a constant, the signal's variance fitted, and its gradient."""
    n = len(values)
    weights, noise = np.exp(parameters[:-1]), np.exp(parameters[-1])
    correlation = np.exp(-(weights @ differs)).reshape(n, n)
    factor = np.linalg.cholesky(correlation + (noise + JITTER) * np.eye(n))
    inverse = cho_solve((factor, True), np.eye(n))
    explained = inverse @ values
    variance = float(values @ explained) / n
    # 0.5 tr((C^-1 - a a^T / s^2) dC) is the derivative in any parameter of C (R&W eq. 5.9).
    slope = 0.5 * (inverse - np.outer(explained, explained) / variance)
    gradient = np.append(-weights * (differs @ (slope * correlation).ravel()), noise * np.trace(slope))
    distance = (parameters - prior) / PRIOR_SD
    value = 0.5 * n * np.log(variance) + float(np.log(np.diag(factor)).sum()) + 0.5 * float(distance @ distance)
    return value, gradient + distance / PRIOR_SD


def _kernel(a: Choices, b: Choices, log_weights: Floats) -> Floats:
    """Return k between (n, decisions) and (m, decisions) points: one product of one-hot codes."""
    weights = np.exp(log_weights)
    num_options = 1 + max(int(a.max()), int(b.max()))
    codes_a = np.eye(num_options)[a] * weights[None, :, None]
    codes_b = np.eye(num_options)[b]
    shared = codes_a.reshape(len(a), -1) @ codes_b.reshape(len(b), -1).T
    shared -= weights.sum()
    np.exp(shared, out=shared)
    return np.asarray(shared, dtype=np.float64)
