"""Normalised 1x1 convolutions of one tensor as one, in training on a CPU.

A cell's output is read by two cells, each of which brings it to its own number of channels by ReLU - 1x1 convolution -
normalisation, and bottlenecks of a cell begin alike. Together they are one convolution with more filters: one matrix
product that reads the tensor once, one normalisation, and no sum of gradients as large as the tensor.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from search_spaces.beside import is_plain_norm, normalise, normalise_backward, pixels, rows
from search_spaces.fast_convolutions import PointwiseConv2d

Tensors = tuple[Tensor, ...]
WORTH_BYTES = 256 * 1024  # of a tensor that is worth to be read once instead of twice
PREFIX = 3  # layers that a `Pointwise` stands for


@dataclass(frozen=True, slots=True)
class Pointwise:
    """A 1x1 convolution and the normalisation behind it; the ReLU before them is done by whoever runs them."""

    convolution: PointwiseConv2d
    norm: nn.BatchNorm2d

    @property
    def signature(self) -> Hashable:
        """What those have in common that can be joined."""
        return self.convolution.in_channels, self.norm.eps, self.norm.momentum


def pointwise_of(layers: Sequence[nn.Module]) -> Pointwise | None:
    """Return what layers begin with if that is ReLU, 1x1 convolution, normalisation; else None."""
    if tuple(map(type, layers[:PREFIX])) != (nn.ReLU, PointwiseConv2d, nn.BatchNorm2d):
        return None
    _, convolution, norm = layers[:PREFIX]
    assert isinstance(convolution, PointwiseConv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return Pointwise(convolution, norm) if convolution.bias is None and is_plain_norm(norm) else None


def is_worth_joining(x: Tensor) -> bool:
    """Return whether a tensor is so large that reading it once pays for putting weights and gradients together."""
    return x.numel() * x.element_size() >= WORTH_BYTES


def run_joined(parts: Sequence[Pointwise], x: Tensor) -> Tensors:
    """Return what each makes of a rectified tensor (batch, channels, height, width) in channels_last.

    Args:
        parts: of one signature.
        x: what they read.

    Returns:
        (batch, filters, height, width) each, in channels_last.
    """
    norms = [part.norm for part in parts]
    weights = [part.convolution.weight for part in parts]
    results: Tensors = _Joined.apply(norms, x, *weights, *(n.weight for n in norms), *(n.bias for n in norms))
    return results


class _Joined(torch.autograd.Function):
    """One convolution and one normalisation for all."""

    @staticmethod
    def forward(ctx: Any, norms: list[nn.BatchNorm2d], x: Tensor, *tensors: Tensor) -> Tensors:
        count = len(norms)
        weight = torch.cat(tensors[:count]).flatten(1)
        scale, shift = torch.cat(tensors[count : 2 * count]), torch.cat(tensors[2 * count :])
        mixed = pixels(torch.mm(rows(x), weight.t()), like=x)
        result, mean, deviation = normalise(mixed, scale, shift, norms)
        ctx.save_for_backward(x, mixed, weight, scale, mean, deviation)
        ctx.filters, ctx.eps = [len(part) for part in tensors[:count]], norms[0].eps
        return tuple(part.contiguous(memory_format=torch.channels_last) for part in torch.split(result, ctx.filters, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        x, mixed, weight, scale, mean, deviation = ctx.saved_tensors
        gradient = torch.cat([rows(part) for part in gradients], dim=1)
        inner, by_scale, by_shift = normalise_backward(
            pixels(gradient, like=x), mixed, scale, mean, deviation, eps=ctx.eps
        )
        inner = rows(inner)
        by_weight = torch.mm(inner.t(), rows(x)).view(*weight.shape, 1, 1)
        parts = [part for total in (by_weight, by_scale, by_shift) for part in torch.split(total, ctx.filters)]
        return None, pixels(torch.mm(inner, weight), like=x), *parts
