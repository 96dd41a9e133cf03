"""A learning rate that falls when the validation loss no longer does, as a function of the losses so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from nas.errors import InvalidInputError

SMALLEST_CHANGE = 1e-8  # a rate is not changed by less


@dataclass(frozen=True, slots=True)
class Plateau:
    """Multiply the rate by `factor` when the loss did not fall for more than `patience` epochs.

    As `torch.optim.lr_scheduler.ReduceLROnPlateau` with its relative threshold, and without a state of its own: who
    resumes a training needs the losses only.

    Attributes:
        learning_rate: to begin with.
        factor: in (0, 1).
        patience: epochs without a better loss that are borne.
        threshold: a loss is better when below (1 - threshold) x the best.
        cooldown: epochs after a change in which none is counted.
        smallest: the rate never falls below.
    """

    learning_rate: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    smallest: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InvalidInputError(f"learning_rate must be larger than 0, got {self.learning_rate}.")
        if not 0 < self.factor < 1:
            raise InvalidInputError(f"factor must be in (0, 1), got {self.factor}.")
        for name in ("patience", "threshold", "cooldown", "smallest"):
            if not getattr(self, name) >= 0:
                raise InvalidInputError(f"{name} must be >= 0, got {getattr(self, name)}.")

    def rate_after(self, losses: Iterable[float]) -> float:
        """Return the rate after epochs with these validation losses, in order."""
        rate, best, bad, resting = self.learning_rate, math.inf, 0, 0
        for loss in losses:
            better = loss < best * (1 - self.threshold)
            best, bad = (loss, 0) if better else (best, bad + 1)
            if resting:
                resting, bad = resting - 1, 0
            if bad > self.patience:
                reduced = max(rate * self.factor, self.smallest)
                rate = reduced if rate - reduced > SMALLEST_CHANGE else rate
                bad, resting = 0, self.cooldown
        return rate
