"""AlexNet (Krizhevsky 2012), its single-tower forms, and ZFNet (Zeiler 2014): five convolutions, three dense layers.

Convolutions are drawn as by He (2015): the papers' normal weights of deviation 0.01 need their long schedules.
AlexNet for one tower by its author (Krizhevsky 2014) follows torchvision, initialisation included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import conv_relu, init_he, map_size, max_pool, network
from nas.baselines.sizes import Sizes
from search_spaces.scaling_rules import stem_kernel

HIDDEN_UNITS = 4096


@dataclass(frozen=True, slots=True)
class Stage:
    """A convolution with ReLU, and what follows it.

    Attributes:
        filters, kernel, stride, padding, groups: of the convolution.
        pool: whether a 3 x 3 max pooling of stride 2 follows.
        pool_padding: of that pooling.
        norm: whether responses are normalised, before or after the pooling.
    """

    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    pool: bool = False
    pool_padding: int = 0
    norm: Literal["", "before", "after"] = ""


ALEXNET = (  # Krizhevsky 2012, section 3.5: layers 2, 4 and 5 read the maps of their own GPU only
    Stage(96, 11, stride=4, norm="before", pool=True),
    Stage(256, 5, padding=2, groups=2, norm="before", pool=True),
    Stage(384, 3, padding=1),
    Stage(384, 3, padding=1, groups=2),
    Stage(256, 3, padding=1, groups=2, pool=True),
)
SINGLE_TOWER = tuple(replace(stage, groups=1) for stage in ALEXNET)
ONE_WEIRD_TRICK = (  # Krizhevsky 2014, footnote 1
    Stage(64, 11, stride=4, padding=2, pool=True),
    Stage(192, 5, padding=2, pool=True),
    Stage(384, 3, padding=1),
    Stage(256, 3, padding=1),
    Stage(256, 3, padding=1, pool=True),
)
ZFNET = (  # Zeiler 2014, figure 3
    Stage(96, 7, stride=2, padding=1, pool=True, pool_padding=1, norm="after"),
    Stage(256, 5, stride=2, pool=True, pool_padding=1, norm="after"),
    Stage(384, 3, padding=1),
    Stage(384, 3, padding=1),
    Stage(256, 3, padding=1, pool=True),
)


def response_norm() -> nn.LocalResponseNorm:
    """Return Krizhevsky's local response normalisation (2012, section 3.3).

    His alpha of 1e-4 multiplies the sum over 5 maps, torch's their mean.
    """
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def _features(sizes: Sizes, *, stages: tuple[Stage, ...], canonical: int) -> nn.Sequential:
    published = tuple(stride for stage in stages for stride in (stage.stride, 2 if stage.pool else 1))
    strides = sizes.strides(published, canonical=canonical)
    channels = sizes.channels
    layers: list[nn.Module] = []
    for i, stage in enumerate(stages):
        filters = sizes.filters(stage.filters)
        adapted = _adapted(stage, strides[2 * i]) if strides != published else stage
        layers += _layers(adapted, c_in=channels, c_out=filters, pool_stride=strides[2 * i + 1])
        channels = filters
    return nn.Sequential(*layers)


def _adapted(stage: Stage, stride: int) -> Stage:
    """Return the stage as it is where strides were given up: nothing is left unpadded."""
    kernel = stem_kernel(stage.kernel, stride, stage.stride)
    return replace(stage, kernel=kernel, stride=stride, padding=kernel // 2, pool_padding=1)


def _layers(stage: Stage, *, c_in: int, c_out: int, pool_stride: int) -> Iterator[nn.Module]:
    yield conv_relu(c_in, c_out, kernel=stage.kernel, stride=stage.stride, padding=stage.padding, groups=stage.groups)
    if stage.norm == "before":
        yield response_norm()
    yield from max_pool(3, pool_stride if stage.pool else 1, padding=stage.pool_padding)
    if stage.norm == "after":
        yield response_norm()


def alexnet(sizes: Sizes, *, stages: tuple[Stage, ...], canonical: int) -> nn.Sequential:
    """Build convolutions and dense layers; the first of these reads all positions of the last map."""
    features = _features(sizes, stages=stages, canonical=canonical)
    units = sizes.filters(HIDDEN_UNITS)
    size = map_size(features, sizes.resolution)
    classifier = nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(sizes.filters(stages[-1].filters) * size**2, units), nn.ReLU(inplace=True), nn.Dropout()),
        *(nn.Linear(units, units), nn.ReLU(inplace=True), nn.Dropout()),
        nn.Linear(units, sizes.classes),
    )
    return network(features.apply(init_he), classifier)


def one_weird_trick(sizes: Sizes) -> nn.Sequential:
    """Build torchvision's AlexNet: the last map is averaged to at most 6 x 6, dropout comes before dense layers."""
    features = _features(sizes, stages=ONE_WEIRD_TRICK, canonical=224)
    units = sizes.filters(HIDDEN_UNITS)
    size = min(6, map_size(features, sizes.resolution))
    classifier = nn.Sequential(
        *(nn.AdaptiveAvgPool2d(size), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(sizes.filters(256) * size**2, units), nn.ReLU(inplace=True)),
        *(nn.Dropout(), nn.Linear(units, units), nn.ReLU(inplace=True)),
        nn.Linear(units, sizes.classes),
    )
    return network(features, classifier)


KRIZHEVSKY = "ImageNet Classification with Deep Convolutional Neural Networks"
BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="alexnet",
        title="AlexNet, two towers as groups",
        paper=KRIZHEVSKY,
        year=2012,
        make=partial(alexnet, stages=ALEXNET, canonical=227),
        resolution=227,
        top1_error=40.7,
        top5_error=18.2,
        note="the paper prints 60 M parameters, which are 60.97 M, cut off; it says 224 pixels, but its first map of "
        "55 x 55 needs 227",
        scales=("width",),
    ),
    Baseline(
        name="alexnet-single",
        title="AlexNet, one tower without groups",
        paper=KRIZHEVSKY,
        year=2012,
        make=partial(alexnet, stages=SINGLE_TOWER, canonical=227),
        resolution=227,
        note="the paper's filters without its two towers; no figures are published for it",
        scales=("width",),
    ),
    Baseline(
        name="alexnet-torchvision",
        title="AlexNet in one column, as in torchvision",
        paper="One weird trick for parallelizing convolutional neural networks",
        year=2014,
        make=one_weird_trick,
        aliases=("alexnet-owt",),
        torchvision="alexnet",
        scales=("width",),
    ),
    Baseline(
        name="zfnet",
        title="ZFNet, one network as in figure 3",
        paper="Visualizing and Understanding Convolutional Networks",
        year=2014,
        make=partial(alexnet, stages=ZFNET, canonical=224),
        top1_error=38.4,
        top5_error=16.5,
        scales=("width",),
    ),
)
