"""Dual path networks: of each block's result a part is added, as in ResNet, and a part appended, as in DenseNet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.residual_layers import (
    IMAGENET_STRIDES,
    conv,
    pooled_classifier,
    residual_network,
    stem_pooling,
)
from nas.baselines.sizes import Sizes
from search_spaces.scaling_rules import stem_kernel

_norm = partial(nn.BatchNorm2d, eps=1e-3)  # MXNet's, with which they were trained
RESIDUAL_FILTERS = 256  # of the first stage; doubled from stage to stage


def _norm_relu_conv(c_in: int, c_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [_norm(c_in), nn.ReLU(inplace=True), conv(c_in, c_out, kernel=kernel, stride=stride, groups=groups)]


class DualPath(nn.Module):
    """(batch, c_in, h, w) -> (batch, residual + dense, h', w'): channels added come first, those appended after them.

    Chen 2017, section 3.2 and Fig. 2e.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module, *, residual: int) -> None:
        """Make a block.

        Args:
            branch: gives `residual` channels to add and, after them, those to append.
            shortcut: gives `residual` channels to add to, and, after them, those to append to.
            residual: number of channels that are added.
        """
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Return both paths, one after the other."""
        kept, new = self.shortcut(x), self.branch(x)
        total = kept[:, : self.residual] + new[:, : self.residual]
        return torch.cat((total, kept[:, self.residual :], new[:, self.residual :]), dim=1)


@dataclass(frozen=True, slots=True)
class DualPathNet:
    """A row of Chen 2017, Table 1.

    Attributes:
        repeats: blocks in each stage.
        stem: filters of the 7 x 7 convolution.
        inner: filters of the 3 x 3 convolutions in the first stage; doubled from stage to stage.
        groups: of the 3 x 3 convolutions.
        increments: channels that a block appends, in each stage.
    """

    repeats: tuple[int, int, int, int]
    stem: int
    inner: int
    groups: int
    increments: tuple[int, int, int, int]

    def make(self, sizes: Sizes) -> nn.Sequential:
        """Build it."""
        strides = sizes.strides(IMAGENET_STRIDES, canonical=224)
        channels = sizes.filters(self.stem)
        kernel = stem_kernel(7, strides[0], IMAGENET_STRIDES[0])
        stem = [conv(sizes.channels, channels, kernel=kernel, stride=strides[0]), _norm(channels)]
        body = nn.Sequential()
        for i, stride in enumerate(strides[2:]):
            blocks, channels = self._stage(sizes, channels, index=i, stride=stride)
            body.append(blocks)
        return residual_network(
            nn.Sequential(*stem, nn.ReLU(inplace=True), *stem_pooling(strides[1])),
            body,
            [_norm(channels), nn.ReLU(inplace=True), *pooled_classifier(channels, sizes.classes)],
        )

    def _stage(self, sizes: Sizes, channels: int, *, index: int, stride: int) -> tuple[nn.Sequential, int]:
        residual = sizes.filters(RESIDUAL_FILTERS) << index
        inner = sizes.filters(self.inner, divisor=self.groups) << index
        increment = sizes.filters(self.increments[index])
        blocks = nn.Sequential()
        for i in range(sizes.repeats(self.repeats[index])):
            step = stride if i == 0 else 1
            branch = nn.Sequential(
                *_norm_relu_conv(channels, inner),
                *_norm_relu_conv(inner, inner, kernel=3, stride=step, groups=self.groups),
                *_norm_relu_conv(inner, residual + increment),
            )
            # a stage's first block starts the dense path with two increments
            starts = _norm_relu_conv(channels, residual + 2 * increment, stride=step) if i == 0 else []
            blocks.append(DualPath(branch, nn.Sequential(*starts), residual=residual))
            channels = residual + (i + 3) * increment
        return blocks, channels


def _dpn(layers: int, network: DualPathNet, *, top1: float, top5: float) -> Baseline:
    return Baseline(
        f"dpn-{layers}",
        f"DPN-{layers}",
        "Dual Path Networks",
        2017,
        network.make,
        aliases=(f"dpn{layers}",),
        top1_error=top1,
        top5_error=top5,
    )


BASELINES: tuple[Baseline, ...] = (
    _dpn(92, DualPathNet((3, 4, 20, 3), 64, 96, 32, (16, 32, 24, 128)), top1=20.73, top5=5.37),
    _dpn(98, DualPathNet((3, 6, 20, 3), 96, 160, 40, (16, 32, 32, 128)), top1=20.15, top5=5.15),
    _dpn(131, DualPathNet((4, 8, 28, 3), 128, 160, 40, (16, 32, 32, 128)), top1=19.93, top5=5.12),
)
