"""Pyramidal residual networks: filters grow a little with every block instead of doubling between stages.

The additive ones of Han 2017, from the description in the authors' code; shortcuts are identities padded with zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from nas.baselines.baseline import Baseline
from nas.baselines.residual_layers import (
    CIFAR_STRIDES,
    IMAGENET_STRIDES,
    PaddedShortcut,
    Residual,
    conv_norm,
    imagenet_stem,
    norm_relu,
    pooled_classifier,
    residual_network,
)
from nas.baselines.sizes import Sizes

EXPANSION = 4  # a bottleneck gives four times the filters of its 3 x 3


@dataclass(frozen=True, slots=True)
class PyramidNet:
    """An additive pyramid (Han 2017, eq. 2).

    Attributes:
        repeats: blocks in each stage; three stages are for CIFAR, four for ImageNet.
        alpha: filters that all blocks together add.
        bottleneck: blocks are 1x1, 3x3, 1x1; otherwise two 3x3.
    """

    repeats: tuple[int, ...]
    alpha: int
    bottleneck: bool = False

    def make(self, sizes: Sizes) -> nn.Sequential:
        """Build it."""
        if len(self.repeats) == len(CIFAR_STRIDES):
            start, strides = sizes.filters(16), sizes.strides(CIFAR_STRIDES, canonical=32)
            stem = nn.Sequential(*conv_norm(sizes.channels, start, kernel=3))
        else:
            start, strides = sizes.filters(64), sizes.strides(IMAGENET_STRIDES, canonical=224)
            stem = imagenet_stem(sizes.channels, start, strides)
        body, features = self._body(sizes, start, strides[-len(self.repeats) :])
        return residual_network(stem, body, [*norm_relu(features), *pooled_classifier(features, sizes.classes)])

    def _body(self, sizes: Sizes, start: int, strides: Sequence[int]) -> tuple[nn.Sequential, int]:
        repeats = [sizes.repeats(count) for count in self.repeats]
        widths = iter(additive_widths(start, alpha=self.alpha * sizes.width, num_blocks=sum(repeats)))
        block = _bottleneck if self.bottleneck else _basic
        channels, body = start, nn.Sequential()
        for count, stride in zip(repeats, strides, strict=True):
            blocks: list[nn.Module] = []
            for i in range(count):
                c_out = next(widths) * (EXPANSION if self.bottleneck else 1)
                blocks.append(block(channels, c_out, stride if i == 0 else 1))
                channels = c_out
            body.append(nn.Sequential(*blocks))
        return body, channels


def additive_widths(start: int, *, alpha: float, num_blocks: int) -> list[int]:
    """Return every block's filters: a line from `start` to `start` + alpha, rounded half up (Han 2017, eq. 2)."""
    return [math.floor(start + alpha * (i + 1) / num_blocks + 0.5) for i in range(num_blocks)]


def _basic(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Two 3 x 3 convolutions; no activation comes before the first (Han 2017, Fig. 6d)."""
    branch = nn.Sequential(
        nn.BatchNorm2d(c_in),
        *conv_norm(c_in, c_out, kernel=3, stride=stride),
        nn.ReLU(inplace=True),
        *conv_norm(c_out, c_out, kernel=3),
    )
    return Residual(branch, PaddedShortcut(c_in, c_out, stride=stride, average=True), nn.Identity())


def _bottleneck(c_in: int, c_out: int, stride: int) -> nn.Module:
    inner = c_out // EXPANSION
    branch = nn.Sequential(
        nn.BatchNorm2d(c_in),
        *conv_norm(c_in, inner),
        nn.ReLU(inplace=True),
        *conv_norm(inner, inner, kernel=3, stride=stride),
        nn.ReLU(inplace=True),
        *conv_norm(inner, c_out),
    )
    return Residual(branch, PaddedShortcut(c_in, c_out, stride=stride, average=True), nn.Identity())


PYRAMIDNET = "Deep Pyramidal Residual Networks"


def _imagenet_200(alpha: int, *, top1: float, top5: float, printed: float, count: float) -> Baseline:
    return Baseline(
        f"pyramidnet-200-a{alpha}",
        f"PyramidNet-200, bottlenecks, alpha {alpha}",
        PYRAMIDNET,
        2017,
        PyramidNet((3, 24, 36, 3), alpha, bottleneck=True).make,
        top1_error=top1,
        top5_error=top5,
        note=f"The {printed} M parameters printed leave out normalisation's scale and shift; {count} M with them.",
    )


def _cifar_110(alpha: int) -> Baseline:
    return Baseline(
        f"pyramidnet-110-a{alpha}",
        f"PyramidNet-110 for CIFAR, alpha {alpha}",
        PYRAMIDNET,
        2017,
        PyramidNet((18, 18, 18), alpha).make,
        resolution=32,
        classes=10,
    )


BASELINES: tuple[Baseline, ...] = (
    _imagenet_200(300, top1=20.47, top5=5.29, printed=62.1, count=62.4),
    _imagenet_200(450, top1=20.11, top5=5.43, printed=116.4, count=116.8),
    _cifar_110(48),
    _cifar_110(84),
    _cifar_110(270),
)
