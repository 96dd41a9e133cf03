"""AlexNet and ZFNet."""

from __future__ import annotations

import torch
from torch import nn

from nas.baselines import Sizes, find_baseline
from nas.baselines.alexnet import response_norm


def _maps(name: str) -> list[int]:
    """Return the map sizes after each convolution and pooling."""
    baseline = find_baseline(name)
    sizes: list[int] = []
    with torch.device("meta"):
        network = baseline.make(baseline.sizes)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.MaxPool2d):
                module.register_forward_hook(lambda _module, _inputs, output: sizes.append(output.shape[-1]))
        network(torch.zeros(1, 3, baseline.resolution, baseline.resolution))
    return sizes


def test_maps_are_the_papers() -> None:
    """Krizhevsky's figure 2 and Zeiler's figure 3; convolutions and poolings in turn."""
    assert _maps("alexnet") == [55, 27, 27, 13, 13, 13, 13, 6]
    assert _maps("zfnet") == [110, 55, 26, 13, 13, 13, 13, 6]


def test_towers_meet_in_the_third_layer_only() -> None:
    groups = [m.groups for m in find_baseline("alexnet").make(Sizes(32)).modules() if isinstance(m, nn.Conv2d)]
    assert groups == [1, 2, 1, 2, 2]


def test_response_normalisation_is_the_papers() -> None:
    """Divide by (2 + 1e-4 times the sum of squares over five maps) ^ 0.75; the sum ends at the borders."""
    maps = 100 * torch.rand(1, 8, 2, 2)
    squares = maps.square()
    sums = torch.stack([squares[:, max(0, i - 2) : i + 3].sum(dim=1) for i in range(8)], dim=1)
    torch.testing.assert_close(response_norm()(maps), maps / (2 + 1e-4 * sums) ** 0.75)
