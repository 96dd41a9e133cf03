"""LeNet-5 (LeCun 1998, "Gradient-Based Learning Applied to Document Recognition", section II-B).

The original, with its table of connections, trainable subsampling, scaled tanh and fixed output codes; and what is
usually called LeNet-5 today. Below 16 pixels convolutions are padded, because nothing would be left otherwise; a map
smaller than C5's 5 x 5 kernel is seen by C5 as a whole. On larger images F6 reads all positions of C5.
"""

from __future__ import annotations

import math
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import map_size, max_pool
from nas.baselines.sizes import Sizes

PAPER = "Gradient-Based Learning Applied to Document Recognition"
CANONICAL = 32
SMALLEST_UNPADDED = 16
CODE_LENGTH = 84  # units of F6: the codes are 7 x 12 bitmaps in the paper

CONNECTIONS: tuple[tuple[int, ...], ...] = (  # Table I: the maps of S2 that each map of C3 reads
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)


class ScaledTanh(nn.Tanh):
    """1.7159 tanh(2x/3): equation 6 and appendix A. A tanh by class, so that `nas.parts` exchanges it as one."""

    def forward(self, images: Tensor) -> Tensor:
        """Squash each element."""
        return 1.7159 * torch.tanh(images * (2 / 3))


class Subsampling(nn.Module):
    """The sum over 2 x 2 positions, times a coefficient, plus a bias, both trained, one of each per map."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.coefficient = nn.Parameter(torch.full((channels, 1, 1), 1 / stride**2))  # it starts as an average
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, channels, height / stride, width / stride)."""
        sums = nn.functional.avg_pool2d(images, self.stride, divisor_override=1) if self.stride > 1 else images
        return sums * self.coefficient + self.bias


class PartialConv(nn.Module):
    """A 5 x 5 convolution in which each map reads some of the input's maps only, all of them equally many.

    The maps to be read are laid side by side, and each group of them gives a map.
    """

    inputs: Tensor

    def __init__(self, connections: tuple[tuple[int, ...], ...], *, padding: int) -> None:
        super().__init__()
        inputs = torch.tensor(connections).flatten()
        self.register_buffer("inputs", inputs, persistent=False)
        self.conv = nn.Conv2d(len(inputs), len(connections), 5, padding=padding, groups=len(connections))

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, number of connections' rows, height, width)."""
        maps: Tensor = self.conv(images[:, self.inputs])
        return maps


class Branches(nn.ModuleList):
    """Modules that read the same images, their maps concatenated."""

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, all branches' channels, height, width)."""
        return torch.cat([branch(images) for branch in self], dim=1)


def c3(*, padding: int) -> Branches:
    """Return the third layer: a branch for each number of maps that are read (Table I is in their order)."""
    return Branches(PartialConv(tuple(rows), padding=padding) for _, rows in groupby(CONNECTIONS, key=len))


class RadialBasisOutput(nn.Module):
    """Minus the squared distance to each class's code of -1 and +1 (equation 7), larger for the likelier class.

    The codes are fixed. The paper draws them as bitmaps of the characters and mentions random ones; these are random,
    so that there are as many as classes.
    """

    codes: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        codes = np.random.default_rng(1998).choice(np.array([-1.0, 1.0], dtype=np.float32), (classes, CODE_LENGTH))
        self.register_buffer("codes", torch.tensor(codes))

    def forward(self, units: Tensor) -> Tensor:
        """Return logits (batch, classes) for units (batch, 84)."""
        lengths = units.square().sum(dim=1, keepdim=True) + CODE_LENGTH
        return 2 * nn.functional.linear(units, self.codes) - lengths


def lenet(sizes: Sizes) -> nn.Sequential:
    """Build the original: 60,000 trainable parameters, 340,908 connections."""
    first, second = sizes.strides((2, 2), canonical=CANONICAL)
    pad = _padding((first, second), sizes)
    features = nn.Sequential(
        *(nn.Conv2d(sizes.channels, 6, 5, padding=pad), ScaledTanh()),  # C1
        *((Subsampling(6, first), ScaledTanh()) if first > 1 else ()),  # S2
        *(c3(padding=pad), ScaledTanh()),  # C3
        *(Subsampling(16, second), ScaledTanh()),  # S4
    )
    size = (sizes.resolution - 4 + 2 * pad) // first
    size = (size - 4 + 2 * pad) // second
    kernel = min(5, size)
    features.extend((nn.Conv2d(16, 120, kernel), ScaledTanh(), nn.Flatten()))  # C5
    features.extend((nn.Linear(120 * (size - kernel + 1) ** 2, CODE_LENGTH), ScaledTanh()))  # F6
    features.append(RadialBasisOutput(sizes.classes))
    return features.apply(_init_lecun)


def modern_lenet(sizes: Sizes) -> nn.Sequential:
    """Build what is usually called LeNet-5: all connections, ReLU, max pooling, linear output; 61,706 parameters."""
    strides = sizes.strides((2, 2), canonical=CANONICAL)
    pad = _padding(strides, sizes)
    features = nn.Sequential()
    channels = sizes.channels
    for filters, stride in zip((6, 16), strides, strict=True):
        c_out = sizes.filters(filters, 2)
        features.extend((nn.Conv2d(channels, c_out, 5, padding=pad), nn.ReLU(inplace=True), *max_pool(2, stride)))
        channels = c_out
    size = map_size(features, sizes.resolution)
    kernel = min(5, size)
    units = [sizes.filters(count, 2) for count in (120, 84)]
    features.extend((nn.Conv2d(channels, units[0], kernel), nn.ReLU(inplace=True), nn.Flatten()))
    features.extend((nn.Linear(units[0] * (size - kernel + 1) ** 2, units[1]), nn.ReLU(inplace=True)))
    features.append(nn.Linear(units[1], sizes.classes))
    return features  # torch's own initialisation, as in most implementations


def _padding(strides: tuple[int, ...], sizes: Sizes) -> int:
    return 2 if strides != (2, 2) or sizes.resolution < SMALLEST_UNPADDED else 0


def _init_lecun(module: nn.Module) -> None:
    """Draw weights uniformly from ±2.4 / fan-in (appendix A); biases are zero."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        bound = 2.4 / math.prod(module.weight.shape[1:])
        nn.init.uniform_(module.weight, -bound, bound)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="lenet-5",
        title="LeNet-5 as published: partial connections, trainable subsampling, fixed output codes",
        paper=PAPER,
        year=1998,
        make=lenet,
        resolution=32,
        channels=1,
        classes=10,
        top1_error=0.95,
        note="MACs count the 60 links of C3 and the 840 of the fixed output codes, not the subsampling's sums",
        scales=(),
    ),
    Baseline(
        name="lenet-5-modern",
        title="LeNet-5 with full connections, ReLU, max pooling and a linear output",
        paper=PAPER,
        year=1998,
        make=modern_lenet,
        resolution=32,
        channels=1,
        classes=10,
        note="1,706 parameters more than the paper's 60,000, whose C3 is partial and whose output is fixed",
        scales=("width",),
    ),
)
