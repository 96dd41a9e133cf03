"""GoogLeNet (Szegedy 2015, https://arxiv.org/abs/1409.4842), as published and as torchvision has it.

The paper's has biases, no batch normalisation, and local response normalisation in the stem. torchvision's, like
TF-Slim's, has batch normalisation without biases, and 3 x 3 convolutions where the paper has 5 x 5.
Not here: the two learning rates of Caffe's version.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast

from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.inception_blocks import (
    Conv,
    Layer,
    LocalResponseNorm,
    Mixed,
    Plan,
    Pool,
    classifier,
    he_normal,
    initialize,
)
from nas.baselines.sizes import Sizes

CANONICAL = 224
STRIDES = (2, 2, 2, 2, 2)
PAPER = "Going Deeper with Convolutions"


@dataclass(frozen=True, slots=True)
class InceptionFilters:
    """Filters of one module (Szegedy 2015, Table 1); a branch without filters is left out.

    Attributes:
        one, three, five: of the 1 x 1, 3 x 3 and 5 x 5 convolutions.
        before_three, before_five: of the 1 x 1 convolution that reads first; None for the naive module, without it.
        pooled: of the 1 x 1 convolution after pooling; None for pooling alone.
    """

    one: int
    before_three: int | None
    three: int
    before_five: int | None
    five: int
    pooled: int | None

    def mixed(self, *, large: int = 5) -> Mixed:
        """Return the module's branches; `large` is the side of what the paper calls 5 x 5."""
        branches: list[tuple[Layer, ...]] = [(Conv(self.one),)] if self.one else []
        for reduce, filters, kernel in ((self.before_three, self.three, 3), (self.before_five, self.five, large)):
            if filters:
                branches.append(((Conv(reduce),) if reduce else ()) + (Conv(filters, kernel),))
        if self.pooled is None:
            branches.append((Pool("max"),))
        elif self.pooled:
            branches.append((Pool("max"), Conv(self.pooled)))
        return Mixed(tuple(branches))


STAGES = (
    (InceptionFilters(64, 96, 128, 16, 32, 32), InceptionFilters(128, 128, 192, 32, 96, 64)),
    (
        InceptionFilters(192, 96, 208, 16, 48, 64),
        InceptionFilters(160, 112, 224, 24, 64, 64),
        InceptionFilters(128, 128, 256, 24, 64, 64),
        InceptionFilters(112, 144, 288, 32, 64, 64),
        InceptionFilters(256, 160, 320, 32, 128, 128),
    ),
    (InceptionFilters(256, 160, 320, 32, 128, 128), InceptionFilters(384, 192, 384, 48, 128, 128)),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """What the paper's and torchvision's networks do differently.

    Attributes:
        norm: batch normalisation, instead of biases and local response normalisation.
        large: side of the kernels that the paper has as 5 x 5.
        last_pool: side of the last max pooling.
        dropout: before the classifier.
    """

    norm: bool
    large: int
    last_pool: int
    dropout: float

    def segments(self) -> tuple[list[Layer], ...]:
        """Return the layers up to 4a, up to 4d, and the rest: auxiliary classifiers read in between."""
        pool = Pool("max", strided=True, padding=0, ceil=True)
        local: list[Layer] = [] if self.norm else [LocalResponseNorm()]
        stem = [Conv(64, 7, strided=True), pool, *local, Conv(64), Conv(192, 3), *local, pool]
        third, fourth, fifth = ([module.mixed(large=self.large) for module in stage] for stage in STAGES)
        last = Pool("max", strided=True, kernel=self.last_pool, padding=0, ceil=True)
        return [*stem, *third, pool, *fourth[:1]], [*fourth[1:4]], [*fourth[4:], last, *fifth]


PUBLISHED = Variant(norm=False, large=5, last_pool=3, dropout=0.4)
TORCHVISION = Variant(norm=True, large=3, last_pool=2, dropout=0.2)


class GoogLeNet(nn.Module):
    """Stem and nine Inception modules; two auxiliary classifiers read after modules 4a and 4d."""

    def __init__(self, variant: Variant, sizes: Sizes) -> None:
        super().__init__()
        plan = Plan(sizes, norm=variant.norm, bias=not variant.norm)
        strides = iter(sizes.strides(STRIDES, canonical=CANONICAL))
        channels, built = [sizes.channels], []
        for layers in variant.segments():
            built.append(plan.layers(channels[-1], layers, strides))
            channels.append(plan.filters(channels[-1], layers))
        self.segments = nn.ModuleList(built)
        heads = [_auxiliary(plan, c) for c in channels[1:3]] if sizes.auxiliary else []
        self.auxiliary = nn.ModuleList(heads)
        self.head = classifier(channels[-1], sizes.classes, dropout=variant.dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        for segment in self.segments:
            images = segment(images)
        return cast(Tensor, self.head(images))

    def forward_with_auxiliary(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the logits, and those of the auxiliary classifiers from input to output; none where none were built.

        The paper adds their losses with a weight of 0.3 (Section 5).
        """
        states = []
        for segment in self.segments:
            images = segment(images)
            states.append(images)
        auxiliary = tuple(head(state) for head, state in zip(self.auxiliary, states, strict=False))
        return self.head(images), auxiliary


def _auxiliary(plan: Plan, c_in: int) -> nn.Sequential:
    """Return an auxiliary classifier (Szegedy 2015, Section 5), averaged to 4 x 4 positions on images of any size."""
    sizes = plan.sizes
    windows = not plan.norm and sizes.resolution == CANONICAL  # the paper's windows fit 14 x 14 positions only
    hidden = sizes.filters(1024)
    return nn.Sequential(
        nn.AvgPool2d(5, 3) if windows else nn.AdaptiveAvgPool2d(4),
        plan.conv(c_in, Conv(128)),
        nn.Flatten(),
        nn.Linear(sizes.filters(128) * 16, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(0.7),
        nn.Linear(hidden, sizes.classes),
    )


def make_published(sizes: Sizes) -> nn.Module:
    """Return the paper's network, initialised after He 2015.

    The paper does not say how; Caffe's version has variance 1 / fan-in and biases of 0.2, from which narrow versions on
    small images were not seen to start learning.
    """
    network = GoogLeNet(PUBLISHED, sizes)
    initialize(network, he_normal)
    return network


def make_torchvision(sizes: Sizes) -> nn.Module:
    """Return torchvision's network, initialised as there: normal with deviation 0.01, cut off at 2."""
    network = GoogLeNet(TORCHVISION, sizes)
    initialize(network, partial(nn.init.trunc_normal_, std=0.01), bias=None)
    return network


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="googlenet",
        title="GoogLeNet (Inception-v1): no batch normalisation, 5 x 5 branches",
        paper=PAPER,
        year=2015,
        make=make_published,
        aliases=("inception-v1", "inception_v1"),
        top5_error=10.07,
        note="The paper's Table 1 adds up to 6.8 M parameters and 1.5 G MACs, but the filters that it lists give "
        "6,998,552 and 1.58 G (13,378,280 parameters with both auxiliary classifiers).",
        scales=("width",),
    ),
    Baseline(
        name="googlenet-torchvision",
        title="GoogLeNet as in torchvision: batch normalisation, 3 x 3 instead of 5 x 5",
        paper=PAPER,
        year=2015,
        make=make_torchvision,
        top1_error=30.2,
        top5_error=10.1,
        torchvision="googlenet",
        note="Not the paper's network: 6.62 M parameters as TF-Slim's inception_v1, whose errors these are. Zoph 2018 "
        "prints 1.448 G MACs for that and does not say how they were counted; here they are 1.498 G.",
        scales=("width",),
    ),
)
