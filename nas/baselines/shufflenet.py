"""ShuffleNet (Zhang 2018, https://arxiv.org/abs/1707.01083) and ShuffleNet v2 (Ma 2018, https://arxiv.org/abs/1807.11164).

Version 1 has grouped 1 x 1 convolutions; version 2 splits the channels, and has none. Both shuffle channels, so that
groups exchange what they know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.inception_blocks import he_normal, initialize
from nas.baselines.sizes import Sizes

CANONICAL = 224
STRIDES = (2, 2, 2, 2, 2)  # stem, pooling, three stages
REPEATS = (4, 8, 4)
STEM_FILTERS = 24
BOTTLENECK = 4

# Zhang 2018, Table 1: filters of the three stages, by the number of groups
FILTERS_V1 = {1: (144, 288, 576), 2: (200, 400, 800), 3: (240, 480, 960), 4: (272, 544, 1088), 8: (384, 768, 1536)}
# Ma 2018, Table 5: filters of the three stages and of the last convolution, by the width
FILTERS_V2 = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}


class Shuffle(nn.Module):
    """Deal the channels of each group out to all groups (Zhang 2018, Section 3.1)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, images: Tensor) -> Tensor:
        """Return the same channels in another order."""
        batch, _, height, width = images.shape
        return images.view(batch, self.groups, -1, height, width).transpose(1, 2).flatten(1, 2)


def _conv(c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return a convolution that keeps the size, up to the stride, and its normalisation."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(c_out)]


def _conv_relu(c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [*_conv(c_in, c_out, kernel, stride=stride, groups=groups), nn.ReLU(inplace=True)]


class UnitV1(nn.Module):
    """Grouped bottleneck with a shuffle, added to its input or concatenated to its average (Zhang 2018, Figure 2).

    Args:
        stride: None for a unit that keeps size and channels; else its filters and what it reads make `c_out`.
        first: whether it is the network's first, whose few channels are not grouped (Section 3.2).
    """

    def __init__(self, c_in: int, c_out: int, stride: int | None, *, groups: int, first: bool) -> None:
        super().__init__()
        bottleneck = c_out // BOTTLENECK
        self.concatenates = stride is not None
        self.residual = nn.Sequential(
            *_conv_relu(c_in, bottleneck, groups=1 if first else groups),
            Shuffle(groups),
            *_conv(bottleneck, bottleneck, 3, stride=stride or 1, groups=bottleneck),
            *_conv(bottleneck, c_out - c_in if self.concatenates else c_out, groups=groups),
        )
        self.shortcut = nn.AvgPool2d(3, stride, 1) if stride is not None and stride > 1 else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, c_out, height / stride, width / stride)."""
        residual, shortcut = self.residual(images), self.shortcut(images)
        joined = torch.cat([residual, shortcut], dim=1) if self.concatenates else residual + shortcut
        return cast(Tensor, self.relu(joined))


class UnitV2(nn.Module):
    """Half of the channels pass, the other half is convolved; both are shuffled (Ma 2018, Figure 3c and d).

    Args:
        stride: None for a unit that keeps size and channels; else both branches read all channels.
    """

    def __init__(self, c_in: int, c_out: int, stride: int | None) -> None:
        super().__init__()
        half = c_out // 2
        self.splits = stride is None
        step = stride or 1
        self.shortcut = nn.Sequential()
        if not self.splits:
            self.shortcut.extend([*_conv(c_in, c_in, 3, stride=step, groups=c_in), *_conv_relu(c_in, half)])
        self.branch = nn.Sequential(
            *_conv_relu(half if self.splits else c_in, half),
            *_conv(half, half, 3, stride=step, groups=half),
            *_conv_relu(half, half),
        )
        self.shuffle = Shuffle(2)

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, c_out, height / stride, width / stride)."""
        first, second = images.chunk(2, dim=1) if self.splits else (images, images)
        return cast(Tensor, self.shuffle(torch.cat([self.shortcut(first), self.branch(second)], dim=1)))


def _stem(sizes: Sizes, c_out: int, strides: Iterator[int]) -> list[nn.Module]:
    conv = _conv_relu(sizes.channels, c_out, 3, stride=next(strides))
    pooling = next(strides)
    return [*conv, nn.MaxPool2d(3, pooling, 1) if pooling > 1 else nn.Identity()]


def make_v1(groups: int, sizes: Sizes) -> nn.Module:
    """Return ShuffleNet with so many groups, initialised after He 2015."""
    divisor = 2 * BOTTLENECK * groups
    strides = iter(sizes.strides(STRIDES, canonical=CANONICAL))
    channels = sizes.filters(STEM_FILTERS, math.lcm(8, groups))
    layers = _stem(sizes, channels, strides)
    for i, (filters, repeats) in enumerate(zip(FILTERS_V1[groups], REPEATS, strict=True)):
        wider = (channels // divisor + 1) * divisor  # the first unit adds to what it reads
        c_out = max(sizes.filters(filters, divisor), wider)
        first = UnitV1(channels, c_out, next(strides), groups=groups, first=i == 0)
        others = [UnitV1(c_out, c_out, None, groups=groups, first=False) for _ in range(sizes.repeats(repeats) - 1)]
        layers.append(nn.Sequential(first, *others))
        channels = c_out
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, sizes.classes))
    initialize(network, he_normal)
    return network


def make_v2(width: float, sizes: Sizes) -> nn.Module:
    """Return ShuffleNet v2, initialised as in torchvision, which leaves torch's."""
    strides = iter(sizes.strides(STRIDES, canonical=CANONICAL))
    *stages, last = FILTERS_V2[width]
    channels = sizes.filters(STEM_FILTERS)
    layers = _stem(sizes, channels, strides)
    for filters, repeats in zip(stages, REPEATS, strict=True):
        c_out = sizes.filters(filters)
        others = [UnitV2(c_out, c_out, None) for _ in range(sizes.repeats(repeats) - 1)]
        layers.append(nn.Sequential(UnitV2(channels, c_out, next(strides)), *others))
        channels = c_out
    layers += _conv_relu(channels, sizes.filters(last))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sizes.filters(last), sizes.classes))


def _v1(groups: int, *, name: str = "", top1_error: float | None = None, note: str = "") -> Baseline:
    """Return the baseline of a column of Zhang 2018, Table 1."""
    return Baseline(
        name=name or f"shufflenet-v1-g{groups}",
        title=f"ShuffleNet 1x (g = {groups})",
        paper="ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
        year=2018,
        make=partial(make_v1, groups),
        aliases=(f"shufflenet_g{groups}",),
        top1_error=top1_error,
        note=note,
    )


def _v2(width: float, *, name: str = "", top1_error: float | None = None, note: str = "") -> Baseline:
    """Return the baseline of a column of Ma 2018, Table 5."""
    function = f"shufflenet_v2_x{width}".replace(".", "_")
    return Baseline(
        name=name or f"shufflenet-v2-x{width}",
        title=f"ShuffleNet v2 {width}x",
        paper="ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
        year=2018,
        make=partial(make_v2, width),
        aliases=(function,),
        top1_error=top1_error,
        torchvision=function,
        note=note,
    )


BASELINES: tuple[Baseline, ...] = (
    _v1(
        3,
        name="shufflenet-v1",
        top1_error=32.6,
        note="Hu 2018 prints 1.8 M parameters, as without those of normalisation: 1.84 M",
    ),
    *(_v1(groups) for groups in (1, 2, 4, 8)),
    _v2(
        1.0,
        name="shufflenet-v2",
        top1_error=30.6,
        note="the paper prints 146 M MACs and does not say how they were counted; here they are 144.9 M",
    ),
    *(_v2(width) for width in (0.5, 1.5, 2.0)),
)
