"""Gates: squeeze-and-excitation and CBAM."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.baselines import Sizes, find_baseline
from nas.baselines.senet import ChannelGate, SpatialGate, squeeze_excitation


def test_squeeze_excitation_is_equations_2_to_4() -> None:
    """Hu 2018: the means over positions, two layers, a sigmoid, and a factor for every channel."""
    gate = squeeze_excitation(32)
    x = torch.randn(3, 32, 5, 5)
    w1, w2 = gate.fc1.weight[:, :, 0, 0], gate.fc2.weight[:, :, 0, 0]
    assert w1.shape == (2, 32)
    scores = (x.mean(dim=(2, 3)) @ w1.T + gate.fc1.bias).relu() @ w2.T + gate.fc2.bias
    torch.testing.assert_close(gate(x), x * scores.sigmoid()[:, :, None, None])


def test_channel_gate_adds_the_scores_of_means_and_maxima() -> None:
    """Woo 2018, eq. 2: the perceptron's last layer is linear, so both scores are added before the sigmoid."""
    gate = ChannelGate(32)
    x = torch.randn(2, 32, 4, 4)
    means, maxima = x.flatten(2).mean(2), x.flatten(2).max(2).values
    factor = torch.sigmoid(gate.perceptron(means) + gate.perceptron(maxima))
    torch.testing.assert_close(gate(x), x * factor[:, :, None, None])


def test_spatial_gate_starts_the_same_everywhere_and_reads_maximum_then_mean() -> None:
    """Its normalisation starts at scale 0, as released; the order of the two planes is that of the released code."""
    gate = SpatialGate().eval()
    x = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(gate(x), x / 2)
    convolution, norm = gate.score
    nn.init.ones_(norm.weight)
    nn.init.zeros_(convolution.weight)
    convolution.weight.data[0, 0, 3, 3] = 1.0  # the middle of the plane of maxima
    maxima = x.max(dim=1, keepdim=True).values / (1 + norm.eps) ** 0.5
    torch.testing.assert_close(gate(x), x * maxima.sigmoid())


@pytest.mark.parametrize("name", ["se-resnet-50", "se-resnext-50", "senet-154", "cbam-resnet-50"])
def test_sizes_are_those_of_the_network_without_gates(name: str) -> None:
    with torch.device("meta"):
        network = find_baseline(name).make(Sizes(224))
        x = network.stem(torch.zeros(1, 3, 224, 224))
        sides = [(x := stage(x)).shape[-1] for stage in network.stages]
    assert sides == [56, 28, 14, 7]


def test_senet_154_projects_with_3x3_where_sizes_change() -> None:
    """Hu 2018, section 6.4."""
    with torch.device("meta"):
        network = find_baseline("senet-154").make(Sizes(224))
    kernels = [stage[0].shortcut[0].kernel_size[0] for stage in network.stages]
    assert kernels == [1, 3, 3, 3]
    assert sum(isinstance(m, nn.Dropout) for m in network.head) == 1
