"""Xception (Chollet 2017, https://arxiv.org/abs/1610.02357): residual stacks of depthwise separable convolutions.

As released in Keras: batch normalisation follows the pointwise convolution only, and nothing stands between depthwise
and pointwise. Not here: the fully connected layers that the paper tries on JFT.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.inception_blocks import Conv, Plan, classifier, initialize
from nas.baselines.sizes import Sizes

CANONICAL = 299
STRIDES = (2, 2, 2, 2, 2)
EPS = 1e-3
ENTRY_FILTERS = (128, 256, 728)
MIDDLE_FILTERS = 728
MIDDLE_BLOCKS = 8
EXIT_FILTERS = (728, 1024)
TAIL_FILTERS = (1536, 2048)


class Block(nn.Module):
    """ReLU and separable convolution, repeated, plus the input or a strided 1 x 1 convolution of it (Figure 5)."""

    def __init__(
        self, c_in: int, filters: Sequence[int], *, stride: int | None = None, relu_first: bool = True
    ) -> None:
        """Make a block; without a stride it keeps its input as it is, with one it pools and projects."""
        super().__init__()
        c_out, layers = filters[-1], list[nn.Module]()
        for i, (c, c_next) in enumerate(zip([c_in, *filters], filters, strict=False)):
            if i or relu_first:
                layers.append(nn.ReLU(inplace=i > 0))  # the first reads what the shortcut reads too
            layers.append(separable(c, c_next))
        if stride is not None and stride > 1:
            layers.append(nn.MaxPool2d(3, stride, 1))
        self.residual = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride is not None:
            projection = nn.Conv2d(c_in, c_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(c_out, eps=EPS))

    def forward(self, images: Tensor) -> Tensor:
        """Return the sum of residual and shortcut."""
        total: Tensor = self.residual(images) + self.shortcut(images)
        return total


def separable(c_in: int, c_out: int) -> nn.Sequential:
    """Return a depthwise 3 x 3 and a pointwise convolution, normalised once."""
    depthwise = nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out, eps=EPS))


def _blocks(sizes: Sizes, c_in: int, strides: Iterator[int]) -> Iterator[nn.Module]:
    """Give the blocks of entry, middle and exit flow, and the separable convolutions after them."""
    for i, filters in enumerate(ENTRY_FILTERS):
        c_out = sizes.filters(filters)
        yield Block(c_in, [c_out] * 2, stride=next(strides), relu_first=i > 0)
        c_in = c_out
    for _ in range(sizes.repeats(MIDDLE_BLOCKS)):
        yield Block(c_in, [sizes.filters(MIDDLE_FILTERS)] * 3)
    exits = [sizes.filters(filters) for filters in EXIT_FILTERS]
    yield Block(c_in, exits, stride=next(strides))
    c_in = exits[-1]
    for filters in TAIL_FILTERS:
        c_out = sizes.filters(filters)
        yield nn.Sequential(separable(c_in, c_out), nn.ReLU(inplace=True))
        c_in = c_out


def make(sizes: Sizes) -> nn.Module:
    """Return Xception, initialised as in Keras (after Glorot 2010)."""
    strides = sizes.strides(STRIDES, canonical=CANONICAL)
    plan, left = Plan(sizes, padded=strides != STRIDES, eps=EPS), iter(strides)
    layers = (Conv(32, 3, strided=True, padded=False), Conv(64, 3, padded=False))
    stem = plan.layers(sizes.channels, layers, left)
    blocks = _blocks(sizes, sizes.filters(64), left)
    head = classifier(sizes.filters(TAIL_FILTERS[-1]), sizes.classes, dropout=0.5)
    network = nn.Sequential(stem, *blocks, head)
    initialize(network, nn.init.xavier_uniform_)
    return network


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="xception",
        title="Xception",
        paper="Xception: Deep Learning with Depthwise Separable Convolutions",
        year=2017,
        make=make,
        resolution=CANONICAL,
        top1_error=21.0,
        top5_error=5.5,
        note="Zoph 2018 prints 8.38 G MACs and does not say how they were counted; convolutions and the linear layer "
        "have 8.36 G",
    ),
)
