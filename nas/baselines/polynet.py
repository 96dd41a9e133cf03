"""Very Deep PolyNet (Zhang 2017, https://arxiv.org/abs/1611.05725): Inception-ResNet with sums of several residuals.

Not here: stochastic paths and initialisation by insertion (Section 4), which belong to training.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.inception_blocks import Conv, InceptionModule, Layer, Mixed, Plan, classifier, he_normal, initialize
from nas.baselines.inception_resnet import BLOCK_A, BLOCK_B, BLOCK_C, Branches, reduction_b
from nas.baselines.inception_v4 import STEM, reduction_a
from nas.baselines.sizes import Sizes

CANONICAL = 331
STRIDES = (2, 2, 2, 2, 2)
LAST_SCALE = 0.7  # residuals count less and less, from 1 at the first block to this at the last
ENTRIES: tuple[tuple[Layer, ...], ...] = (
    STEM,
    (reduction_a(k=256, l=256, m=384, n=384),),
    (reduction_b(384, 256, double=(256, 256)),),
)


class ManyWay(nn.Module):
    """I + F + G: residuals of several Inception modules that share no weights (Section 3.2, Figure 4d)."""

    def __init__(self, plan: Plan, channels: int, branches: Branches, *, scale: float, num_ways: int = 2) -> None:
        super().__init__()
        self.scale = scale
        ways = [
            nn.Sequential(InceptionModule(plan, channels, branches), _up(plan, channels, branches))
            for _ in range(num_ways)
        ]
        self.ways = nn.ModuleList(ways)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        """Return what came in plus all residuals, rectified."""
        total = images
        for way in self.ways:
            total = torch.add(total, way(images), alpha=self.scale)
        return cast(Tensor, self.relu(total))


class SharedConv(nn.Module):
    """A convolution that all orders share, with batch normalisation for each of them, and ReLU."""

    def __init__(self, plan: Plan, c_in: int, layer: Conv, *, orders: int) -> None:
        super().__init__()
        c_out = plan.filters(c_in, [layer])
        self.conv = plan.conv(c_in, layer)[0]
        self.norms = nn.ModuleList([nn.BatchNorm2d(c_out, eps=plan.eps) for _ in range(orders)])
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor, order: int) -> Tensor:
        """Return what the convolution gives, normalised for an order counted from 0."""
        return cast(Tensor, self.relu(self.norms[order](self.conv(images))))


class Poly(nn.Module):
    """I + F + FF + FFF: one Inception module applied again to what it gave (Section 3.2, Figure 4a).

    The orders share the convolutions of the branches; batch normalisation and the last 1 x 1 convolution they do not.
    """

    def __init__(self, plan: Plan, channels: int, branches: Branches, *, scale: float, orders: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.branches = nn.ModuleList()
        for branch in branches:
            c_ins = [plan.filters(channels, branch[:i]) for i in range(len(branch))]
            shared = [SharedConv(plan, c, layer, orders=orders) for c, layer in zip(c_ins, branch, strict=True)]
            self.branches.append(nn.ModuleList(shared))
        self.ups = nn.ModuleList([_up(plan, channels, branches) for _ in range(orders)])
        self.relu = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return what came in plus the residuals of all orders, rectified."""
        total = images
        for order, up in enumerate(self.ups):
            residual = up(torch.cat([self._branch(branch, images, order) for branch in self.branches], dim=1))
            total = torch.add(total, residual, alpha=self.scale)
            images = self.relu(residual)
        return cast(Tensor, self.relu(total))

    def _branch(self, branch: nn.Module, images: Tensor, order: int) -> Tensor:
        for conv in cast(nn.ModuleList, branch):
            images = cast(SharedConv, conv).forward(images, order)  # no module of its own: it differs by order
        return images


def _up(plan: Plan, channels: int, branches: Branches) -> nn.Sequential:
    """Return the 1 x 1 convolution to `channels`, normalised and without ReLU."""
    conv = nn.Conv2d(plan.filters(channels, [Mixed(branches)]), channels, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels, eps=plan.eps))


def _stages(plan: Plan, strides: Iterator[int]) -> Iterator[nn.Module]:
    """Give 10 two-way A blocks, 20 B blocks and 10 C blocks, of which every other is poly-3 (Table 2)."""
    repeats = [plan.sizes.repeats(count) for count in (10, 20, 10)]
    last, number, channels = sum(repeats) - 1, 0, plan.sizes.channels
    for entry, branches, count in zip(ENTRIES, (BLOCK_A, BLOCK_B, BLOCK_C), repeats, strict=True):
        yield plan.layers(channels, entry, strides)
        channels = plan.filters(channels, entry)
        for i in range(count):
            block = Poly if branches is not BLOCK_A and i % 2 == 0 else ManyWay
            yield block(plan, channels, branches, scale=1 - (1 - LAST_SCALE) * number / last)
            number += 1


def make(sizes: Sizes) -> nn.Module:
    """Return Very Deep PolyNet, initialised after He 2015; the classifier small, as what it reads is a large sum."""
    strides = sizes.strides(STRIDES, canonical=CANONICAL)
    plan = Plan(sizes, padded=strides != STRIDES, eps=1e-5)
    channels = plan.filters(sizes.channels, [layer for entry in ENTRIES for layer in entry])
    head = classifier(channels, sizes.classes, dropout=0.2)
    network = nn.Sequential(*_stages(plan, iter(strides)), head)
    initialize(network, he_normal)
    nn.init.normal_(cast(Tensor, head[-1].weight), std=0.01)
    return network


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="polynet",
        title="Very Deep PolyNet",
        paper="PolyNet: A Pursuit of Structural Diversity in Very Deep Networks",
        year=2017,
        make=make,
        resolution=CANONICAL,
        aliases=("very-deep-polynet",),
        top1_error=18.71,
        top5_error=4.25,
        note="Quoted with 92 M parameters; the released network has 95,366,600. MACs agree (34.7 G).",
    ),
)
