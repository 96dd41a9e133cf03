"""The columns of VGG's Table 1."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.baselines import Sizes, find_baseline


@pytest.mark.parametrize(("name", "layers"), [("a", 11), ("b", 13), ("c", 16), ("d", 16), ("e", 19)])
def test_weight_layers(name: str, layers: int) -> None:
    """Table 1 heads its columns with the number of layers that have weights."""
    network = find_baseline(f"vgg-{name}").make(Sizes(32, width=0.125))
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules()) == layers


def test_network_c_ends_its_stages_with_one_by_one() -> None:
    kernels = [
        m.kernel_size[0] for m in find_baseline("vgg-c").make(Sizes(32, width=0.125)).modules() if hasattr(m, "groups")
    ]
    assert kernels == [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]


def test_responses_are_normalised_once() -> None:
    """A-LRN is A with a normalisation after its first convolution."""
    layers = list(find_baseline("vgg-a-lrn").make(Sizes(32, width=0.125)).features)
    assert [i for i, layer in enumerate(layers) if isinstance(layer, nn.LocalResponseNorm)] == [2]


def test_dense_layers_follow_the_map() -> None:
    """4 x 4 positions on CIFAR's images, 7 x 7 on ImageNet's and on larger ones."""
    inputs = []
    with torch.device("meta"):
        for resolution in (32, 224, 331):
            network = find_baseline("vgg-a").make(Sizes(resolution))
            inputs.append(next(m.in_features for m in network.modules() if isinstance(m, nn.Linear)))
    assert inputs == [512 * 4 * 4, 512 * 7 * 7, 512 * 7 * 7]
