"""RegNets: stages whose widths follow a quantised line, X without and Y with squeeze-and-excitation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from nas.baselines.baseline import Baseline
from nas.baselines.residual_layers import conv_norm, projection, residual_network, stages
from nas.baselines.sizes import Sizes

STRIDES = (2, 2, 2, 2, 2)  # stem, four stages
STEM_FILTERS = 32
QUANTUM = 8  # of the widths
SQUEEZE_RATIO = 0.25  # of what comes into the block


@dataclass(frozen=True, slots=True)
class RegNet:
    """The parameters of a network of the design space (Radosavovic 2020, section 3.3, eq. 2-4).

    Attributes:
        depth: number of blocks.
        initial_width: w_0.
        slope: w_a, by which widths grow from block to block.
        multiplier: w_m, of which widths are powers, times w_0.
        group_filters: in each group of the 3 x 3 convolutions.
        squeeze: whether branches have squeeze-and-excitation (section 4, RegNetY).
    """

    depth: int
    initial_width: int
    slope: float
    multiplier: float
    group_filters: int
    squeeze: bool

    def stage_table(self) -> list[tuple[int, int]]:
        """Return filters and number of blocks of each stage."""
        line = [self.initial_width + self.slope * i for i in range(self.depth)]
        return [(self._divisible(width), len(list(blocks))) for width, blocks in groupby(map(self._quantized, line))]

    def make(self, sizes: Sizes) -> nn.Sequential:
        """Build it; linear layers start from N(0, 0.01^2) and no bias, as torchvision's."""
        rows = self.stage_table()
        strides = sizes.strides(STRIDES, canonical=224)
        widths = [self._divisible(sizes.filters(width)) for width, _ in rows]
        stem = sizes.filters(STEM_FILTERS)
        body = stages(
            self._block,
            [stem, *widths],
            repeats=[sizes.repeats(count) for _, count in rows],
            strides=strides[1:],
        )
        classifier = nn.Linear(widths[-1], sizes.classes)
        nn.init.normal_(classifier.weight, std=0.01)
        nn.init.zeros_(classifier.bias)
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier]
        convolution = conv_norm(sizes.channels, stem, kernel=3, stride=strides[0])
        return residual_network(nn.Sequential(*convolution, nn.ReLU(inplace=True)), body, head)

    def _quantized(self, width: float) -> int:
        power = round(math.log(width / self.initial_width, self.multiplier))
        return round(self.initial_width * self.multiplier**power / QUANTUM) * QUANTUM

    def _divisible(self, width: int) -> int:
        """Return the nearest multiple of the group's filters, as the released code does."""
        group = min(self.group_filters, width)
        return (width + group // 2) // group * group

    def _block(self, c_in: int, c_out: int, stride: int) -> nn.Module:
        group = min(self.group_filters, c_out)
        squeezes = [SqueezeExcitation(c_out, round(SQUEEZE_RATIO * c_in))] if self.squeeze else []
        branch = nn.Sequential(
            *conv_norm(c_in, c_out),
            nn.ReLU(inplace=True),
            *conv_norm(c_out, c_out, kernel=3, stride=stride, groups=c_out // group),
            nn.ReLU(inplace=True),
            *squeezes,
            *conv_norm(c_out, c_out),
        )
        return ShortcutFirst(projection(c_in, c_out, stride), branch)


class ShortcutFirst(nn.Module):
    """relu(shortcut + branch); the shortcut is defined first, as in torchvision."""

    def __init__(self, shortcut: nn.Module, branch: nn.Module) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, c_out, h', w')."""
        total: Tensor = self.branch(x)
        return total.add_(self.shortcut(x)).relu_()


def _regnet(
    network: RegNet, size: str, *, top1: float | None = None, torchvision: bool = True, note: str = ""
) -> Baseline:
    letter = "y" if network.squeeze else "x"
    function = f"regnet_{letter}_{size.replace('.', '_')}"
    return Baseline(
        f"regnet{letter}-{size}",
        f"RegNet{letter.upper()}-{size.upper()}",
        "Designing Network Design Spaces",
        2020,
        network.make,
        aliases=(function,) if torchvision else (),
        top1_error=top1,
        torchvision=function if torchvision else "",
        note=note,
    )


OTHER_ROUNDING = "As released: 168 filters in the first stage; torchvision rounds them to 224, and has more MACs."

BASELINES: tuple[Baseline, ...] = (
    _regnet(RegNet(22, 24, 24.48, 2.54, 16, squeeze=False), "400mf"),
    _regnet(RegNet(16, 56, 35.73, 2.28, 16, squeeze=False), "800mf"),
    _regnet(RegNet(18, 80, 34.01, 2.25, 24, squeeze=False), "1.6gf"),
    _regnet(RegNet(25, 88, 26.31, 2.25, 48, squeeze=False), "3.2gf"),
    _regnet(RegNet(23, 80, 49.56, 2.88, 120, squeeze=False), "8gf"),
    _regnet(RegNet(22, 216, 55.59, 2.1, 128, squeeze=False), "16gf"),
    _regnet(RegNet(23, 320, 69.86, 2.0, 168, squeeze=False), "32gf"),
    _regnet(RegNet(16, 48, 27.89, 2.09, 8, squeeze=True), "400mf"),
    _regnet(RegNet(14, 56, 38.84, 2.4, 16, squeeze=True), "800mf"),
    _regnet(RegNet(27, 48, 20.71, 2.65, 24, squeeze=True), "1.6gf"),
    _regnet(RegNet(21, 80, 42.63, 2.66, 24, squeeze=True), "3.2gf"),
    _regnet(RegNet(22, 96, 31.41, 2.24, 64, squeeze=True), "4gf", top1=20.6, torchvision=False),
    _regnet(RegNet(17, 192, 76.82, 2.19, 56, squeeze=True), "8gf", torchvision=False, note=OTHER_ROUNDING),
    _regnet(RegNet(18, 200, 106.23, 2.48, 112, squeeze=True), "16gf"),
    _regnet(RegNet(20, 232, 115.89, 2.53, 232, squeeze=True), "32gf"),
)
