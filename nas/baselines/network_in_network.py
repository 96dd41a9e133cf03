"""Network in Network (Lin 2014): convolutions followed by 1 x 1 convolutions, and global average pooling as the head.

The CIFAR-10 network is the authors' (section 4.2 and their cuda-convnet definition), the ImageNet network that of the
Caffe model zoo. Rectified logits are theirs. Weights are drawn as by He (2015) instead of normally with deviations
found for each layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from torch import nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import conv_relu, init_he, max_pool
from nas.baselines.sizes import Sizes
from search_spaces.scaling_rules import stem_kernel


@dataclass(frozen=True, slots=True)
class Block:
    """A convolution and the 1 x 1 convolutions after it.

    Attributes:
        kernel, stride, padding: of the first convolution.
        filters: of each of the convolutions; in the last block the one that gives the classes is not among them.
        pool: the 3 x 3 pooling of stride 2 that follows, if any.
        dropout: whether half of the values are dropped after the pooling.
    """

    kernel: int
    filters: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    pool: str = ""
    dropout: bool = False


CIFAR = (
    Block(5, (192, 160, 96), padding=2, pool="max", dropout=True),
    Block(5, (192, 192, 192), padding=2, pool="average", dropout=True),
    Block(3, (192, 192), padding=1),
)
IMAGENET = (
    Block(11, (96, 96, 96), stride=4, pool="max"),
    Block(5, (256, 256, 256), padding=2, pool="max"),
    Block(3, (384, 384, 384), padding=1, pool="max", dropout=True),
    Block(3, (1024, 1024), padding=1),
)


def network_in_network(sizes: Sizes, *, blocks: tuple[Block, ...], canonical: int) -> nn.Sequential:
    """Build the blocks; the last 1 x 1 convolution gives a map for each class."""
    published = tuple(stride for block in blocks for stride in (block.stride, 2 if block.pool else 1))
    strides = sizes.strides(published, canonical=canonical)
    channels = sizes.channels
    layers: list[nn.Module] = []
    for i, block in enumerate(blocks):
        filters = [sizes.filters(count) for count in block.filters]
        filters += [sizes.classes] if i == len(blocks) - 1 else []
        kernel = stem_kernel(block.kernel, strides[2 * i], block.stride)
        padding = block.padding if strides == published else kernel // 2
        layers.append(conv_relu(channels, filters[0], kernel=kernel, stride=strides[2 * i], padding=padding))
        layers += [conv_relu(c_in, c_out, kernel=1) for c_in, c_out in pairwise(filters)]
        layers += _pooling(block, strides[2 * i + 1])
        layers += [nn.Dropout()] if block.dropout else []
        channels = filters[-1]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).apply(init_he)


def _pooling(block: Block, stride: int) -> list[nn.Module]:
    if block.pool == "average" and stride > 1:
        return [nn.AvgPool2d(3, stride=stride, ceil_mode=True)]
    return max_pool(3, stride if block.pool else 1, ceil=True)


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="nin-cifar10",
        title="Network in Network for CIFAR-10",
        paper="Network In Network",
        year=2014,
        make=partial(network_in_network, blocks=CIFAR, canonical=32),
        resolution=32,
        classes=10,
        aliases=("nin",),
        top1_error=8.81,
        scales=("width",),
    ),
    Baseline(
        name="nin-imagenet",
        title="Network in Network for ImageNet (Caffe model zoo)",
        paper="Network In Network",
        year=2014,
        make=partial(network_in_network, blocks=IMAGENET, canonical=224),
        note="the paper has no ImageNet network; this one is its authors' in the Caffe model zoo",
        scales=("width",),
    ),
)
