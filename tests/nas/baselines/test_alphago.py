"""AlphaGo's policy network."""

from __future__ import annotations

import torch
from torch import nn

from nas.baselines import Sizes, find_baseline


def _policy(classes: int) -> nn.Module:
    return find_baseline("alphago-policy").make(Sizes(9, channels=4, classes=classes, width=0.1))


def test_a_board_has_a_logit_and_a_bias_for_each_point() -> None:
    """The logits are a map: another bias at a point changes its logit alone."""
    network = _policy(81).eval()
    planes = torch.randn(1, 4, 9, 9)
    before = network(planes)
    with torch.no_grad():
        network.classifier.bias[40] += 1
    expected = torch.zeros(1, 81)
    expected[0, 40] = 1
    torch.testing.assert_close(network(planes) - before, expected)


def test_other_classes_are_means_over_the_image() -> None:
    """As a classifier of images it gives a logit for each class."""
    assert _policy(5).eval()(torch.randn(2, 4, 9, 9)).shape == (2, 5)


def test_twelve_convolutions_before_the_last() -> None:
    """One of 5 x 5, eleven of 3 x 3, one of 1 x 1."""
    kernels = [m.kernel_size[0] for m in _policy(81).modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [5] + [3] * 11 + [1]
