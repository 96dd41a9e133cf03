"""Residual networks for ImageNet: what the tables of the papers say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.baselines import Sizes, find_baseline


def _made(name: str, resolution: int) -> nn.Sequential:
    with torch.device("meta"):
        network = find_baseline(name).make(Sizes(resolution))
    assert isinstance(network, nn.Sequential)
    return network


@pytest.mark.parametrize(
    ("name", "repeats"),
    [("resnet-34", [3, 4, 6, 3]), ("resnet-101", [3, 4, 23, 3]), ("resnet-152", [3, 8, 36, 3])],
)
def test_stages_are_those_of_table_1(name: str, repeats: list[int]) -> None:
    """He 2016, Table 1: repeats, and sizes 56, 28, 14, 7."""
    network = _made(name, 224)
    assert [len(stage) for stage in network.stages] == repeats
    x = network.stem(torch.zeros(1, 3, 224, 224, device="meta"))
    sides = [(x := stage(x)).shape[-1] for stage in network.stages]
    assert sides == [56, 28, 14, 7]


def test_small_images_keep_four_positions() -> None:
    """32 pixels: a 3x3 stem without stride or pooling; three strides are left."""
    network = _made("resnet-50", 32)
    assert network.stem[0].kernel_size == (3, 3)
    assert not any(isinstance(layer, nn.MaxPool2d) for layer in network.stem)
    features = network.stages(network.stem(torch.zeros(1, 3, 32, 32, device="meta")))
    assert features.shape == (1, 2048, 4, 4)


@pytest.mark.parametrize(("name", "first", "second"), [("resnet-50", 1, 2), ("resnet-50-v1", 2, 1)])
def test_the_stride_is_where_the_variant_has_it(name: str, first: int, second: int) -> None:
    convolutions = [m for m in _made(name, 224).stages[1][0].branch if isinstance(m, nn.Conv2d)]
    assert [c.stride[0] for c in convolutions] == [first, second, 1]


def test_resnext_groups_are_those_of_table_1() -> None:
    """Xie 2017, Table 1: 32 groups of 4 filters in the first stage, 32 of 32 in the last."""
    network = _made("resnext-50-32x4d", 224)
    grouped = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert {c.groups for c in grouped} == {32}
    assert (grouped[0].out_channels, grouped[-1].out_channels) == (128, 1024)


def test_the_net_for_cifar_has_the_size_everybody_quotes() -> None:
    """11,173,962 parameters with ten classes."""
    network = find_baseline("resnet18-cifar-standard").make(Sizes(32, classes=10))
    assert sum(p.numel() for p in network.parameters()) == 11_173_962
