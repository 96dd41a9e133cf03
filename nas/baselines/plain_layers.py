"""What the networks without branches share: activated convolutions, poolings that may be left out, map sizes, heads."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeVar

from torch import nn

T = TypeVar("T")


def extended(items: Sequence[T], count: int) -> list[T]:
    """Return the first `count` items; where more are asked for, the last one again and again."""
    return [items[min(i, len(items) - 1)] for i in range(count)]


def conv_relu(
    c_in: int, c_out: int, *, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1
) -> nn.Sequential:
    """Return a convolution with bias and the ReLU after it."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=padding, groups=groups)
    return nn.Sequential(conv, nn.ReLU(inplace=True))


def max_pool(kernel: int, stride: int, *, padding: int = 0, ceil: bool = False) -> list[nn.Module]:
    """Return a max pooling, or nothing where its stride was given up."""
    return [] if stride == 1 else [nn.MaxPool2d(kernel, stride=stride, padding=padding, ceil_mode=ceil)]


def map_size(features: nn.Module, resolution: int) -> int:
    """Return height and width of what convolutions and poolings, one after another, make of an image.

    Args:
        features: layers in the order in which they are applied; others than convolutions and poolings keep the size.
        resolution: height and width of the image.
    """
    for layer in features.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            resolution = _positions(layer, resolution)
    return resolution


def _positions(layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, size: int) -> int:
    kernel, stride, padding = (_first(value) for value in (layer.kernel_size, layer.stride, layer.padding))
    steps = (size + 2 * padding - kernel) / stride
    if not getattr(layer, "ceil_mode", False):
        return math.floor(steps) + 1
    positions = math.ceil(steps) + 1
    return positions - 1 if (positions - 1) * stride >= size + padding else positions  # the last one would see padding


def _first(value: object) -> int:
    first = value[0] if isinstance(value, tuple) else value
    assert isinstance(first, int)
    return first


def network(features: nn.Module, classifier: nn.Module) -> nn.Sequential:
    """Return features and classifier as one network, under these names."""
    return nn.Sequential(OrderedDict(features=features, classifier=classifier))


def init_he(module: nn.Module) -> None:
    """Draw the convolutions' weights for ReLUs (He 2015, from their fan-in), with biases zero; for `apply`."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
