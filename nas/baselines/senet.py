"""Residual networks whose branches end in a gate: squeeze-and-excitation, and CBAM."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from nas.baselines.baseline import Baseline
from nas.baselines.residual_layers import (
    IMAGENET_STRIDES,
    STAGE_FILTERS,
    Residual,
    conv_norm,
    pooled_classifier,
    projection,
    residual_network,
    stages,
    stem_pooling,
)
from nas.baselines.resnet import EXPANSION, REPEATS, ResNet
from nas.baselines.sizes import Sizes

SENET_154_GROUPS = 64
REDUCTION = 16  # of the gates (Hu 2018, section 6.4; Woo 2018, section 4)


def squeeze_excitation(channels: int) -> nn.Module:
    """Return the gate of Hu 2018, section 3: scales channels by what the mean over positions says.

    Its two layers have biases, as those released have.
    """
    gate: nn.Module = SqueezeExcitation(channels, max(1, channels // REDUCTION))
    return gate


class ChannelGate(nn.Module):
    """Scale channels by a perceptron of their means plus the same of their maxima (Woo 2018, eq. 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // REDUCTION)
        down, up = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        for layer in (down, up):
            nn.init.zeros_(layer.bias)  # as the released code does
        self.perceptron = nn.Sequential(down, nn.ReLU(inplace=True), up)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, channels, h, w), scaled."""
        scores: Tensor = self.perceptron(x.mean(dim=(2, 3))) + self.perceptron(x.amax(dim=(2, 3)))
        return x * scores.sigmoid()[:, :, None, None]


class SpatialGate(nn.Module):
    """Scale positions by a 7 x 7 convolution of maximum and mean over channels (Woo 2018, eq. 3)."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(1, momentum=0.01)
        nn.init.zeros_(norm.weight)  # as the released code does: at first all positions count the same
        self.score = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, channels, h, w), scaled."""
        summary = torch.cat((x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)), dim=1)
        scores: Tensor = self.score(summary)
        return x * scores.sigmoid()


def cbam(channels: int) -> nn.Module:
    """Return the convolutional block attention module: channels first, then positions (Woo 2018, section 3)."""
    return nn.Sequential(ChannelGate(channels), SpatialGate())


def _senet_154_block(c_in: int, c_out: int, stride: int) -> nn.Module:
    """64 groups, half the filters in the first 1x1, projections of 3x3 with a stride (Hu 2018, section 6.4)."""
    branch = nn.Sequential(
        *conv_norm(c_in, c_out // 2),
        nn.ReLU(inplace=True),
        *conv_norm(c_out // 2, c_out, kernel=3, stride=stride, groups=SENET_154_GROUPS),
        nn.ReLU(inplace=True),
        *conv_norm(c_out, c_out),
        squeeze_excitation(c_out),
    )
    shortcut = projection(c_in, c_out, stride, kernel=1 if stride == 1 else 3)
    return Residual(branch, shortcut, nn.ReLU(inplace=True))


def _senet_154(sizes: Sizes) -> nn.Module:
    strides = sizes.strides(IMAGENET_STRIDES, canonical=224)
    stem = [sizes.filters(count) for count in (64, 64, 128)]
    outputs = [sizes.filters(count * EXPANSION, divisor=2 * SENET_154_GROUPS) for count in STAGE_FILTERS]
    convolutions = [
        layer
        for c_in, c_out, stride in zip((sizes.channels, *stem[:2]), stem, (strides[0], 1, 1), strict=True)
        for layer in (*conv_norm(c_in, c_out, kernel=3, stride=stride), nn.ReLU(inplace=True))
    ]
    return residual_network(
        nn.Sequential(*convolutions, *stem_pooling(strides[1], ceil=True)),
        stages(
            _senet_154_block,
            [stem[-1], *outputs],
            repeats=[sizes.repeats(count) for count in REPEATS[152]],
            strides=strides[2:],
        ),
        pooled_classifier(outputs[-1], sizes.classes, dropout=0.2),
    )


SENET = "Squeeze-and-Excitation Networks"


def _se_resnet(depth: int, *, top1: float, top5: float, note: str = "") -> Baseline:
    network = ResNet(REPEATS[depth], early_stride=True, gate=squeeze_excitation, ceil_pooling=True)
    return Baseline(
        f"se-resnet-{depth}",
        f"SE-ResNet-{depth}, stride in the first 1x1",
        SENET,
        2018,
        network.make,
        aliases=(f"seresnet{depth}", f"se_resnet{depth}"),
        top1_error=top1,
        top5_error=top5,
        note=note,
    )


def _se_resnext(depth: int, *, top1: float, top5: float, note: str) -> Baseline:
    network = ResNet(REPEATS[depth], groups=32, group_filters=4, gate=squeeze_excitation, ceil_pooling=True)
    return Baseline(
        f"se-resnext-{depth}",
        f"SE-ResNeXt-{depth} 32x4d",
        SENET,
        2018,
        network.make,
        aliases=(f"seresnext{depth}", f"se_resnext{depth}_32x4d", f"se-resnext-{depth}-32x4d"),
        top1_error=top1,
        top5_error=top5,
        note=note,
    )


ROUNDED = "The paper prints {0} G MACs; those released have {1} G."

BASELINES: tuple[Baseline, ...] = (
    _se_resnet(50, top1=23.29, top5=6.62, note=ROUNDED.format(3.87, 3.86)),
    _se_resnet(101, top1=22.38, top5=6.07, note=ROUNDED.format("7.60", 7.57)),
    _se_resnet(152, top1=21.57, top5=5.73, note=ROUNDED.format(11.32, 11.29)),
    _se_resnext(50, top1=21.1, top5=5.49, note=ROUNDED.format(4.25, 4.23)),
    _se_resnext(101, top1=20.7, top5=5.01, note=ROUNDED.format("8.00", 7.97)),
    Baseline(
        "senet-154",
        "SENet-154",
        SENET,
        2018,
        _senet_154,
        aliases=("senet154",),
        top1_error=18.68,
        top5_error=4.47,
        note="145.8 M parameters, often quoted for SENet, are those of an earlier network, not of this one released.",
    ),
    Baseline(
        "cbam-resnet-50",
        "ResNet-50 with CBAM, stride in the 3x3",
        "CBAM: Convolutional Block Attention Module",
        2018,
        ResNet(REPEATS[50], gate=cbam).make,
        aliases=("cbam_resnet50",),
        top1_error=22.66,
        top5_error=6.31,
        note="The paper prints 3.864 G MACs, as with the stride in the first 1x1; its released code has it in the 3x3.",
    ),
)
