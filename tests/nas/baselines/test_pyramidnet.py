"""Pyramidal networks: filters on a line, shortcuts padded with zeros."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from nas.baselines import Sizes, find_baseline
from nas.baselines.pyramidnet import additive_widths


def test_filters_grow_along_a_line() -> None:
    """Han 2017, eq. 2: from 64 to 364 in 66 blocks for alpha 300."""
    widths = additive_widths(64, alpha=300, num_blocks=66)
    assert (len(widths), widths[0], widths[-1]) == (66, 69, 364)
    assert {b - a for a, b in pairwise(widths)} == {4, 5}


def test_the_last_features_are_four_times_that() -> None:
    with torch.device("meta"):
        network = find_baseline("pyramidnet-200-a300").make(Sizes(224))
    assert network.head[-1].in_features == 4 * (64 + 300)


def test_a_block_without_its_branch_is_the_padded_mean() -> None:
    network = find_baseline("pyramidnet-110-a48").make(Sizes(32, classes=10)).eval()
    block = network.stages[1][0]
    nn.init.zeros_(block.branch[-1].weight)
    nn.init.zeros_(block.branch[-1].bias)
    x = torch.randn(1, 32, 4, 4)
    y = block(x)
    assert y.shape == (1, 33, 2, 2)
    torch.testing.assert_close(y[:, :32], nn.functional.avg_pool2d(x, 2))
    assert not y[:, 32:].any()
