"""Convolutions of very small maps as one matrix product, for training on a CPU.

A convolution is a linear function of the whole map. Where a map has a hundred numbers or so, the matrix of that
function is small, a product with it takes microseconds, and the images of a batch in channels_last are its rows as they
lie. A call of oneDNN costs more than that before it has computed anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

LARGEST_MATRIX = 128 * 128  # entries; from twice as many on the convolution is as fast


@dataclass(frozen=True, slots=True)
class Geometry:
    """What decides which entry of the matrix is which weight.

    Attributes:
        size: height and width of the input.
        shape: of the weights, (c_out, c_in / groups, height, width).
        stride, padding, dilation: pairs, the convolution's own.
        groups: of channels.
    """

    size: tuple[int, int]
    shape: tuple[int, int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the output."""
        high, wide = (
            (size + 2 * pad - step * (kernel - 1) - 1) // stride + 1
            for size, pad, step, kernel, stride in zip(
                self.size, self.padding, self.dilation, self.shape[2:], self.stride, strict=True
            )
        )
        return high, wide

    @property
    def rows(self) -> int:
        """Numbers of an image, h w c_in."""
        return self.size[0] * self.size[1] * self.shape[1] * self.groups

    @property
    def columns(self) -> int:
        """Numbers of its output, h' w' c_out."""
        return self.output_size[0] * self.output_size[1] * self.shape[0]


def is_small(geometry: Geometry) -> bool:
    """Return whether the matrix is small enough to be the faster way."""
    return geometry.rows * geometry.columns <= LARGEST_MATRIX


def dense_convolution(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return the convolution, without bias, of images (batch, c_in, h, w) in channels_last; the result is as well."""
    result: Tensor = _Dense.apply(x, weight, geometry)
    return result


class _Dense(torch.autograd.Function):
    """Y = X T, where T holds every weight wherever it acts."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
        images = x.permute(0, 2, 3, 1).reshape(len(x), geometry.rows)
        ctx.save_for_backward(images, weight)  # and not the matrix, which is larger and quickly made again
        ctx.geometry = geometry
        product = images @ _matrix(weight, geometry)
        return product.view(len(x), *geometry.output_size, geometry.shape[0]).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        images, weight = ctx.saved_tensors
        geometry: Geometry = ctx.geometry
        outer = grad.permute(0, 2, 3, 1).reshape(len(grad), geometry.columns)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            channels = geometry.shape[1] * geometry.groups
            grad_x = (
                (outer @ _matrix(weight, geometry).t()).view(len(grad), *geometry.size, channels).permute(0, 3, 1, 2)
            )
        if ctx.needs_input_grad[1]:
            where = _positions(geometry)
            acting = (images.t() @ outer).view(-1).index_select(0, where.entries)
            total = acting.new_zeros(geometry.shape).view(-1).index_add_(0, where.weights, acting)
            grad_weight = total.view(geometry.shape)
        return grad_x, grad_weight, None


def _matrix(weight: Tensor, geometry: Geometry) -> Tensor:
    """Return T, (h w c_in, h' w' c_out)."""
    where = _positions(geometry)
    matrix = weight.new_zeros(geometry.rows * geometry.columns)
    matrix.index_copy_(0, where.entries, weight.reshape(-1).index_select(0, where.weights))
    return matrix.view(geometry.rows, geometry.columns)


@dataclass(frozen=True, slots=True, eq=False)
class _Positions:
    """Entries of the matrix that are not zero, and the weight that each is; int64 (entries,) both."""

    entries: Tensor
    weights: Tensor


@lru_cache(maxsize=512)
def _positions(geometry: Geometry) -> _Positions:
    """Find the entries by convolving one image a number: where a weight acts is seen from its own number coming out."""
    count = torch.Size(geometry.shape).numel()
    numbers = torch.arange(1, count + 1, dtype=torch.float64).view(geometry.shape)
    channels = geometry.shape[1] * geometry.groups
    images = torch.eye(geometry.rows, dtype=torch.float64).view(geometry.rows, *geometry.size, channels)
    with torch.no_grad():
        found = functional.conv2d(
            images.permute(0, 3, 1, 2),
            numbers,
            None,
            geometry.stride,
            geometry.padding,
            geometry.dilation,
            geometry.groups,
        )
    flat = found.permute(0, 2, 3, 1).reshape(-1).round().to(torch.int64)
    entries = flat.nonzero().squeeze(1)
    return _Positions(entries, flat[entries] - 1)
