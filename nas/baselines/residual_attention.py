"""Residual attention networks: trunks of residual units, scaled by masks that see far (Wang 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from nas.baselines.baseline import Baseline
from nas.baselines.preact_resnet import preact_bottleneck
from nas.baselines.residual_layers import (
    IMAGENET_STRIDES,
    conv,
    imagenet_stem,
    norm_relu,
    pooled_classifier,
    residual_network,
)
from nas.baselines.sizes import Sizes

FILTERS = (256, 512, 1024, 2048)  # of the four stages


class Hourglass(nn.Module):
    """Down by a pooling, a unit, a smaller hourglass beside a unit, another unit, and up again; size and filters stay.

    The bottom-up top-down part of a mask (Wang 2017, Fig. 2), level by level.
    """

    def __init__(self, unit: Callable[[], nn.Module], levels: int) -> None:
        """Make `levels` levels of units."""
        super().__init__()
        self.pooling = nn.MaxPool2d(3, 2, padding=1)
        self.down = unit()
        self.inner = Hourglass(unit, levels - 1) if levels > 1 else None
        self.skip = unit() if levels > 1 else None
        self.up = unit()

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, channels, h, w)."""
        small: Tensor = self.down(self.pooling(x))
        if self.inner is not None and self.skip is not None:
            small = self.inner(small) + self.skip(small)
        return functional.interpolate(self.up(small), x.shape[2:], mode="bilinear", align_corners=True)


class Attention(nn.Module):
    """(1 + mask) x trunk between two residual units (Wang 2017, eq. 3, with p = 1, t = 2, r = 1).

    The mask is the sigmoid of two 1 x 1 convolutions after an hourglass: "mixed attention" (section 3.1).
    """

    def __init__(self, channels: int, levels: int) -> None:
        """Make a module whose masks see `levels` poolings far."""
        super().__init__()

        def unit() -> nn.Module:
            return preact_bottleneck(channels, channels, 1)

        self.first = unit()
        self.trunk = nn.Sequential(unit(), unit())
        scores = [layer for _ in range(2) for layer in (*norm_relu(channels), conv(channels, channels))]
        self.mask = nn.Sequential(Hourglass(unit, levels), *scores, nn.Sigmoid())
        self.last = unit()

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, channels, h, w)."""
        x = self.first(x)
        trunk, mask = self.trunk(x), self.mask(x)
        result: Tensor = self.last(trunk + trunk * mask)
        return result


@dataclass(frozen=True, slots=True)
class AttentionNet:
    """A row of Wang 2017, Table 2.

    Attributes:
        modules: attention modules in each of the first three stages, each after one residual unit.
        last_units: residual units in the fourth.
    """

    modules: tuple[int, int, int]
    last_units: int = 3

    def make(self, sizes: Sizes) -> nn.Sequential:
        """Build it."""
        strides = sizes.strides(IMAGENET_STRIDES, canonical=224)
        channels = sizes.filters(64)
        stem = imagenet_stem(sizes.channels, channels, strides)
        body = nn.Sequential()
        for i, (count, stride) in enumerate(zip(FILTERS, strides[2:], strict=True)):
            c_out = sizes.filters(count)
            start = preact_bottleneck(channels, c_out, stride)
            body.append(nn.Sequential(start, *self._rest(sizes, c_out, index=i)))
            channels = c_out
        return residual_network(stem, body, [*norm_relu(channels), *pooled_classifier(channels, sizes.classes)])

    def _rest(self, sizes: Sizes, channels: int, *, index: int) -> list[nn.Module]:
        if index < len(self.modules):
            levels = len(self.modules) - index
            return [Attention(channels, levels) for _ in range(sizes.repeats(self.modules[index]))]
        return [preact_bottleneck(channels, channels, 1) for _ in range(sizes.repeats(self.last_units) - 1)]


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        "residual-attention-92",
        "Residual Attention Network-92",
        "Residual Attention Network for Image Classification",
        2017,
        AttentionNet((1, 2, 3)).make,
        aliases=("attention-92", "resattnet-92"),
        top1_error=19.5,
        top5_error=4.8,
        note="The paper prints 51.3 M parameters and 10.4 G MACs; the network released has more. Errors: 320 x 320.",
    ),
    Baseline(
        "residual-attention-56",
        "Residual Attention Network-56",
        "Residual Attention Network for Image Classification",
        2017,
        AttentionNet((1, 1, 1)).make,
        aliases=("attention-56", "resattnet-56"),
    ),
)
