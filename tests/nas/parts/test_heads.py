"""Global average pooling in the place of fully-connected heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import nas
from nas.errors import InvalidInputError
from nas.parts import Parts, apply_parts

HEAD = Parts(head="global_average")


@pytest.mark.parametrize(
    ("name", "shape", "features"),
    [
        ("vgg-11", (3, 64, 64), 64),
        ("vgg-11", (3, 32, 32), 64),  # maps of one position, and hidden layers
        ("alexnet", (3, 64, 64), 32),
        ("maxout", (3, 32, 32), 24),
    ],
)
def test_the_head_becomes_the_mean_and_one_layer(name: str, shape: tuple[int, int, int], features: int) -> None:
    torch.manual_seed(0)
    network = apply_parts(nas.build(name, classes=5, input_shape=shape, width=0.125), HEAD, input_shape=shape).eval()
    assert [type(module) for module in network.classifier] == [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]
    linear, x = network.classifier[2], torch.randn(2, *shape)
    assert (linear.in_features, linear.out_features) == (features, 5)
    maps = network.features(x)
    torch.testing.assert_close(network(x), functional.linear(maps.mean((2, 3)), linear.weight, linear.bias))
    # Lin 2014: the mean of maps for each class is the same
    scores = functional.conv2d(maps, linear.weight[:, :, None, None], linear.bias)
    torch.testing.assert_close(network(x), scores.mean((2, 3)))


@pytest.mark.parametrize("size", [8, 28, 32])
def test_a_convolution_as_large_as_its_map_is_part_of_the_head(size: int) -> None:
    """LeNet's C5: what is left is C3's 16 maps."""
    network = nas.build("lenet-5-modern", classes=10, input_shape=(1, size, size))
    apply_parts(network, HEAD, input_shape=(1, size, size))
    assert [type(module) for module in network[-3:]] == [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]
    assert sum(isinstance(module, nn.Conv2d) for module in network) == 2
    assert network[-1].in_features == 16
    assert network(torch.randn(2, 1, size, size)).shape == (2, 10)


def test_networks_that_average_already_or_end_otherwise_are_refused() -> None:
    for name in ("resnet-18", "nin-cifar10", "lenet-5", "mobilenet-v2"):
        shape = (nas.get_blueprint(name).channels, 32, 32)
        with pytest.raises(InvalidInputError, match="no fully-connected head to exchange"):
            apply_parts(nas.build(name, input_shape=shape), HEAD, input_shape=shape)
