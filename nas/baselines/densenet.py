"""DenseNet (Huang 2017, https://arxiv.org/abs/1608.06993): every layer reads what all before it in its block gave.

All are DenseNet-BC: bottlenecks of four times the growth rate, and transitions that halve the channels. The networks
for ImageNet are Table 1's; the one for CIFAR has three blocks on 32 x 32 (Section 3). Not here: dropout, which the
paper uses without data augmentation only, and checkpointing to save memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.inception_blocks import classifier
from nas.baselines.sizes import Sizes
from search_spaces.scaling_rules import stem_kernel

PAPER = "Densely Connected Convolutional Networks"
BOTTLENECK = 4  # filters of the 1 x 1 convolution, in growth rates
COMPRESSION = 2  # the paper's 1 / theta
IMAGENET_STRIDES = (2, 2, 2, 2, 2)  # stem, pooling, three transitions
CIFAR_STRIDES = (2, 2)  # two transitions


@dataclass(frozen=True, slots=True)
class Table:
    """A DenseNet-BC.

    Attributes:
        growth: filters that each layer adds, the paper's k.
        layers: of each block.
        stem: filters of the first convolution.
        cifar: whether the stem is one 3 x 3 convolution on 32 x 32 images.
    """

    growth: int
    layers: tuple[int, ...]
    stem: int = 64
    cifar: bool = False

    def strides(self, sizes: Sizes) -> tuple[int, ...]:
        """Return the strides of stem, pooling and transitions; a network for CIFAR has only the latter."""
        if self.cifar:
            return sizes.strides(CIFAR_STRIDES, canonical=32)
        return sizes.strides(IMAGENET_STRIDES, canonical=224)


class DenseLayer(nn.Module):
    """BN-ReLU-Conv(1 x 1)-BN-ReLU-Conv(3 x 3), concatenated to what it reads."""

    def __init__(self, c_in: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(c_in),
            nn.ReLU(inplace=True),
            nn.Conv2d(c_in, BOTTLENECK * growth, 1, bias=False),
            nn.BatchNorm2d(BOTTLENECK * growth),
            nn.ReLU(inplace=True),
            nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, channels + growth, height, width)."""
        return torch.cat([images, self.layers(images)], dim=1)


def _transition(c_in: int, stride: int) -> nn.Sequential:
    pool = nn.AvgPool2d(2, stride) if stride > 1 else nn.Identity()
    conv = nn.Conv2d(c_in, c_in // COMPRESSION, 1, bias=False)
    return nn.Sequential(nn.BatchNorm2d(c_in), nn.ReLU(inplace=True), conv, pool)


def _stem(table: Table, sizes: Sizes, strides: Iterator[int]) -> nn.Sequential:
    c_out = sizes.filters(table.stem)
    if table.cifar:
        return nn.Sequential(nn.Conv2d(sizes.channels, c_out, 3, padding=1, bias=False))
    stride, pooling = next(strides), next(strides)
    kernel = stem_kernel(7, stride, 2)
    conv = nn.Conv2d(sizes.channels, c_out, kernel, stride, kernel // 2, bias=False)
    pool = nn.MaxPool2d(3, pooling, 1) if pooling > 1 else nn.Identity()
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True), pool)


def make(table: Table, sizes: Sizes) -> nn.Module:
    """Return a DenseNet, initialised as in torchvision: convolutions after He 2015, the classifier's bias 0."""
    strides = iter(table.strides(sizes))
    channels, growth = sizes.filters(table.stem), sizes.filters(table.growth, 4)
    layers = [*_stem(table, sizes, strides)]
    for i, count in enumerate(table.layers):
        if i:
            layers.append(_transition(channels, next(strides)))
            channels //= COMPRESSION
        repeats = sizes.repeats(count)
        layers.append(nn.Sequential(*(DenseLayer(channels + j * growth, growth) for j in range(repeats))))
        channels += repeats * growth
    network = nn.Sequential(
        *layers, nn.BatchNorm2d(channels), nn.ReLU(inplace=True), classifier(channels, sizes.classes)
    )
    _initialize(network)
    return network


def _initialize(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def _imagenet(
    depth: int, layers: tuple[int, ...], *, errors: tuple[float, float] | None = None, k: int = 32, stem: int = 64
) -> Baseline:
    """Return the baseline of a column of Table 1, with its errors of Table 3 (single crop)."""
    counted = 2 * sum(layers) + 5
    return Baseline(
        name=f"densenet-{depth}",
        title=f"DenseNet-{depth} (k = {k})",
        paper=PAPER,
        year=2017,
        make=partial(make, Table(k, layers, stem)),
        aliases=(f"densenet{depth}",),
        top1_error=errors[0] if errors else None,
        top5_error=errors[1] if errors else None,
        torchvision=f"densenet{depth}" if depth != 264 else "",
        note="" if counted == depth else f"Called {depth}; the paper's Table 1 lists {counted} weighted layers.",
    )


BASELINES: tuple[Baseline, ...] = (
    _imagenet(121, (6, 12, 24, 16), errors=(25.02, 7.71)),
    _imagenet(161, (6, 12, 36, 24), k=48, stem=96),
    _imagenet(169, (6, 12, 32, 32), errors=(23.8, 6.85)),
    _imagenet(201, (6, 12, 48, 32), errors=(22.58, 6.34)),
    _imagenet(264, (6, 12, 64, 48), errors=(22.15, 6.12)),
    Baseline(
        name="densenet-bc-100-12",
        title="DenseNet-BC for CIFAR (100 layers, k = 12)",
        paper=PAPER,
        year=2017,
        make=partial(make, Table(12, (16, 16, 16), stem=24, cifar=True)),
        resolution=32,
        classes=10,
        aliases=("densenet-bc",),
        top1_error=4.51,
    ),
)
