"""Inception-ResNet v1 and v2 (Szegedy 2017, https://arxiv.org/abs/1602.07261), and v2 with squeeze-and-excitation.

v1 is the paper's figures; no official release exists. v2 is the released TF-Slim network, which has twice the residual
blocks of the figures. Where squeeze-and-excitation goes: Hu 2018 (https://arxiv.org/abs/1709.01507), Section 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from nas.baselines.baseline import Baseline
from nas.baselines.inception_blocks import (
    Conv,
    InceptionModule,
    Layer,
    Mixed,
    Plan,
    classifier,
    he_normal,
    initialize,
)
from nas.baselines.inception_v3 import STEM as STEM_V2
from nas.baselines.inception_v4 import AVERAGE, HALVING, PAPER, SEVEN_HIGH, SEVEN_WIDE, reduction_a
from nas.baselines.sizes import Sizes

CANONICAL = 299
STRIDES = (2, 2, 2, 2, 2)
SQUEEZE = 16  # Hu 2018, Section 6.4: the ratio r
SCALES = (0.17, 0.10, 0.20)  # of the residuals of the three stages, as released; the paper says 0.1 to 0.3

Branches: TypeAlias = tuple[tuple[Conv, ...], ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """Layers that lead into a stage, and the branches of its residual blocks."""

    entry: tuple[Layer, ...]
    branches: Branches
    repeats: int


@dataclass(frozen=True, slots=True)
class Network:
    """A table of an Inception-ResNet.

    Attributes:
        tail: layers between the last residual block and the classifier.
        linear_end: whether the last residual block has no ReLU.
    """

    stages: tuple[Stage, Stage, Stage]
    tail: tuple[Layer, ...] = ()
    linear_end: bool = False


def reduction_b(first: int, second: int, *, double: tuple[int, int]) -> Mixed:
    """Return the reduction from 17 x 17 to 8 x 8 positions (Figures 12 and 18), from its branches' filters."""
    single = [(Conv(256), Conv(filters, 3, strided=True, padded=False)) for filters in (first, second)]
    twice = (Conv(256), Conv(double[0], 3), Conv(double[1], 3, strided=True, padded=False))
    return Mixed((*single, twice, (HALVING,)))


BLOCK_A: Branches = ((Conv(32),), (Conv(32), Conv(32, 3)), (Conv(32), Conv(48, 3), Conv(64, 3)))  # Figure 16
BLOCK_B: Branches = ((Conv(192),), (Conv(128), Conv(160, SEVEN_WIDE), Conv(192, SEVEN_HIGH)))  # Figure 17
BLOCK_C: Branches = ((Conv(192),), (Conv(192), Conv(224, (1, 3)), Conv(256, (3, 1))))  # Figure 19

MIXED_5B = Mixed(
    ((Conv(96),), (Conv(48), Conv(64, 5)), (Conv(64), Conv(96, 3), Conv(96, 3)), (AVERAGE, Conv(64)))
)  # in the release in place of Figure 3's end

V1 = Network(
    (
        Stage(  # Figures 14 and 10
            (*STEM_V2[:-1], Conv(256, 3, strided=True, padded=False)),
            ((Conv(32),), (Conv(32), Conv(32, 3)), (Conv(32), Conv(32, 3), Conv(32, 3))),
            5,
        ),
        Stage(  # Figures 7 and 11
            (reduction_a(k=192, l=192, m=256, n=384),),
            ((Conv(128),), (Conv(128), Conv(128, SEVEN_WIDE), Conv(128, SEVEN_HIGH))),
            10,
        ),
        Stage(  # Figures 12 and 13
            (reduction_b(384, 256, double=(256, 256)),),
            ((Conv(192),), (Conv(192), Conv(192, (1, 3)), Conv(192, (3, 1)))),
            5,
        ),
    )
)
V2 = Network(
    (
        Stage((*STEM_V2, MIXED_5B), BLOCK_A, 10),
        Stage((reduction_a(k=256, l=256, m=384, n=384),), BLOCK_B, 20),
        Stage((reduction_b(384, 288, double=(288, 320)),), BLOCK_C, 10),
    ),
    tail=(Conv(1536),),
    linear_end=True,
)


class ResidualInception(nn.Module):
    """An Inception module, brought to the input's channels by a biased 1 x 1 convolution, scaled and added to it."""

    def __init__(self, plan: Plan, channels: int, branches: Branches, *, scale: float, squeezed: bool) -> None:
        super().__init__()
        self.scale = scale
        self.branches = InceptionModule(plan, channels, branches)
        self.up = nn.Conv2d(plan.filters(channels, [Mixed(branches)]), channels, 1)
        self.excite = SqueezeExcitation(channels, max(1, channels // SQUEEZE)) if squeezed else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return the sum, without ReLU."""
        return torch.add(images, self.excite(self.up(self.branches(images))), alpha=self.scale)


def _stages(plan: Plan, network: Network, strides: Iterator[int], *, squeezed: bool) -> list[nn.Module]:
    channels, built = plan.sizes.channels, list[nn.Module]()
    for stage, scale in zip(network.stages, SCALES, strict=True):
        built.append(plan.layers(channels, stage.entry, strides))
        channels = plan.filters(channels, stage.entry)
        for _ in range(plan.sizes.repeats(stage.repeats)):
            block = ResidualInception(plan, channels, stage.branches, scale=scale, squeezed=squeezed)
            built += [block, nn.ReLU(inplace=True)]
    built = built[:-1] if network.linear_end else built
    return [*built, plan.layers(channels, network.tail, strides)]


def make(network: Network, sizes: Sizes, *, squeezed: bool = False) -> nn.Module:
    """Return an Inception-ResNet, initialised as in TF-Slim (after He 2015)."""
    strides = sizes.strides(STRIDES, canonical=CANONICAL)
    plan = Plan(sizes, padded=strides != STRIDES)
    table = [layer for stage in network.stages for layer in stage.entry] + list(network.tail)
    head = classifier(plan.filters(sizes.channels, table), sizes.classes, dropout=0.2)
    built = nn.Sequential(*_stages(plan, network, iter(strides), squeezed=squeezed), head)
    initialize(built, he_normal)
    return built


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="inception-resnet-v1",
        title="Inception-ResNet-v1, from the paper's figures",
        paper=PAPER,
        year=2017,
        make=partial(make, V1),
        resolution=CANONICAL,
        aliases=("inception_resnet_v1", "inceptionresnetv1"),
        top1_error=21.3,
        top5_error=5.5,
        note="The paper prints no counts; implementations that follow FaceNet's code have another head (23,995,624).",
    ),
    Baseline(
        name="inception-resnet-v2",
        title="Inception-ResNet-v2, as released (10, 20 and 10 residual blocks)",
        paper=PAPER,
        year=2017,
        make=partial(make, V2),
        resolution=CANONICAL,
        aliases=("inception_resnet_v2", "inceptionresnetv2"),
        top1_error=19.9,
        top5_error=4.9,
        note="The paper's figures show 5, 10 and 5 residual blocks; the released network has twice as many.",
    ),
    Baseline(
        name="se-inception-resnet-v2",
        title="Inception-ResNet-v2 with squeeze-and-excitation",
        paper="Squeeze-and-Excitation Networks",
        year=2018,
        make=partial(make, V2, squeezed=True),
        resolution=CANONICAL,
        aliases=("se_inception_resnet_v2",),
        top1_error=19.8,
        top5_error=4.79,
        note="The paper prints 11.76 G MACs for a re-implementation that was never published; built here on the "
        "released Inception-ResNet-v2, which has 13.16 G.",
    ),
)
