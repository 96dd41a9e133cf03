"""What a measurement promises: the number by which candidates are chosen."""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, ndtr

from controllers.encoding import Floats

_FAR = -1e3  # below, the ratio of the tails is its own limit to all digits that matter
_LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)


def log_expected_improvement(mean: Floats, deviation: Floats, *, best: float) -> Floats:
    """Return log E[max(0, value - best)] of normal values (Jones 1998, eq. 15).

    The logarithm keeps candidates in order whose improvement is too improbable for a floating-point number
    (Ament 2023, https://arxiv.org/abs/2310.20708, eq. 9).

    Args:
        mean: (n,) means.
        deviation: (n,) standard deviations, > 0.
        best: the value to improve on.
    """
    u = (mean - best) / deviation
    near, far = np.maximum(u, -1.0), np.clip(u, _FAR, -1.0)
    density = np.exp(-0.5 * near**2 - _LOG_ROOT_2PI)
    likely = np.log(near * ndtr(near) + density)
    # phi(u) + u Phi(u) = phi(u) (1 + u Phi(u) / phi(u)), whose bracket goes to 1 / u^2
    bracket = 1 + far * np.sqrt(np.pi / 2) * erfcx(-far / np.sqrt(2))
    tail = np.where(u > _FAR, np.log(np.maximum(bracket, 1e-300)), -2 * np.log(-np.minimum(u, _FAR)))
    return np.asarray(np.log(deviation) + np.where(u > -1.0, likely, -0.5 * u**2 - _LOG_ROOT_2PI + tail))
