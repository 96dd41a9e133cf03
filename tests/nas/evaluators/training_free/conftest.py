"""A minibatch of noise, and a shorthand for computing a score on a network with given weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nas.evaluators.training_free import TRAINING_FREE, Minibatch


@pytest.fixture
def batch() -> Minibatch:
    """Twelve images of noise, 3 x 6 x 6, of four classes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(12, 3, 6, 6, generator=generator)
    return Minibatch(images, torch.randint(4, (12,), generator=generator))


@pytest.fixture
def score() -> Callable[..., float]:
    """Return a function: name, network, minibatch -> score."""

    def compute(name: str, network: nn.Module, batch: Minibatch, *, seed: int = 0) -> float:
        return TRAINING_FREE[name].measure(network, batch, generator=torch.Generator().manual_seed(seed))

    return compute
