"""What the Inception family is made of: convolutions, poolings, and branches that are concatenated.

A network of this family is a table of layers, read from input to output. `Plan` makes torch modules of it, for given
sizes. What differs between the members (biases, normalisation, padding) is in the plan, not in the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from nas.baselines.sizes import Sizes
from search_spaces.scaling_rules import stem_kernel


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution, normalisation where the network has it, and ReLU.

    Attributes:
        filters: at width 1.
        kernel: side, or (vertical, horizontal).
        strided: takes the stride of the layer it is in.
        padded: keeps the size of what it reads, up to the stride.
    """

    filters: int
    kernel: int | tuple[int, int] = 1
    strided: bool = False
    padded: bool = True


@dataclass(frozen=True, slots=True)
class Pool:
    """Pooling. One that takes the layer's stride is left out where the stride was given up.

    Attributes:
        counts_padding: whether an average takes padding for zeros, or leaves it out.
        ceil: whether a window that hangs over the edge gives a position.
    """

    kind: Literal["max", "average"]
    strided: bool = False
    kernel: int = 3
    padding: int = 1
    counts_padding: bool = True
    ceil: bool = False


@dataclass(frozen=True, slots=True)
class LocalResponseNorm:
    """Normalisation over five neighbouring channels (Krizhevsky 2012, Section 3.3)."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """Branches that read the same, concatenated."""

    branches: tuple[tuple[Layer, ...], ...]


Layer: TypeAlias = "Conv | Pool | LocalResponseNorm | Mixed"


def reduces(layer: Layer) -> bool:
    """Return whether a layer takes a stride."""
    if isinstance(layer, Mixed):
        return any(reduces(inner) for branch in layer.branches for inner in branch)
    return isinstance(layer, Conv | Pool) and layer.strided


@dataclass(frozen=True, slots=True)
class Plan:
    """How one network's layers are made.

    Attributes:
        padded: whether layers that were published without padding get it.
        bias: whether convolutions have one.
        norm: whether convolutions are followed by batch normalisation.
        eps: of the batch normalisation.
    """

    sizes: Sizes
    padded: bool = False
    bias: bool = False
    norm: bool = True
    eps: float = 1e-3

    def filters(self, c_in: int, layers: Sequence[Layer]) -> int:
        """Return the channels after some layers."""
        for layer in layers:
            if isinstance(layer, Conv):
                c_in = self.sizes.filters(layer.filters)
            elif isinstance(layer, Mixed):
                c_in = sum(self.filters(c_in, branch) for branch in layer.branches)
        return c_in

    def layers(self, c_in: int, layers: Sequence[Layer], strides: Iterator[int]) -> nn.Sequential:
        """Return layers in sequence; each that reduces takes the next stride."""
        built = []
        for layer in layers:
            built.append(self.layer(c_in, layer, stride=next(strides) if reduces(layer) else 1))
            c_in = self.filters(c_in, [layer])
        return nn.Sequential(*built)

    def layer(self, c_in: int, layer: Layer, *, stride: int = 1) -> nn.Module:
        """Return one layer's module."""
        if isinstance(layer, Conv):
            return self.conv(c_in, layer, stride=stride)
        if isinstance(layer, Mixed):
            return InceptionModule(self, c_in, layer.branches, stride=stride)
        if isinstance(layer, Pool):
            return self._pool(layer, stride)
        return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)

    def conv(self, c_in: int, layer: Conv, *, stride: int = 1, relu: bool = True) -> nn.Sequential:
        """Return a convolution with what follows it; its stem kernel shrinks where the stride was given up."""
        sides = layer.kernel if isinstance(layer.kernel, tuple) else (layer.kernel, layer.kernel)
        kernel = (stem_kernel(sides[0], stride, 2), stem_kernel(sides[1], stride, 2)) if layer.strided else sides
        padding = (kernel[0] // 2, kernel[1] // 2) if layer.padded or self.padded else 0
        step = stride if layer.strided else 1
        c_out = self.sizes.filters(layer.filters)
        built: list[nn.Module] = [nn.Conv2d(c_in, c_out, kernel, step, padding, bias=self.bias)]
        if self.norm:
            built.append(nn.BatchNorm2d(c_out, eps=self.eps))
        return nn.Sequential(*built, nn.ReLU(inplace=True)) if relu else nn.Sequential(*built)

    def _pool(self, layer: Pool, stride: int) -> nn.Module:
        if layer.strided and stride == 1:
            return nn.Identity()
        step = stride if layer.strided else 1
        padding = layer.kernel // 2 if self.padded else layer.padding
        if layer.kind == "max":
            return nn.MaxPool2d(layer.kernel, step, padding, ceil_mode=layer.ceil)
        return nn.AvgPool2d(layer.kernel, step, padding, layer.ceil, layer.counts_padding)


class InceptionModule(nn.Module):
    """Branches of layers that read the same, concatenated along the channels (Szegedy 2015, Section 4)."""

    def __init__(self, plan: Plan, c_in: int, branches: Sequence[Sequence[Layer]], *, stride: int = 1) -> None:
        super().__init__()
        built = []
        for branch in branches:
            channels = [plan.filters(c_in, branch[:i]) for i in range(len(branch))]
            layers = [plan.layer(c, layer, stride=stride) for c, layer in zip(channels, branch, strict=True)]
            built.append(nn.Sequential(*layers))
        self.branches = nn.ModuleList(built)

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, sum of the branches' filters, height, width)."""
        return torch.cat([branch(images) for branch in self.branches], dim=1)


def classifier(c_in: int, classes: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Return global average pooling, dropout and one linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(c_in, classes))


def initialize(network: nn.Module, fill: Callable[[Tensor], object], *, bias: float | None = 0.0) -> None:
    """Draw the weights of all convolutions and linear layers; biases get one value, or stay torch's where None."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fill(module.weight)
            if bias is not None and module.bias is not None:
                nn.init.constant_(module.bias, bias)


def he_normal(weight: Tensor) -> None:
    """Draw from N(0, 2 / fan-in) (He 2015), as TF-Slim's variance scaling does for the Inception networks."""
    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")
