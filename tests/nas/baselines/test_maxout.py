"""The maxout network for CIFAR-10, counted by hand: no other implementation's count is known."""

from __future__ import annotations

import torch
from torch import nn

from nas.baselines import find_baseline
from nas.baselines.maxout import Maxout
from search_spaces.counting import Sizes as Images
from search_spaces.counting import count_network


def test_counts_by_hand() -> None:
    """Two pieces a unit; maps of 33, 15 and 9 positions, poolings to 16, 7 and 5, then five pieces for 500 units."""
    convolutions = ((33, 3 * 64, 2 * 96), (15, 96 * 64, 2 * 192), (9, 192 * 25, 2 * 192))
    dense = ((5 * 5 * 192, 5 * 500), (500, 10))
    params = sum(fan_in * c + c for _, fan_in, c in convolutions) + sum(a * b + b for a, b in dense)
    macs = sum(size**2 * fan_in * c for size, fan_in, c in convolutions) + sum(a * b for a, b in dense)
    baseline = find_baseline("maxout-cifar10")
    cost = count_network(lambda: baseline.make(baseline.sizes), Images(3, 32, 10))
    assert (cost.params, cost.macs) == (params, macs) == (16_247_830, 732_290_696)


def test_units_take_their_largest_piece() -> None:
    values = torch.tensor([[1.0, 5.0, -2.0, -3.0]])
    assert Maxout(2)(values).tolist() == [[5.0, -2.0]]
    assert Maxout(2)(values[:, :, None, None]).shape == (1, 2, 1, 1)


def test_everything_but_the_images_is_dropped_by_half() -> None:
    network = find_baseline("maxout-cifar10").make(find_baseline("maxout-cifar10").sizes)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.2, 0.5, 0.5, 0.5, 0.5]
