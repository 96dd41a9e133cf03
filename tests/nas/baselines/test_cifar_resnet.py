"""Networks for CIFAR: shortcuts without parameters, and stochastic depth."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nas.baselines import Sizes, find_baseline
from nas.baselines.cifar_resnet import StochasticResidual, survival_probabilities
from nas.baselines.residual_layers import PaddedShortcut


@pytest.mark.parametrize("layers", [20, 110])
def test_layers_are_counted_as_in_the_paper(layers: int) -> None:
    """6 n + 1 convolutions and the classifier; the plain net has the same layers and no shortcuts."""
    for name in (f"cifar-plain-{layers}", f"cifar-resnet-{layers}"):
        with torch.device("meta"):
            network = find_baseline(name).make(Sizes(32, classes=10))
        assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules()) == layers


def test_option_a_takes_every_second_position_and_pads_with_zeros() -> None:
    x = torch.arange(50.0).reshape(1, 2, 5, 5)
    y = PaddedShortcut(2, 5, stride=2, average=False)(x)
    assert torch.equal(y[:, :2], x[:, :, ::2, ::2])
    assert y.shape == (1, 5, 3, 3)
    assert not y[:, 2:].any()


def test_averaging_shortcut_takes_means_of_whole_windows() -> None:
    """The last window of an odd size is a narrower one, not one padded with zeros."""
    y = PaddedShortcut(1, 1, stride=2, average=True)(torch.ones(1, 1, 5, 5))
    assert torch.equal(y, torch.ones(1, 1, 3, 3))


def test_survival_falls_linearly_to_a_half() -> None:
    """Huang 2016, eq. 4: an expected three quarters of the blocks are computed, less half a step."""
    survivals = survival_probabilities(54)
    assert survivals[-1] == 0.5
    assert survivals[0] == pytest.approx(1 - 0.5 / 54)
    assert sum(survivals) == pytest.approx(0.75 * 54 - 0.25)


def test_the_network_s_blocks_have_these_probabilities() -> None:
    with torch.device("meta"):
        network = find_baseline("stochastic-depth-110").make(Sizes(32, classes=10))
    blocks = [m for m in network.modules() if isinstance(m, StochasticResidual)]
    assert [block.survival for block in blocks] == survival_probabilities(54)


def test_dropped_branches_are_not_computed_and_scaled_in_evaluation() -> None:
    """Of 400 mini-batches a branch that survives with 0.7 is computed for 280 +- 5 standard deviations of 9.2."""
    calls = 0

    class Branch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return x * 10

    block = StochasticResidual(Branch(), nn.Identity(), survival=0.7)
    x = torch.ones(1, 1, 2, 2)
    torch.manual_seed(0)
    results = torch.stack([block(x) for _ in range(400)])
    assert abs(calls - 280) <= 5 * math.sqrt(400 * 0.7 * 0.3)
    assert set(results.flatten().tolist()) == {1.0, 11.0}
    torch.testing.assert_close(block.eval()(x), x * 8)
