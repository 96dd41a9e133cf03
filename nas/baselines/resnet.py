"""Residual networks for ImageNet, ResNeXt and wide ones among them (the variant with pooling and projections).

Gates on the branch (squeeze-and-excitation and the like) are in `senet`, CIFAR's own nets in `cifar_resnet`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from nas.baselines.baseline import Baseline
from nas.baselines.residual_layers import (
    IMAGENET_STRIDES,
    STAGE_FILTERS,
    Residual,
    conv_norm,
    imagenet_stem,
    pooled_classifier,
    projection,
    residual_network,
    stages,
)
from nas.baselines.sizes import Sizes

EXPANSION = 4  # a bottleneck gives four times the filters of its 3 x 3 (He 2016, Fig. 5)


@dataclass(frozen=True, slots=True)
class ResNet:
    """A row of the tables: He 2016, Table 1; Xie 2017, Table 1.

    Attributes:
        repeats: blocks in each stage.
        bottleneck: blocks are 1x1, 3x3, 1x1; otherwise two 3x3.
        groups: of the 3x3 convolutions in bottlenecks.
        group_filters: filters in each of these groups, in the first stage; doubled from stage to stage.
        early_stride: a bottleneck's stride is in its first convolution, as in the paper; otherwise in its 3x3.
        gate: makes what a branch ends in, from its filters.
        ceil_pooling: the stem's pooling is Caffe's.
        small_images: made for CIFAR, without the strides of the stem.
    """

    repeats: tuple[int, int, int, int]
    bottleneck: bool = True
    groups: int = 1
    group_filters: int = 64
    early_stride: bool = False
    gate: Callable[[int], nn.Module] | None = None
    ceil_pooling: bool = False
    small_images: bool = False

    def make(self, sizes: Sizes) -> nn.Sequential:
        """Build it."""
        strides = self._strides(sizes)
        filters = [sizes.filters(count) for count in STAGE_FILTERS]
        outputs = [count * EXPANSION for count in filters] if self.bottleneck else filters
        return residual_network(
            imagenet_stem(sizes.channels, filters[0], strides, ceil_pooling=self.ceil_pooling),
            stages(
                self._bottleneck if self.bottleneck else self._basic,
                [filters[0], *outputs],
                repeats=[sizes.repeats(count) for count in self.repeats],
                strides=strides[2:],
            ),
            pooled_classifier(outputs[-1], sizes.classes),
        )

    def _strides(self, sizes: Sizes) -> tuple[int, ...]:
        if self.small_images:
            return (1, 1, *sizes.strides(IMAGENET_STRIDES[2:], canonical=32))
        return sizes.strides(IMAGENET_STRIDES, canonical=224)

    def _basic(self, c_in: int, c_out: int, stride: int) -> nn.Module:
        branch = [
            *conv_norm(c_in, c_out, kernel=3, stride=stride),
            nn.ReLU(inplace=True),
            *conv_norm(c_out, c_out, kernel=3),
        ]
        return self._residual(branch, c_in, c_out, stride)

    def _bottleneck(self, c_in: int, c_out: int, stride: int) -> nn.Module:
        group_filters = max(1, c_out // EXPANSION * self.group_filters // STAGE_FILTERS[0])
        inner = group_filters * self.groups
        early, late = (stride, 1) if self.early_stride else (1, stride)
        branch = [
            *conv_norm(c_in, inner, stride=early),
            nn.ReLU(inplace=True),
            *conv_norm(inner, inner, kernel=3, stride=late, groups=self.groups),
            nn.ReLU(inplace=True),
            *conv_norm(inner, c_out),
        ]
        return self._residual(branch, c_in, c_out, stride)

    def _residual(self, branch: list[nn.Module], c_in: int, c_out: int, stride: int) -> nn.Module:
        gates = [self.gate(c_out)] if self.gate else []
        shortcut = projection(c_in, c_out, stride)
        return Residual(nn.Sequential(*branch, *gates), shortcut, nn.ReLU(inplace=True))


REPEATS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
PRINTED = "The authors print {0} G MACs; the layers of their code have {1} G."
TEN_CROPS = "The errors are those of ten crops."
OPTION_A = " The paper prints 3.6 G MACs, as without the projections of its option B: 3.64 G."
LATE_STRIDE = (
    "The paper prints {1} G MACs, having the stride in the first 1x1 convolution: {2} G and the same parameters; that "
    "is {0}-v1."
)
CUT_OFF = "The paper prints 3.8 G MACs: 3.86 G, cut off."
QUOTED = " Zoph 2018 prints 83.6 M parameters; the layers of the authors' code have 83.5 M."


def _resnet(depth: int, network: ResNet, *, top1: float, top5: float | None = None, note: str) -> Baseline:
    return Baseline(
        f"resnet-{depth}",
        f"ResNet-{depth}, with projections" + (", stride in the 3x3" if network.bottleneck else ""),
        "Deep Residual Learning for Image Recognition",
        2016,
        network.make,
        aliases=(f"resnet{depth}", *([f"resnet-{depth}-v1.5"] if network.bottleneck else [])),
        top1_error=top1,
        top5_error=top5,
        torchvision=f"resnet{depth}",
        note=note,
    )


def _original(published: Baseline, network: ResNet) -> Baseline:
    return replace(
        published,
        name=f"{published.name}-v1",
        title=f"{published.name.replace('resnet', 'ResNet')} as in the paper, stride in the first 1x1",
        make=network.make,
        aliases=(),
        torchvision="",
        note=CUT_OFF if published.name == "resnet-50" else "",
    )


def _resnext(
    depth: int,
    network: ResNet,
    *,
    top1: float | None = None,
    top5: float | None = None,
    torchvision: bool = True,
    note: str = "",
) -> Baseline:
    size = f"{network.groups}x{network.group_filters}d"
    return Baseline(
        f"resnext-{depth}-{size}",
        f"ResNeXt-{depth} {size}",
        "Aggregated Residual Transformations for Deep Neural Networks",
        2017,
        network.make,
        aliases=(f"resnext{depth}_{size}",),
        top1_error=top1,
        top5_error=top5,
        torchvision=f"resnext{depth}_{size}" if torchvision else "",
        note=note,
    )


def _wide(depth: int) -> Baseline:
    return Baseline(
        f"wide-resnet-{depth}-2",
        f"Wide ResNet-{depth}-2, bottlenecks twice as wide inside",
        "Wide Residual Networks",
        2016,
        ResNet(REPEATS[depth], group_filters=128).make,
        aliases=(f"wide_resnet{depth}_2",),
        torchvision=f"wide_resnet{depth}_2",
    )


_BOTTLENECKS = (
    _resnet(50, ResNet(REPEATS[50]), top1=24.7, top5=7.8, note=LATE_STRIDE.format("resnet-50", "3.8", "3.86")),
    _resnet(101, ResNet(REPEATS[101]), top1=23.6, top5=7.1, note=LATE_STRIDE.format("resnet-101", "7.6", "7.57")),
    _resnet(152, ResNet(REPEATS[152]), top1=23.0, top5=6.7, note=LATE_STRIDE.format("resnet-152", "11.3", "11.28")),
)

BASELINES: tuple[Baseline, ...] = (
    _resnet(18, ResNet(REPEATS[18], bottleneck=False), top1=27.88, note=TEN_CROPS),
    _resnet(34, ResNet(REPEATS[34], bottleneck=False), top1=24.52, top5=7.46, note=TEN_CROPS + OPTION_A),
    *_BOTTLENECKS,
    *(
        _original(published, ResNet(REPEATS[depth], early_stride=True))
        for depth, published in zip((50, 101, 152), _BOTTLENECKS, strict=True)
    ),
    Baseline(
        "resnet18-cifar-standard",
        "ResNet-18 for CIFAR: 3x3 stem without stride or pooling",
        "Deep Residual Learning for Image Recognition",
        2016,
        ResNet(REPEATS[18], bottleneck=False, small_images=True).make,
        resolution=32,
        classes=10,
        aliases=("resnet-18-cifar",),
        top1_error=4.0,
        note="Not in the paper, whose nets for CIFAR are cifar-resnet-20 and so on.",
    ),
    _wide(50),
    _wide(101),
    _resnext(50, ResNet(REPEATS[50], groups=32, group_filters=4), top1=22.2, note=PRINTED.format("4.1", "4.23")),
    _resnext(
        101,
        ResNet(REPEATS[101], groups=32, group_filters=4),
        top1=21.2,
        top5=5.6,
        torchvision=False,
        note=PRINTED.format("7.8", "7.97"),
    ),
    _resnext(101, ResNet(REPEATS[101], groups=32, group_filters=8)),
    _resnext(
        101,
        ResNet(REPEATS[101], groups=64, group_filters=4),
        top1=20.4,
        top5=5.3,
        note=PRINTED.format("15.6", "15.46") + QUOTED,
    ),
)
