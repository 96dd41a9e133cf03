"""Inception-v4 (Szegedy 2017, https://arxiv.org/abs/1602.07261): Inception modules in uniform stages, no residuals.

Not here: the auxiliary classifier of TF-Slim's version; the paper's figures have none.
"""

from __future__ import annotations

from torch import nn

from nas.baselines.baseline import Baseline
from nas.baselines.inception_blocks import Conv, Layer, Mixed, Plan, Pool, classifier, he_normal, initialize
from nas.baselines.sizes import Sizes

CANONICAL = 299
STRIDES = (2, 2, 2, 2, 2)
PAPER = "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning"
HALVING = Pool("max", strided=True, padding=0)
AVERAGE = Pool("average", counts_padding=False)
SEVEN_WIDE, SEVEN_HIGH = (1, 7), (7, 1)

STEM: tuple[Layer, ...] = (  # Figure 3
    Conv(32, 3, strided=True, padded=False),
    Conv(32, 3, padded=False),
    Conv(64, 3),
    Mixed(((HALVING,), (Conv(96, 3, strided=True, padded=False),))),
    Mixed(
        (
            (Conv(64), Conv(96, 3, padded=False)),
            (Conv(64), Conv(64, SEVEN_WIDE), Conv(64, SEVEN_HIGH), Conv(96, 3, padded=False)),
        )
    ),
    Mixed(((Conv(192, 3, strided=True, padded=False),), (HALVING,))),
)


def reduction_a(*, k: int, l: int, m: int, n: int) -> Mixed:  # noqa: E741 - the paper's letters
    """Return the reduction from 35 x 35 to 17 x 17 positions (Figure 7; k, l, m, n of Table 1)."""
    double = (Conv(k), Conv(l, 3), Conv(m, 3, strided=True, padded=False))
    return Mixed(((Conv(n, 3, strided=True, padded=False),), double, (HALVING,)))


INCEPTION_A = Mixed(  # Figure 4
    ((Conv(96),), (Conv(64), Conv(96, 3)), (Conv(64), Conv(96, 3), Conv(96, 3)), (AVERAGE, Conv(96)))
)
INCEPTION_B = Mixed(  # Figure 5
    (
        (Conv(384),),
        (Conv(192), Conv(224, SEVEN_WIDE), Conv(256, SEVEN_HIGH)),
        (Conv(192), Conv(192, SEVEN_HIGH), Conv(224, SEVEN_WIDE), Conv(224, SEVEN_HIGH), Conv(256, SEVEN_WIDE)),
        (AVERAGE, Conv(128)),
    )
)
FORK = Mixed(((Conv(256, (1, 3)),), (Conv(256, (3, 1)),)))
INCEPTION_C = Mixed(  # Figure 6
    (
        (Conv(256),),
        (Conv(384), FORK),
        (Conv(384), Conv(448, (3, 1)), Conv(512, (1, 3)), FORK),
        (AVERAGE, Conv(256)),
    )
)
REDUCTION_B = Mixed(  # Figure 8
    (
        (Conv(192), Conv(192, 3, strided=True, padded=False)),
        (Conv(256), Conv(256, SEVEN_WIDE), Conv(320, SEVEN_HIGH), Conv(320, 3, strided=True, padded=False)),
        (HALVING,),
    )
)


def layers(sizes: Sizes) -> list[Layer]:
    """Return the network's layers up to the classifier (Figure 9)."""
    return [
        *STEM,
        *[INCEPTION_A] * sizes.repeats(4),
        reduction_a(k=192, l=224, m=256, n=384),
        *[INCEPTION_B] * sizes.repeats(7),
        REDUCTION_B,
        *[INCEPTION_C] * sizes.repeats(3),
    ]


def make(sizes: Sizes) -> nn.Module:
    """Return Inception-v4, initialised as in TF-Slim (after He 2015)."""
    strides = sizes.strides(STRIDES, canonical=CANONICAL)
    plan, table = Plan(sizes, padded=strides != STRIDES), layers(sizes)
    features = plan.layers(sizes.channels, table, iter(strides))
    head = classifier(plan.filters(sizes.channels, table), sizes.classes, dropout=0.2)
    network = nn.Sequential(features, head)
    initialize(network, he_normal)
    return network


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="inception-v4",
        title="Inception-v4",
        paper=PAPER,
        year=2017,
        make=make,
        resolution=CANONICAL,
        aliases=("inception_v4", "inceptionv4"),
        top1_error=20.0,
        top5_error=5.0,
        note="Tables elsewhere list 48 M parameters and 13 G MACs; the released network has 42.68 M and 12.25 G.",
    ),
)
