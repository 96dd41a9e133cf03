"""Repeatable randomness for code that draws from torch's global generator: layers' weights, dropout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed torch's global generators inside the block, and put them back as they were behind it."""
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


@contextmanager
def weights_from(seed: int) -> Iterator[None]:
    """Have networks that are built inside the block draw their weights from a seed, on the CPU."""
    with seeded(seed):
        if torch.get_default_device().type == "cpu":  # naming the device makes every call of torch take longer
            yield
        else:
            with torch.device("cpu"):
                yield
