"""Inception-v3 (Szegedy 2016, https://arxiv.org/abs/1512.00567): factorised convolutions and one auxiliary classifier.

Not here: label smoothing and RMSProp, which belong to training.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.inception_blocks import Conv, Layer, Mixed, Plan, Pool, classifier, initialize
from nas.baselines.sizes import Sizes

CANONICAL = 299
STRIDES = (2, 2, 2, 2, 2)
HALVING = Pool("max", strided=True, padding=0)
SEVEN_WIDE, SEVEN_HIGH = (1, 7), (7, 1)

STEM: tuple[Layer, ...] = (
    Conv(32, 3, strided=True, padded=False),
    Conv(32, 3, padded=False),
    Conv(64, 3),
    HALVING,
    Conv(80),
    Conv(192, 3, padded=False),
    HALVING,
)


def _figure_5(pooled: int) -> Mixed:
    """Return the module of 35 x 35 positions; the 5 x 5 branch of Inception-v1 stays beside the double 3 x 3."""
    double = (Conv(64), Conv(96, 3), Conv(96, 3))
    return Mixed(((Conv(64),), (Conv(48), Conv(64, 5)), double, (Pool("average"), Conv(pooled))))


def _figure_6(seven: int) -> Mixed:
    """Return the module of 17 x 17 positions: 7 x 7 as 1 x 7 and 7 x 1, with `seven` filters in between."""
    single = (Conv(seven), Conv(seven, SEVEN_WIDE), Conv(192, SEVEN_HIGH))
    thin = (Conv(seven), Conv(seven, SEVEN_HIGH), Conv(seven, SEVEN_WIDE), Conv(seven, SEVEN_HIGH))
    return Mixed(((Conv(192),), single, (*thin, Conv(192, SEVEN_WIDE)), (Pool("average"), Conv(192))))


FORK = Mixed(((Conv(384, (1, 3)),), (Conv(384, (3, 1)),)))
FIGURE_7 = Mixed(
    ((Conv(320),), (Conv(384), FORK), (Conv(448), Conv(384, 3), FORK), (Pool("average"), Conv(192)))
)  # the module of 8 x 8 positions: expanded filter banks

REDUCTION_A = Mixed(
    (
        (Conv(384, 3, strided=True, padded=False),),
        (Conv(64), Conv(96, 3), Conv(96, 3, strided=True, padded=False)),
        (HALVING,),
    )
)
REDUCTION_B = Mixed(
    (
        (Conv(192), Conv(320, 3, strided=True, padded=False)),
        (Conv(192), Conv(192, SEVEN_WIDE), Conv(192, SEVEN_HIGH), Conv(192, 3, strided=True, padded=False)),
        (HALVING,),
    )
)
LOWER: tuple[Layer, ...] = (
    *STEM,
    *(_figure_5(pooled) for pooled in (32, 64, 64)),
    REDUCTION_A,
    *(_figure_6(seven) for seven in (128, 160, 160, 192)),
)
UPPER: tuple[Layer, ...] = (REDUCTION_B, FIGURE_7, FIGURE_7)


class InceptionV3(nn.Module):
    """Stem and eleven modules; an auxiliary classifier reads before the last reduction."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        strides = sizes.strides(STRIDES, canonical=CANONICAL)
        plan = Plan(sizes, padded=strides != STRIDES)
        left = iter(strides)
        self.lower = plan.layers(sizes.channels, LOWER, left)
        c_lower = plan.filters(sizes.channels, LOWER)
        self.auxiliary = _auxiliary(sizes, c_lower) if sizes.auxiliary else None
        self.upper = plan.layers(c_lower, UPPER, left)
        self.head = classifier(plan.filters(c_lower, UPPER), sizes.classes, dropout=0.5)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return cast(Tensor, self.head(self.upper(self.lower(images))))

    def forward_with_auxiliary(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the logits, and those of the auxiliary classifier; no such where it was not built."""
        state = self.lower(images)
        auxiliary = () if self.auxiliary is None else (self.auxiliary(state),)
        return self.head(self.upper(state)), auxiliary


def _auxiliary(sizes: Sizes, c_in: int) -> nn.Sequential:
    """Return the auxiliary classifier (Szegedy 2016, Section 4); smaller images are averaged to its 5 x 5 positions."""
    plan = Plan(sizes)
    layers = (Conv(128), Conv(768, 5, padded=False))
    return nn.Sequential(
        nn.AvgPool2d(5, 3) if sizes.resolution >= CANONICAL else nn.AdaptiveAvgPool2d(5),
        plan.layers(c_in, layers, iter(())),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(plan.filters(c_in, layers), sizes.classes),
    )


def make(sizes: Sizes) -> nn.Module:
    """Return Inception-v3, initialised as in torchvision: normal with deviation 0.1 (auxiliary classifier: 0.001)."""
    network = InceptionV3(sizes)
    initialize(network, partial(nn.init.trunc_normal_, std=0.1), bias=None)
    if network.auxiliary is not None:
        nn.init.trunc_normal_(cast(Tensor, network.auxiliary[-1].weight), std=0.001)
    return network


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="inception-v3",
        title="Inception-v3",
        paper="Rethinking the Inception Architecture for Computer Vision",
        year=2016,
        make=make,
        resolution=CANONICAL,
        aliases=("inception_v3", "inceptionv3"),
        top1_error=21.2,
        top5_error=5.6,
        torchvision="inception_v3",
        note="27,161,264 parameters with the auxiliary classifier; Keras trains no scale in batch normalisation "
        "(23,817,352). Zoph 2018 prints 5.72 G MACs and does not say how they were counted; here they are 5.713 G.",
        scales=("width",),
    ),
)
