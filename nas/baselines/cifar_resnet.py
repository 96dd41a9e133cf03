"""The networks for CIFAR of He 2016, plain and residual, and the residual one with stochastic depth (Huang 2016)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.residual_layers import (
    CIFAR_STRIDES,
    Block,
    PaddedShortcut,
    Residual,
    conv_norm,
    pooled_classifier,
    residual_network,
    stages,
)
from nas.baselines.sizes import Sizes

FILTERS = (16, 32, 64)  # of the three stages
LAST_SURVIVAL = 0.5  # of the last block; it falls linearly from 1 (Huang 2016, eq. 4)


class StochasticResidual(nn.Module):
    """relu(branch + shortcut) whose branch is not computed for some mini-batches while training (Huang 2016).

    In evaluation the branch is multiplied by the probability with which it is computed (eq. 5). The draws are those
    of torch's global generator on the CPU, one a mini-batch.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module, survival: float) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.survival = survival

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, c_out, h', w')."""
        shortcut: Tensor = self.shortcut(x)
        if self.training and torch.rand((), device="cpu") >= self.survival:
            return shortcut.relu()
        branch: Tensor = self.branch(x)
        if not self.training:
            branch = branch * self.survival
        return branch.add_(shortcut).relu_()


def survival_probabilities(num_blocks: int) -> list[float]:
    """Return the probability with which each block is computed: 1 - l / L x (1 - p_L) (Huang 2016, eq. 4)."""
    return [1 - (i + 1) / num_blocks * (1 - LAST_SURVIVAL) for i in range(num_blocks)]


def _branch(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *conv_norm(c_in, c_out, kernel=3, stride=stride), nn.ReLU(inplace=True), *conv_norm(c_out, c_out, kernel=3)
    )


def _plain(c_in: int, c_out: int, stride: int) -> nn.Module:
    return _branch(c_in, c_out, stride).append(nn.ReLU(inplace=True))


def _residual(c_in: int, c_out: int, stride: int) -> nn.Module:
    shortcut = PaddedShortcut(c_in, c_out, stride=stride, average=False)
    return Residual(_branch(c_in, c_out, stride), shortcut, nn.ReLU(inplace=True))


def _stochastic(num_blocks: int) -> Block:
    survivals = iter(survival_probabilities(num_blocks))

    def block(c_in: int, c_out: int, stride: int) -> nn.Module:
        shortcut = PaddedShortcut(c_in, c_out, stride=stride, average=True)  # as the released code does
        return StochasticResidual(_branch(c_in, c_out, stride), shortcut, next(survivals))

    return block


@dataclass(frozen=True, slots=True)
class CifarNet:
    """A stem and three stages of 3 x 3 convolutions, 6 n + 2 layers (He 2016, section 4.2).

    Attributes:
        layers: of convolutions and the classifier.
        block: makes the function that makes a block, for a number of blocks.
    """

    layers: int
    block: Callable[[int], Block]

    def make(self, sizes: Sizes) -> nn.Sequential:
        """Build it."""
        filters = [sizes.filters(count) for count in FILTERS]
        repeats = sizes.repeats((self.layers - 2) // 6)
        return residual_network(
            nn.Sequential(*conv_norm(sizes.channels, filters[0], kernel=3), nn.ReLU(inplace=True)),
            stages(
                self.block(3 * repeats),
                [filters[0], *filters],
                repeats=[repeats] * 3,
                strides=sizes.strides(CIFAR_STRIDES, canonical=32),
            ),
            pooled_classifier(filters[-1], sizes.classes),
        )


def _plain_net(layers: int) -> Baseline:
    return Baseline(
        f"cifar-plain-{layers}",
        f"Plain network of {layers} layers for CIFAR",
        "Deep Residual Learning for Image Recognition",
        2016,
        CifarNet(layers, lambda _: _plain).make,
        resolution=32,
        classes=10,
    )


def _residual_net(layers: int, *, error: float) -> Baseline:
    return Baseline(
        f"cifar-resnet-{layers}",
        f"ResNet-{layers} for CIFAR, shortcuts without parameters (option A)",
        "Deep Residual Learning for Image Recognition",
        2016,
        CifarNet(layers, lambda _: _residual).make,
        resolution=32,
        classes=10,
        aliases=(f"resnet-{layers}", f"resnet{layers}"),
        top1_error=error,
    )


BASELINES: tuple[Baseline, ...] = (
    *(_plain_net(layers) for layers in (20, 32, 44, 56, 110)),
    _residual_net(20, error=8.75),
    _residual_net(32, error=7.51),
    _residual_net(44, error=7.17),
    _residual_net(56, error=6.97),
    _residual_net(110, error=6.43),
    _residual_net(1202, error=7.93),
    Baseline(
        "stochastic-depth-110",
        "ResNet-110 for CIFAR with stochastic depth, survival falling linearly to 0.5",
        "Deep Networks with Stochastic Depth",
        2016,
        CifarNet(110, _stochastic).make,
        resolution=32,
        classes=10,
        aliases=("cifar-resnet-110-sd",),
        top1_error=5.25,
    ),
)
