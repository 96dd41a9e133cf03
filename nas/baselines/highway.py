"""Highway networks for CIFAR-10 (Srivastava 2015, "Training Very Deep Networks"): gates decide what a layer changes.

The 19-layer network is FitNet 4 (Romero 2015) with highway layers, as in the authors' Caffe definition, whose 1 x 1
convolution to 100 maps is kept. For the 32-layer network there is none; see its note.
Weights are drawn as there (uniform, variance 1 / fan-in), gates start at a bias of -2: mostly closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import conv_relu, max_pool
from nas.baselines.sizes import Sizes

PAPER = "Training Very Deep Networks"
GATE_BIAS = -2.0
DROPOUT = 0.2


@dataclass(frozen=True, slots=True)
class Stage:
    """A plain convolution and the highway layers after it, all with the same filters."""

    filters: int
    highways: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Stages with a pooling between each two, and the maps of the 1 x 1 convolution before the average."""

    stages: tuple[Stage, ...]
    last_filters: int


HIGHWAY_19 = Layout((Stage(32, 4), Stage(80, 5), Stage(128, 5)), last_filters=100)
HIGHWAY_32 = Layout((Stage(32, 9), Stage(48, 9), Stage(64, 9)), last_filters=64)


class HighwayConv(nn.Module):
    """y = H(x) T(x) + x (1 - T(x)), with 3 x 3 convolutions in both: H rectified, the gate T a sigmoid (equation 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, 3, padding=1)  # H and T read the same: one convolution

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape."""
        state, gate = self.conv(images).chunk(2, dim=1)
        return torch.lerp(images, state.relu(), gate.sigmoid())


def highway(layout: Layout, sizes: Sizes) -> nn.Sequential:
    """Build a network; `depth` multiplies the highway layers of each stage."""
    strides = (*sizes.strides((2, 2), canonical=32), 1)
    channels = sizes.channels
    layers: list[nn.Module] = [nn.Dropout(DROPOUT)]
    for stage, stride in zip(layout.stages, strides, strict=True):
        filters = sizes.filters(stage.filters)
        layers.append(conv_relu(channels, filters, kernel=3, padding=1))
        layers += [HighwayConv(filters) for _ in range(sizes.repeats(stage.highways))]
        layers += [*max_pool(2, stride), nn.Dropout(DROPOUT)] if stage is not layout.stages[-1] else []
        channels = filters
    last = sizes.filters(layout.last_filters)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(DROPOUT), nn.Linear(last, sizes.classes))
    return nn.Sequential(*layers, conv_relu(channels, last, kernel=1), *head).apply(_init)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")  # variance 1 / fan-in
        assert module.bias is not None
        nn.init.zeros_(module.bias)
    if isinstance(module, HighwayConv):
        assert module.conv.bias is not None
        nn.init.constant_(module.conv.bias[module.conv.in_channels :], GATE_BIAS)


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="highway-19",
        title="Highway network, 19 layers",
        paper=PAPER,
        year=2015,
        make=partial(highway, HIGHWAY_19),
        resolution=32,
        classes=10,
        aliases=("highway",),
        top1_error=7.54,
    ),
    Baseline(
        name="highway-32",
        title="Highway network, 32 layers",
        paper=PAPER,
        year=2015,
        make=partial(highway, HIGHWAY_32),
        resolution=32,
        classes=10,
        top1_error=8.8,
        note="the authors' code defines the 19 layers only: the filters of the 32 (32, 48, 64) are ours and meet the "
        "printed 1.25 M parameters",
    ),
)
