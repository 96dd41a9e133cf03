"""ConvNeXt (Liu 2022, https://arxiv.org/abs/2201.03545): a convolutional network with the habits of transformers.

A patchifying stem, four stages of blocks of a 7 x 7 depthwise convolution and two pointwise linear layers, and a
normalisation and a convolution of stride 2 between stages. Weights start as in the paper's code and torchvision's:
truncated normal with deviation 0.02, biases zero, layer scales 1e-6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import Permute, StochasticDepth

from nas.baselines.baseline import Baseline
from nas.baselines.sizes import Sizes
from search_spaces.scaling_rules import stem_kernel

STRIDES = (4, 2, 2, 2)  # of the stem, and before the second, third and fourth stage
FILTERS = (96, 192, 384, 768)  # this and what follows: ConvNeXt-T
REPEATS = (3, 3, 9, 3)
DROP_PATH = 0.1  # rate at which the last block's residual is dropped; it grows linearly from 0
KERNEL = 7
EXPANSION = 4
LAYER_SCALE = 1e-6
EPS = 1e-6


class ConvNeXt(nn.Module):
    """Images (batch, channels, height, width) -> logits (batch, classes)."""

    def __init__(self, sizes: Sizes) -> None:
        """Make ConvNeXt-T, deeper or wider where the sizes say so, and draw its weights."""
        super().__init__()
        strides = sizes.strides(STRIDES, canonical=224)
        filters = [sizes.filters(count) for count in FILTERS]
        repeats = [sizes.repeats(count) for count in REPEATS]
        self.stem = nn.Sequential(_stem(sizes.channels, filters[0], strides[0]), _channel_norm(filters[0]))
        rates = iter([DROP_PATH * i / (sum(repeats) - 1) for i in range(sum(repeats))])
        self.stages = nn.Sequential()
        size = sizes.resolution // strides[0] if strides == STRIDES else -(-sizes.resolution // strides[0])
        for i, count in enumerate(repeats):
            if i:
                pads = strides != STRIDES and strides[i] == 2 and size % 2 == 1
                self.stages.append(_downsampling(filters[i - 1], filters[i], stride=strides[i], padding=int(pads)))
                size = (size + pads) // strides[i]
            self.stages.append(nn.Sequential(*(ConvNeXtBlock(filters[i], next(rates)) for _ in range(count))))
        self.pool = nn.AdaptiveAvgPool2d(1)
        linear = nn.Linear(filters[-1], sizes.classes)
        self.classifier = nn.Sequential(_channel_norm(filters[-1]), nn.Flatten(), linear)
        _initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.classifier(self.pool(self.stages(self.stem(images))))
        return logits


class ConvNeXtBlock(nn.Module):
    """(batch, channels, h, w) -> the same shape: the input plus a scaled inverted bottleneck (Figure 4)."""

    def __init__(self, channels: int, drop_path: float) -> None:
        """Make the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, KERNEL, padding=KERNEL // 2, groups=channels),
            Permute([0, 2, 3, 1]),
            nn.LayerNorm(channels, eps=EPS),
            nn.Linear(channels, EXPANSION * channels),
            nn.GELU(),
            nn.Linear(EXPANSION * channels, channels),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), LAYER_SCALE))
        self.drop_path = StochasticDepth(drop_path, "row")

    def forward(self, x: Tensor) -> Tensor:
        """Add the scaled result to the input."""
        result: Tensor = self.drop_path(self.layer_scale * self.layers(x))
        result += x
        return result


def _channel_norm(channels: int) -> nn.Sequential:
    """Return a layer normalisation over the channels of (batch, channels, h, w)."""
    return nn.Sequential(Permute([0, 2, 3, 1]), nn.LayerNorm(channels, eps=EPS), Permute([0, 3, 1, 2]))


def _stem(c_in: int, c_out: int, stride: int) -> nn.Conv2d:
    """Return the patchifying convolution; where it gave up stride, an overlapping and padded one."""
    kernel = stem_kernel(STRIDES[0], stride, STRIDES[0])
    return nn.Conv2d(c_in, c_out, kernel, stride, padding=0 if stride == STRIDES[0] else kernel // 2)


def _downsampling(c_in: int, c_out: int, *, stride: int, padding: int) -> nn.Sequential:
    """Return what stands between stages: patches do not overlap, so at stride 1 the convolution is pointwise."""
    return nn.Sequential(_channel_norm(c_in), nn.Conv2d(c_in, c_out, stride, stride, padding))


def _initialize(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        "convnext-t",
        "ConvNeXt-T",
        "A ConvNet for the 2020s",
        2022,
        ConvNeXt,
        aliases=("convnext_tiny", "convnext-tiny"),
        top1_error=17.9,
        torchvision="convnext_tiny",
        note="the authors print 28 M parameters: 28.6 M, cut off",
    ),
)
