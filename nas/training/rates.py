"""What changes from step to step of a training, as numbers or held on a device, where a recorded step reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of one step.

    Attributes:
        learning: the learning rate.
        drop_path: the rate at which the last cell drops an operation's result.
        averaging: share of the new weights in the weights' moving average.
    """

    learning: float
    drop_path: float = 0.0
    averaging: float = 0.0


@final
class HeldRate:
    """A rate in a tensor of its own: what a network computes with it follows every later `set`, unseen by Python.

    It stands where a network expects a number that it scales and takes from 1, as `set_drop_path` does. It is never
    false, so that a network whose rate rises from 0 is recorded with everything that the rate is for.
    """

    def __init__(self, value: Tensor, factor: float = 1.0) -> None:
        """Be `factor` times a tensor of no dimensions."""
        self._value, self._factor = value, factor

    @classmethod
    def on(cls, device: torch.device | str) -> Self:
        """Return a rate of 0 that is held on a device."""
        return cls(torch.zeros((), device=device))

    @property
    def value(self) -> Tensor:
        """The rate, float32 of no dimensions; of a rate that is no other's multiple, the tensor held."""
        return self._value if self._factor == 1 else self._value * self._factor

    def set(self, value: float) -> None:
        """Change the rate, and all that are multiples of it; nothing waits for the device."""
        self._value.fill_(value / self._factor)

    def __bool__(self) -> bool:
        """Whatever the rate, its operations are computed."""
        return True

    def __mul__(self, factor: float) -> HeldRate:
        """Return a multiple of this rate."""
        return HeldRate(self._value, self._factor * factor)

    def __truediv__(self, divisor: float) -> HeldRate:
        """Return a part of this rate."""
        return HeldRate(self._value, self._factor / divisor)

    def __rsub__(self, number: float) -> Tensor:
        """Return a number less this rate."""
        return number - self.value
