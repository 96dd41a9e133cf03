"""Every baseline, as wide and deep as published, learns from small images: slow, so run by `make test-slow`."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import get_total_norm

from nas.baselines import Sizes, baselines
from nas.data import load_data

RATE = 1e-4  # at which the nets without normalisation learn too
FASTER = dict.fromkeys(
    ("efficientnet-b5", "efficientnet-b6", "efficientnet-b7"), 1e-3
)  # deep, and their blocks are dropped
BATCH, STEPS = 16, 8
# 110 layers without a shortcut, by which He 2016 shows that depth alone does not learn: it sees all 1,155 digits.
HARD, HARD_BATCH, HARD_STEPS = {"cifar-plain-110"}, 32, 36


def mean_loss(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """The loss of a batch by the statistics of that batch, without dropout and the like."""
    network.train()
    for module in network.modules():
        if "Drop" in type(module).__name__ or "Stochastic" in type(module).__name__:
            module.eval()
    with torch.no_grad():
        return float(functional.cross_entropy(network(images), labels))


@pytest.mark.slow
@pytest.mark.parametrize("name", baselines())
def test_a_pass_over_the_digits_lowers_the_loss(name: str) -> None:
    """128 digits, once; the loss of one batch of them falls, and all gradients are finite."""
    torch.set_num_threads(1)
    data = load_data("digits")
    size, steps = (HARD_BATCH, HARD_STEPS) if name in HARD else (BATCH, STEPS)
    images = data.normalise(data.train.images[: size * steps])
    labels = data.train.labels[: size * steps]
    torch.manual_seed(0)
    network = baselines()[name].make(Sizes(images.shape[-1], images.shape[1], data.classes))
    weights = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(weights, FASTER.get(name, RATE), fused=True)
    before = mean_loss(network, images[:size], labels[:size])
    network.train()
    for batch, answers in zip(images.split(size), labels.split(size), strict=True):
        optimizer.zero_grad()
        functional.cross_entropy(network(batch), answers).backward()
        assert get_total_norm([p.grad for p in weights if p.grad is not None]).isfinite()
        optimizer.step()
    assert mean_loss(network, images[:size], labels[:size]) < before
