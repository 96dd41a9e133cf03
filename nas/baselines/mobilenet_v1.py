"""MobileNet (Howard 2017, Table 1): depthwise 3 x 3 and pointwise convolutions, each with BN and ReLU.

Weights are drawn as by He (2015); `width` is the paper's width multiplier.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import init_he, network
from nas.baselines.sizes import Sizes

STEM_FILTERS = 32


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks with the same filters, the first of which takes the stride."""

    filters: int
    blocks: int
    stride: int


STAGES = (Stage(64, 1, 1), Stage(128, 2, 2), Stage(256, 2, 2), Stage(512, 6, 2), Stage(1024, 2, 2))


def _conv_norm_relu(c_in: int, c_out: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


def _separable(c_in: int, c_out: int, *, stride: int) -> nn.Sequential:
    """Return a depthwise separable convolution (figure 3, right)."""
    depthwise = _conv_norm_relu(c_in, c_in, kernel=3, stride=stride, groups=c_in)
    return nn.Sequential(depthwise, _conv_norm_relu(c_in, c_out, kernel=1))


def mobilenet(sizes: Sizes) -> nn.Sequential:
    """Build the network; `depth` multiplies the blocks of each stage."""
    strides = sizes.strides((2, *(stage.stride for stage in STAGES)), canonical=224)
    channels = sizes.filters(STEM_FILTERS)
    features = nn.Sequential(_conv_norm_relu(sizes.channels, channels, kernel=3, stride=strides[0]))
    for stage, stage_stride in zip(STAGES, strides[1:], strict=True):
        for i in range(sizes.repeats(stage.blocks)):
            filters = sizes.filters(stage.filters)
            features.append(_separable(channels, filters, stride=stage_stride if i == 0 else 1))
            channels = filters
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, sizes.classes))
    return network(features.apply(init_he), classifier)


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="mobilenet-v1",
        title="MobileNet v1, width 1.0",
        paper="MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
        year=2017,
        make=mobilenet,
        aliases=("mobilenet", "mobilenet_v1"),
        top1_error=29.4,
        top5_error=10.5,
    ),
)
