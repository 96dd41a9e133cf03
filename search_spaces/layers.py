"""The few primitive layers that all operations are made of, each with its cost and its torch module.

An operation is a tuple of these. Both what it costs and the module that computes it are derived from that one
description, so the count and the network cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.architecture import Complexity
from search_spaces.fast_convolutions import use_fast_convolutions
from search_spaces.layer_templates import copy_layer


@dataclass(frozen=True, slots=True)
class Normalization:
    """How batch normalisation is set: torch's `momentum` (1 - the moving average's decay) and `eps`."""

    eps: float = 1e-5
    momentum: float = 0.1


@dataclass(frozen=True, slots=True)
class Relu:
    """Rectified linear unit, out of place: other operations read the same state."""


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution without bias; pairs are (vertical, horizontal). Padding keeps ceil(size / stride)."""

    c_in: int
    c_out: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: int = 1
    groups: int = 1
    padded: bool = True


@dataclass(frozen=True, slots=True)
class Norm:
    """Batch normalisation with scale and shift."""

    channels: int


@dataclass(frozen=True, slots=True)
class Pool:
    """Pooling that keeps ceil(size / stride); the average leaves padding out."""

    kind: Literal["avg", "max"]
    kernel: int
    stride: int


@dataclass(frozen=True, slots=True)
class FactorizedReduction:
    """Halve the size without losing pixels to the stride: two shifted 1x1 convolutions, concatenated.

    `c_out` is even: each of the two gives half, and TF-Slim rounds an odd number of filters down.
    """

    c_in: int
    c_out: int


@dataclass(frozen=True, slots=True)
class Zero:
    """Nothing: zeros of the output's shape."""

    c_out: int
    stride: int


Layer = Relu | Conv | Norm | Pool | FactorizedReduction | Zero


def layers_complexity(layers: tuple[Layer, ...], size: int) -> Complexity:
    """Return the cost of layers in a row on a square input of `size` x `size` pixels."""
    params = macs = 0
    height = width = size
    for layer in layers:
        match layer:
            case Conv(c_in=c_in, c_out=c_out, kernel=kernel, groups=groups):
                height, width = _conv_size(layer, height, 0), _conv_size(layer, width, 1)
                weights = c_in // groups * c_out * kernel[0] * kernel[1]
                params += weights
                macs += weights * height * width
            case FactorizedReduction(c_in=c_in, c_out=c_out):
                height, width = -(-height // 2), -(-width // 2)
                params += c_in * c_out
                macs += c_in * c_out * height * width
            case Norm(channels=channels):
                params += 2 * channels
            case Pool(stride=step) | Zero(stride=step):
                height, width = -(-height // step), -(-width // step)
            case Relu():
                pass
            case _:
                assert_never(layer)
    return Complexity(params, macs)


def layers_module(layers: tuple[Layer, ...], normalization: Normalization, *, draw: bool = True) -> nn.Module:
    """Return the module that computes layers in a row; the identity for none.

    Args:
        layers: what it computes.
        normalization: how batch normalisation is set.
        draw: whether weights are drawn as torch draws them; else their contents are whatever memory holds, for
            somebody to draw.
    """
    modules = [_module(layer, normalization) for layer in layers]
    if draw:
        for conv in (inner for module in modules for inner in module.modules() if isinstance(inner, nn.Conv2d)):
            conv.reset_parameters()
    if len(modules) == 1:
        return modules[0]
    return nn.Sequential(*modules) if modules else nn.Identity()


def _conv_size(conv: Conv, size: int, axis: int) -> int:
    if conv.padded:
        return -(-size // conv.stride[axis])
    return (size - conv.kernel[axis]) // conv.stride[axis] + 1


def _module(layer: Layer, normalization: Normalization) -> nn.Module:
    match layer:
        case FactorizedReduction(c_in=c_in, c_out=c_out):
            return FactorizedReductionModule(c_in, c_out)
        case Zero(c_out=c_out, stride=stride):
            return ZeroModule(c_out, stride)
        case Pool(kernel=kernel) if kernel % 2 == 0:
            return _even_pool_module(layer)
        case _:
            return copy_layer(_template(layer, normalization))


@lru_cache(maxsize=4096)
def _template(layer: Relu | Conv | Norm | Pool, normalization: Normalization) -> nn.Module:
    """Return a layer of torch, on the CPU whatever the default device; its copies are what networks are made of.

    Its own weights are nobody's, and drawn without a trace: a network must not depend on which ones were built before.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return use_fast_convolutions(_single_module(layer, normalization))


def _single_module(layer: Relu | Conv | Norm | Pool, normalization: Normalization) -> nn.Module:
    match layer:
        case Relu():
            return nn.ReLU()
        case Conv():
            padding = [layer.dilation * (k - 1) // 2 if layer.padded else 0 for k in layer.kernel]
            return nn.Conv2d(
                layer.c_in,
                layer.c_out,
                layer.kernel,
                stride=layer.stride,
                padding=(padding[0], padding[1]),
                dilation=layer.dilation,
                groups=layer.groups,
                bias=False,
            )
        case Norm(channels=channels):
            return nn.BatchNorm2d(channels, eps=normalization.eps, momentum=normalization.momentum)
        case Pool(kind="max", kernel=size, stride=stride):
            return nn.MaxPool2d(size, stride=stride, padding=size // 2)
        case Pool(kernel=size, stride=stride):
            return nn.AvgPool2d(size, stride=stride, padding=size // 2, count_include_pad=False)
        case _:
            assert_never(layer)


def _even_pool_module(pool: Pool) -> nn.Module:
    """Return a pooling whose kernel needs one row and column more, below and on the right only."""
    if pool.kind == "avg":
        raise NotImplementedError("average pooling with an even kernel is in no operation set")
    return nn.Sequential(nn.ConstantPad2d((0, 1, 0, 1), float("-inf")), nn.MaxPool2d(pool.kernel, stride=pool.stride))


class FactorizedReductionModule(nn.Module):
    """(batch, c_in, h, w) -> (batch, c_out, ceil(h / 2), ceil(w / 2)): every second pixel, from both offsets."""

    def __init__(self, c_in: int, c_out: int) -> None:
        """Make the two 1x1 convolutions."""
        super().__init__()
        half = Conv(c_in, c_out // 2, stride=(2, 2))
        self.even = copy_layer(_template(half, Normalization()))
        self.odd = copy_layer(_template(half, Normalization()))

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the two halves of the output channels."""
        shifted = functional.pad(x, (-1, 1, -1, 1))  # crop the first row and column, add zeros at the other end
        return torch.cat([self.even(x), self.odd(shifted)], dim=1)


class ZeroModule(nn.Module):
    """(batch, any, h, w) -> zeros (batch, c_out, ceil(h / stride), ceil(w / stride))."""

    def __init__(self, c_out: int, stride: int) -> None:
        """Remember the output's channels and stride."""
        super().__init__()
        self.c_out = c_out
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the zeros."""
        batch, _, height, width = x.shape
        return x.new_zeros(batch, self.c_out, -(-height // self.stride), -(-width // self.stride))
