"""What the residual families share: convolutions, the residual sum, shortcuts, stages, stem and head.

Blocks are made by functions of (filters in, filters out, stride), so that a family is a block and a table.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.scaling_rules import stem_kernel

IMAGENET_STRIDES = (2, 2, 1, 2, 2, 2)  # stem, pooling, four stages
CIFAR_STRIDES = (1, 2, 2)  # three stages
STAGE_FILTERS = (64, 128, 256, 512)  # of the four stages of He 2016 and of most after it
Block = Callable[[int, int, int], nn.Module]


def conv(c_in: int, c_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size at stride 1 and has no bias."""
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)


def conv_norm(c_in: int, c_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return such a convolution and its batch normalisation."""
    return [conv(c_in, c_out, kernel=kernel, stride=stride, groups=groups), nn.BatchNorm2d(c_out)]


def norm_relu(channels: int) -> list[nn.Module]:
    """Return a pre-activation (He 2016, Identity Mappings)."""
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


class Residual(nn.Module):
    """(batch, c_in, h, w) -> activation(branch + shortcut), (batch, c_out, h', w').

    The sum is written into the branch's result, so a branch must not end in what needs its result for its gradient.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated sum."""
        total: Tensor = self.branch(x)
        total += self.shortcut(x)
        result: Tensor = self.activation(total)
        return result


class PaddedShortcut(nn.Module):
    """Identity with zeros for the filters that are new (option A of He 2016, section 3.3): no parameters."""

    def __init__(self, c_in: int, c_out: int, *, stride: int, average: bool) -> None:
        """Make the shortcut.

        Args:
            c_in: channels that come in.
            c_out: channels that go out; at least as many.
            stride: 1 or 2.
            average: a stride takes means of 2 x 2 positions; otherwise every second position.
        """
        super().__init__()
        self.subsampling = (
            nn.Identity() if stride == 1 else nn.AvgPool2d(stride if average else 1, stride, ceil_mode=average)
        )
        self.new_channels = c_out - c_in

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, c_out, h / stride, w / stride), rounded up."""
        kept: Tensor = self.subsampling(x)
        return functional.pad(kept, (0, 0, 0, 0, 0, self.new_channels)) if self.new_channels else kept


def projection(c_in: int, c_out: int, stride: int, *, kernel: int = 1) -> nn.Module:
    """Return the identity where nothing changes, else a convolution with normalisation (option B of He 2016)."""
    if stride == 1 and c_in == c_out:
        return nn.Identity()
    return nn.Sequential(*conv_norm(c_in, c_out, kernel=kernel, stride=stride))


def stage(block: Block, c_in: int, c_out: int, *, repeats: int, stride: int) -> nn.Sequential:
    """Return blocks in a row, the first of which has the stride."""
    first = block(c_in, c_out, stride)
    return nn.Sequential(first, *(block(c_out, c_out, 1) for _ in range(1, repeats)))


def stages(block: Block, filters: Sequence[int], *, repeats: Sequence[int], strides: Sequence[int]) -> nn.Sequential:
    """Return all stages; `filters` are those of the stem and of every stage."""
    rows = zip(pairwise(filters), repeats, strides, strict=True)
    return nn.Sequential(*(stage(block, c_in, c_out, repeats=n, stride=s) for (c_in, c_out), n, s in rows))


def imagenet_stem(channels: int, filters: int, strides: Sequence[int], *, ceil_pooling: bool = False) -> nn.Sequential:
    """Return a 7 x 7 convolution and a pooling, smaller by the strides that were given up.

    Args:
        channels: of the images.
        filters: of the convolution.
        strides: of the convolution and of the pooling, and any others after them.
        ceil_pooling: the pooling is not padded and rounds up, as Caffe's does.
    """
    kernel = stem_kernel(7, strides[0], IMAGENET_STRIDES[0])
    layers = [*conv_norm(channels, filters, kernel=kernel, stride=strides[0]), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *stem_pooling(strides[1], ceil=ceil_pooling))


def stem_pooling(stride: int, *, ceil: bool = False) -> list[nn.Module]:
    """Return a stem's pooling; none where its stride was given up."""
    if stride == 1:
        return []
    return [nn.MaxPool2d(3, stride, ceil_mode=True) if ceil else nn.MaxPool2d(3, stride, padding=1)]


def pooled_classifier(features: int, classes: int, *, dropout: float = 0.0) -> list[nn.Module]:
    """Return the mean over positions and a linear layer."""
    dropouts = [nn.Dropout(dropout)] if dropout else []
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dropouts, nn.Linear(features, classes)]


def residual_network(stem: nn.Module, body: nn.Module, head: Sequence[nn.Module]) -> nn.Sequential:
    """Return the three in a row, with He's initialisation."""
    network = nn.Sequential(OrderedDict(stem=stem, stages=body, head=nn.Sequential(*head)))
    initialize(network)
    return network


@torch.no_grad()
def initialize(network: nn.Module) -> None:
    """Draw convolutions from N(0, 2 / (kernel area x filters out)) (He 2015), as torchvision and fb.resnet.torch do.

    Normalisations start at scale 1 and shift 0; linear layers keep torch's initialisation.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
