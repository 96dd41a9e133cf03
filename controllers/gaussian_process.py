"""A Gaussian process over categorical choices: what is known of networks that were not evaluated, and how well.

A network's value is the sum of effects that single choices have, of effects that an option has wherever it is
chosen, and of what only their combination explains. As a kernel:

    k(a, b) = exp(-sum_i w_i [a_i != b_i]) + sum_j s_j <f_j(a), f_j(b)>

with one weight w_i a decision, so decisions that do not matter get weight zero, and one strength s_j a block of
linear features. All are fitted to the data by marginal likelihood (Rasmussen and Williams 2006, sections 2.2,
2.7 and 5.4.1) under weak priors that hold them near their start while data are few. Nothing here knows of searching.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from controllers.encoding import Features, Floats

START_WEIGHT_SUM = 3.0  # networks that share no decision are e^-3 alike before anything is known
START_STRENGTH = 0.5  # of each linear block, relative to what only combinations explain
START_NOISE = 0.05
PRIOR_SD = 1.0  # of the logarithms of all parameters around their start
JITTER = 1e-6
SMALLEST_VARIANCE = 1e-10
FIT_STEPS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """The kernel's parameters, as logarithms.

    Attributes:
        log_weights: (decisions,) how much a differing choice counts.
        log_strengths: (blocks,) of the linear features.
        log_noise: variance that is the measurement's own.
    """

    log_weights: Floats
    log_strengths: Floats
    log_noise: float

    @classmethod
    def start(cls, num_decisions: int, num_blocks: int) -> Self:
        """Return the parameters before anything is known: all decisions matter equally."""
        weights = np.full(num_decisions, np.log(START_WEIGHT_SUM / num_decisions))
        return cls(weights, np.full(num_blocks, np.log(START_STRENGTH)), float(np.log(START_NOISE)))

    @classmethod
    def from_vector(cls, vector: Floats, *, num_decisions: int) -> Self:
        """Return the inverse of `to_vector`."""
        return cls(vector[:num_decisions], vector[num_decisions:-1], float(vector[-1]))

    def to_vector(self) -> Floats:
        """Return all parameters, (decisions + blocks + 1,)."""
        return np.concatenate([self.log_weights, self.log_strengths, [self.log_noise]])

    @property
    def noise(self) -> float:
        """Variance of the noise, never quite zero."""
        return float(np.exp(self.log_noise)) + JITTER

    def covariance(self, a: Features, b: Features) -> Floats:
        """Return k between (n) and (m) points, (n, m), without noise: two matrix products."""
        weights = np.exp(self.log_weights)
        combined = (a.codes * weights[a.decision_of_code]) @ b.codes.T
        combined -= weights.sum()
        np.exp(combined, out=combined)
        combined += self._scaled(a) @ self._scaled(b).T
        return np.asarray(combined)

    def variance(self, points: Features) -> Floats:
        """Return k of each point with itself, (n,)."""
        return np.asarray(1.0 + np.square(self._scaled(points)).sum(axis=1))

    def _scaled(self, points: Features) -> Floats:
        scales = np.exp(0.5 * self.log_strengths)
        return np.concatenate([scale * block for scale, block in zip(scales, points.linear, strict=True)], axis=1)


def fit_kernel(points: Features, values: Floats, *, start: Kernel) -> Kernel:
    """Return the kernel of largest marginal likelihood times prior, found by a few quasi-Newton steps.

    Args:
        points: n points.
        values: (n,) of about zero mean and unit variance.
        start: where to begin, such as an earlier fit.
    """
    likelihood = _Likelihood.of(points, values)
    found = minimize(likelihood.loss, start.to_vector(), jac=True, method="L-BFGS-B", options={"maxiter": FIT_STEPS})
    return Kernel.from_vector(np.asarray(found.x, dtype=np.float64), num_decisions=len(start.log_weights))


@dataclass(frozen=True, slots=True, eq=False)
class _Likelihood:
    """What is computed once for many kernels.

    Attributes:
        values: (n,) values.
        differs: (decisions, n * n) whether two points differ in a decision.
        products: (blocks, n * n) scalar products of the linear features.
        prior: (parameters,) where the prior is centred.
    """

    values: Floats
    differs: Floats
    products: Floats
    prior: Floats

    @classmethod
    def of(cls, points: Features, values: Floats) -> Self:
        choices = points.choices
        differs = (choices[:, None, :] != choices[None, :, :]).transpose(2, 0, 1).reshape(choices.shape[1], -1)
        products = np.array([(block @ block.T).ravel() for block in points.linear])
        prior = Kernel.start(len(differs), len(products)).to_vector()
        return cls(values, differs.astype(np.float64), products, prior)

    def loss(self, vector: Floats) -> tuple[float, Floats]:
        """Return -log p(values, parameters) up to a constant, the signal's variance fitted, and its gradient."""
        n, num_decisions = len(self.values), len(self.differs)
        weights, strengths, noise = np.split(np.exp(vector), [num_decisions, len(vector) - 1])
        combined = np.exp(-(weights @ self.differs))
        covariance = (combined + strengths @ self.products).reshape(n, n)
        factor = np.linalg.cholesky(covariance + (noise + JITTER) * np.eye(n))
        inverse = cho_solve((factor, True), np.eye(n))
        explained = inverse @ self.values
        variance = float(self.values @ explained) / n
        # 0.5 tr((C^-1 - a a^T / s^2) dC) is the derivative in any parameter of C (R&W eq. 5.9).
        slope = 0.5 * (inverse - np.outer(explained, explained) / variance).ravel()
        by_weight = -weights * (self.differs @ (slope * combined))
        by_strength = strengths * (self.products @ slope)
        by_noise = noise * slope[:: n + 1].sum()
        distance = (vector - self.prior) / PRIOR_SD
        value = 0.5 * n * np.log(variance) + float(np.log(np.diag(factor)).sum()) + 0.5 * float(distance @ distance)
        return value, np.concatenate([by_weight, by_strength, by_noise]) + distance / PRIOR_SD


@final
class Posterior:
    """What is known of fixed candidates as points are added: each costs one pass over them, not a new start."""

    def __init__(self, kernel: Kernel, candidates: Features) -> None:
        """Know nothing of the candidates yet."""
        self._kernel = kernel
        self._candidates = candidates
        self._prior_variance = kernel.variance(candidates)
        self._points = candidates.take(np.arange(0))
        self._factor = np.zeros((0, 0))  # lower Cholesky factor of the points' covariance with noise
        self._rows = np.zeros((0, len(candidates)))  # their covariance with the candidates, whitened; room for more

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self._factor)

    def extend(self, points: Features) -> None:
        """Add points, by the block form of the Cholesky factorisation."""
        n, m = len(self), len(points)
        across = solve_triangular(self._factor, self._kernel.covariance(self._points, points), lower=True)
        within = self._kernel.covariance(points, points) - across.T @ across
        corner = np.linalg.cholesky(within + self._kernel.noise * np.eye(m))
        self._make_room(n + m)
        rest = self._kernel.covariance(points, self._candidates) - across.T @ self._rows[:n]
        self._rows[n : n + m] = solve_triangular(corner, rest, lower=True)
        self._factor = np.block([[self._factor, np.zeros((n, m))], [across.T, corner]])
        self._points = self._points.join(points)

    def truncate(self, count: int) -> None:
        """Forget all but the first `count` points."""
        self._factor = self._factor[:count, :count]
        self._points = self._points.take(np.arange(count))

    def predict(self, values: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the noise-free value of every candidate.

        Args:
            values: (k,) of the first k points, k >= 1. Points beyond are those whose value is still to come: they
                take their uncertainty from the candidates, and leave the mean as it is, which is the same as to
                believe that they will turn out as predicted.

        Returns:
            Two arrays (candidates,).
        """
        k = len(values)
        whitened = solve_triangular(self._factor[:k, :k], values, lower=True)
        signal = max(float(whitened @ whitened) / k, SMALLEST_VARIANCE)
        rows = self._rows[: len(self)]
        left = self._prior_variance - np.einsum("ij,ij->j", rows, rows)
        return np.asarray(whitened @ rows[:k]), np.sqrt(signal * np.maximum(left, SMALLEST_VARIANCE))

    def _make_room(self, count: int) -> None:
        if count > len(self._rows):
            room = np.zeros((max(count, 2 * len(self._rows)), self._rows.shape[1]))
            room[: len(self)] = self._rows[: len(self)]
            self._rows = room
