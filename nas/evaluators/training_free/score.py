"""What a training-free score is, and what the scores that look at a network have in common."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.errors import InvalidInputError, NASError
from nas.evaluators.training_free.minibatch import Minibatch


class UnscorableError(NASError):
    """A network has no such score: the part that it looks at is missing, or it is no finite number."""


class Compute(Protocol):
    """Computes a score. The network is its own to change."""

    def __call__(self, network: nn.Module, batch: Minibatch, *, generator: torch.Generator) -> float:
        """Return the score; a number that is not finite says that there is none."""


@dataclass(frozen=True, slots=True)
class TrainingFreeScore:
    """A score by name; larger is better.

    Attributes:
        name: what the metric is called.
        description: what it is, in a line, with its source.
        compute: what looks at a network; None for a count that `SearchSpace.complexity` knows.
        failure: what it means that the number is not finite.
    """

    name: str
    description: str
    compute: Compute | None = None
    failure: str = "the network's output does not depend on what goes in, or numbers grew too large"

    def measure(self, network: nn.Module, batch: Minibatch, *, generator: torch.Generator) -> float:
        """Return a network's score.

        Args:
            network: images -> logits; not changed, a copy is looked at.
            batch: images on the network's device.
            generator: a CPU generator, for the scores that draw weights and inputs of their own.

        Raises:
            UnscorableError: the network has no finite score.
            InvalidInputError: this score is a count and looks at no network.
        """
        if self.compute is None:
            raise InvalidInputError(f"{self.name!r} is a count: ask the space's complexity for it.")
        with torch.enable_grad():
            value = self.compute(copy.deepcopy(network), batch, generator=generator)
        if not math.isfinite(value):
            raise UnscorableError(f"the {self.name} score is {value}: {self.failure}")
        return value


def use_batch_statistics(network: nn.Module) -> None:
    """Let batch normalisation use the minibatch, and all else be as in evaluation: no dropout, no drop path.

    At the first weights there are no running statistics yet, so that evaluation mode would not normalise at all.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.train()


def kernels(network: nn.Module) -> list[nn.Parameter]:
    """Return the trainable weights of convolutions and linear layers: parameters of two or more dimensions.

    Raises:
        UnscorableError: there are none.
    """
    found = [parameter for parameter in network.parameters() if parameter.ndim > 1 and parameter.requires_grad]
    if not found:
        raise UnscorableError("the network has no trainable weights of convolutions or linear layers to score")
    return found
