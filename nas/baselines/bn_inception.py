"""BN-Inception (Ioffe 2015, https://arxiv.org/abs/1502.03167) and the network that TF-Slim calls Inception-v2.

Both replace GoogLeNet's 5 x 5 convolutions by two of 3 x 3. Inception-v2 names three different networks; the one here
is TF-Slim's in its Caffe port, BN-Inception with a separable stem. Not here: the one of Szegedy 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

from nas.baselines.baseline import Baseline
from nas.baselines.inception_blocks import Conv, Layer, Mixed, Plan, Pool, classifier, he_normal, initialize
from nas.baselines.sizes import Sizes
from search_spaces.scaling_rules import stem_kernel

CANONICAL = 224
STRIDES = (2, 2, 2, 2, 2)
STEM_FILTERS = 64
DEPTH_MULTIPLIER = 8


@dataclass(frozen=True, slots=True)
class Module:
    """Filters of one module (Ioffe 2015, Figure 5); (first, then) of the 3 x 3 and the double 3 x 3 branches.

    Attributes:
        one, pooled: 0 in a module that halves the size: there is no such branch, and pooling alone.
    """

    one: int
    three: tuple[int, int]
    double: tuple[int, int]
    pooled: int
    pool: Literal["max", "average"] = "average"

    def mixed(self, size: int) -> Mixed:
        """Return the branches, for states of `size` positions a side."""
        (before, three), (first, double), strided = self.three, self.double, not self.one
        branches: list[tuple[Layer, ...]] = [] if strided else [(Conv(self.one),)]
        branches.append((Conv(before), Conv(three, 3, strided=strided)))
        branches.append((Conv(first), Conv(double, 3), Conv(double, 3, strided=strided)))
        branches.append((_halving(size),) if strided else (Pool(self.pool), Conv(self.pooled)))
        return Mixed(tuple(branches))


def _modules(pooled: int) -> tuple[Module, ...]:
    """Return modules 3a to 5b; `pooled` is what the published networks do not agree on, in 4c and 4d."""
    return (
        Module(64, (64, 64), (64, 96), 32),
        Module(64, (64, 96), (64, 96), 64),
        Module(0, (128, 160), (64, 96), 0, "max"),
        Module(224, (64, 96), (96, 128), 128),
        Module(192, (96, 128), (96, 128), 128),
        Module(160, (128, 160), (128, 160), pooled),
        Module(96, (128, 192), (160, 192), pooled),
        Module(0, (128, 192), (192, 256), 0, "max"),
        Module(352, (192, 320), (160, 224), 128),
        Module(352, (192, 320), (192, 224), 128, "max"),
    )


def _halving(size: int) -> Pool:
    """Return max pooling to ceil(size / 2), as convolutions give; on even sizes it is the unpadded one of Caffe."""
    return Pool("max", strided=True, padding=size % 2, ceil=True)


def _features(plan: Plan, pooled: int) -> list[Layer]:
    """Return all layers after the stem's first convolution."""
    strides = plan.sizes.strides(STRIDES, canonical=CANONICAL)
    size = math.ceil(plan.sizes.resolution / strides[0])
    layers: list[Layer] = []
    for i, part in enumerate(([], [Conv(64), Conv(192, 3)])):
        layers += [*part, _halving(size)]
        size = math.ceil(size / strides[i + 1])
    halvings = iter(strides[3:])
    for module in _modules(pooled):
        layers.append(module.mixed(size))
        size = size if module.one else math.ceil(size / next(halvings))
    return layers


def _separable_stem(plan: Plan, stride: int) -> nn.Sequential:
    """Return a depthwise 7 x 7 convolution and a biased pointwise one; neither is normalised (the Caffe port)."""
    c_in = plan.sizes.channels
    kernel = stem_kernel(7, stride, 2)
    wide = c_in * DEPTH_MULTIPLIER
    depthwise = nn.Conv2d(c_in, wide, kernel, stride, kernel // 2, groups=c_in, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(wide, plan.sizes.filters(STEM_FILTERS), 1), nn.ReLU(inplace=True))


def _network(plan: Plan, *, separable: bool, pooled: int, dropout: float) -> nn.Module:
    strides = iter(plan.sizes.strides(STRIDES, canonical=CANONICAL))
    first = next(strides)
    stem: nn.Module
    if separable:
        stem = _separable_stem(plan, first)
    else:
        stem = plan.conv(plan.sizes.channels, Conv(STEM_FILTERS, 7, strided=True), stride=first)
    c_stem, layers = plan.sizes.filters(STEM_FILTERS), _features(plan, pooled)
    head = classifier(plan.filters(c_stem, layers), plan.sizes.classes, dropout=dropout)
    network = nn.Sequential(stem, plan.layers(c_stem, layers, strides), head)
    initialize(network, he_normal)
    return network


def make_bn_inception(sizes: Sizes) -> nn.Module:
    """Return BN-Inception, with the redundant biases of its usual implementation; initialised after He 2015."""
    return _network(Plan(sizes, bias=True, eps=1e-5), separable=False, pooled=128, dropout=0.0)


def make_inception_v2(sizes: Sizes) -> nn.Module:
    """Return TF-Slim's Inception-v2, initialised as there (after He 2015)."""
    return _network(Plan(sizes), separable=True, pooled=96, dropout=0.2)


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="bn-inception",
        title="BN-Inception (Inception-v2 of the batch normalisation paper)",
        paper="Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
        year=2015,
        make=make_bn_inception,
        aliases=("bninception", "inception-bn"),
        top1_error=25.2,
        top5_error=7.82,
        note="The paper prints 13.6 M parameters, which its own table does not give: 11,285,224, and 10,016 biases "
        "before batch normalisation that the usual implementation keeps.",
        scales=("width",),
    ),
    Baseline(
        name="inception-v2",
        title="Inception-v2 as in TF-Slim: BN-Inception with a separable stem",
        paper="Rethinking the Inception Architecture for Computer Vision",
        year=2016,
        make=make_inception_v2,
        aliases=("inception_v2", "inceptionv2"),
        top1_error=25.2,
        top5_error=7.8,
        note="Three networks go by this name; this is the Caffe port of TF-Slim's, not the one of the paper's Table 3. "
        "Zoph 2018 prints 1.94 G MACs for TF-Slim's; the port has 1.935 G.",
        scales=("width",),
    ),
)
