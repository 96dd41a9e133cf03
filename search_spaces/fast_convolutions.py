"""Convolutions that compute what torch's do, for less time on a CPU in training.

Three kinds pay, all for float32 in channels_last (N, H, W, C in memory):

- a 1x1 convolution is one matrix product over all pixels. torch gives it to oneDNN, or, for small batches on one
  thread, to a loop that unfolds the images first;
- the weight gradient of a depthwise kernel of 5x5 and more falls to oneDNN's slow general code, ten times and more
  the forward's time. It is itself a depthwise convolution: of the input, with the output's gradient as the kernel and
  every image's channels as channels of one image. That form runs at nearly the forward's speed, and so does the
  input's gradient as a convolution with the kernel turned over;
- convolutions of very small maps; see `search_spaces.dense_convolutions`.

Elsewhere (other types, other devices, evaluation) torch's own convolution is called, with the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from search_spaces.dense_convolutions import LARGEST_MATRIX, Geometry, dense_convolution, is_small

CHUNK_BYTES = 640 * 1024  # of images at a time in the weight gradient: they stay in a core's second-level cache
SMALLEST_AREA = 25  # taps from which oneDNN's weight gradient of a depthwise kernel is slow


def use_fast_convolutions(network: nn.Module) -> nn.Module:
    """Have the convolutions of a network that can be faster compute in that way, in place; return it.

    Names, weights and their order, and the functions computed stay. Only torch's own ``Conv2d`` is changed, so
    parametrized layers (weight normalisation) and anybody's subclasses stay as they are.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros":
            if _is_pointwise(module):
                module.__class__ = PointwiseConv2d
            elif not isinstance(module.padding, str):
                module.__class__ = SpatialConv2d
    return network


@final
class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 1 in one group: (batch, c_in, h, w) -> (batch, c_out, h, w)."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Multiply matrices where the images lie so that no copy is needed."""
        if not (self.training and suits(input)):
            return _plain(self, input, weight, bias)
        return functional.linear(input.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


@final
class SpatialConv2d(nn.Conv2d):
    """Any other convolution with zeros around the image: (batch, c_in, h, w) -> (batch, c_out, h', w')."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve, in training in the way that is fastest for the layer and the map."""
        if not (self.training and torch.is_grad_enabled() and suits(input)):
            return _plain(self, input, weight, bias)
        if (geometry := self._small(input)) is not None:
            result = dense_convolution(input, weight, geometry)
        elif self.groups == self.in_channels == self.out_channels > 1 and weight[0, 0].numel() >= SMALLEST_AREA:
            result = _Depthwise.apply(input, weight, self.stride, self.padding, self.dilation)
        else:
            return _plain(self, input, weight, bias)
        return result if bias is None else result + bias.view(1, -1, 1, 1)

    def _small(self, x: Tensor) -> Geometry | None:
        """Return the convolution's geometry if it is better computed as one matrix product."""
        height, width = x.shape[2:]
        if height * width * self.in_channels > LARGEST_MATRIX:
            return None
        groups, shape = self.groups, (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        padding: Any = self.padding  # no text, see `use_fast_convolutions`
        geometry = Geometry((height, width), shape, self.stride, padding, self.dilation, groups)  # type: ignore[arg-type]
        return geometry if is_small(geometry) else None


class _Depthwise(torch.autograd.Function):
    """torch's depthwise convolution with another way to its weight gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = (stride, padding, dilation)
        return functional.conv2d(x, weight, None, stride, padding, dilation, x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.geometry
        return *depthwise_gradients(x, weight, grad, stride, padding, dilation, ctx.needs_input_grad), None, None, None


def depthwise_gradients(
    x: Tensor,
    weight: Tensor,
    grad: Tensor,
    stride: Any,
    padding: Any,
    dilation: Any,
    needed: Sequence[bool] = (True, True),
) -> tuple[Any, Any]:
    """Return the gradients of a depthwise convolution's input and weights, in the way that is fastest for its kernel.

    Args:
        x: (batch, channels, height, width), the convolution's input.
        weight: (channels, 1, kernel height, kernel width).
        grad: (batch, channels, h', w'), the gradient of its output.
        stride: the convolution's own, a pair.
        padding: likewise.
        dilation: likewise.
        needed: of the input, of the weights; None is returned for what is not.
    """
    grad = grad.contiguous(memory_format=torch.channels_last)
    if weight[0, 0].numel() < SMALLEST_AREA:
        return _torchs_gradients(x, weight, grad, stride, padding, dilation, (needed[0], needed[1]))
    grad_x = grad_weight = None
    if needed[0]:
        grad_x = _depthwise_input_gradient(x, weight, grad, stride=stride, padding=padding, dilation=dilation)
    if needed[1]:
        grad_weight = depthwise_weight_gradient(
            x, grad, weight.shape[2:], stride=stride, padding=padding, dilation=dilation
        )
    return grad_x, grad_weight


def _torchs_gradients(
    x: Tensor, weight: Tensor, grad: Tensor, stride: Any, padding: Any, dilation: Any, needed: tuple[bool, bool]
) -> tuple[Any, Any]:
    found = torch.ops.aten.convolution_backward(
        grad, x, weight, None, stride, padding, dilation, False, (0, 0), x.shape[1], (*needed, False)
    )
    return found[0], found[1]


def _depthwise_input_gradient(
    x: Tensor, weight: Tensor, grad: Tensor, *, stride: Any, padding: Any, dilation: Any
) -> Tensor:
    """Return the gradient of the input; at stride 1 a convolution with the kernel turned over."""
    reach = [step * (size - 1) - pad for step, size, pad in zip(dilation, weight.shape[2:], padding, strict=True)]
    if tuple(stride) == (1, 1) and min(reach) >= 0:
        return functional.conv2d(grad, weight.flip(2, 3), None, 1, reach, dilation, x.shape[1])
    gradient: Tensor = _torchs_gradients(x, weight, grad, stride, padding, dilation, (True, False))[0]
    return gradient


def depthwise_weight_gradient(
    x: Tensor, grad: Tensor, kernel: tuple[int, ...], *, stride: Any, padding: Any, dilation: Any
) -> Tensor:
    """Return the gradient (channels, 1, *kernel) of a depthwise convolution's weights.

    dL/dw[c, i, j] = sum over n, y, x of grad[n, c, y, x] input[n, c, y s + i d - p, x s + j d - p]: the convolution of
    the input with the gradient as its kernel, in which stride s and dilation d change places.

    Args:
        x: (batch, channels, height, width), the convolution's input.
        grad: (batch, channels, h', w'), the gradient of its output.
        kernel: height and width of the weights.
        stride: the convolution's own, a pair.
        padding: likewise.
        dilation: likewise.
    """
    batch, channels = x.shape[:2]
    chunks = -(-batch * x.stride(0) * x.element_size() // CHUNK_BYTES)
    total: Tensor | None = None
    for part, part_grad in zip(x.chunk(chunks), grad.chunk(chunks), strict=True):
        taps = functional.conv2d(
            _as_one_image(part), _as_kernels(part_grad), None, dilation, padding, stride, len(part) * channels
        )[0, :, : kernel[0], : kernel[1]]  # with a stride, pixels at the end that no tap saw would give more
        found = taps.reshape(len(part), channels, *kernel).sum(0)
        total = found if total is None else total.add_(found)
    assert total is not None  # there is at least one image
    return total.unsqueeze(1)


def _as_one_image(x: Tensor) -> Tensor:
    """(n, c, h, w) -> (1, n c, h, w), in channels_last."""
    batch, channels, height, width = x.shape
    return x.permute(2, 3, 0, 1).reshape(1, height, width, batch * channels).permute(0, 3, 1, 2)


def _as_kernels(x: Tensor) -> Tensor:
    """(n, c, h, w) -> (n c, 1, h, w), each kernel in one piece, which oneDNN takes in faster than interleaved ones."""
    return x.contiguous().view(-1, 1, *x.shape[2:])


def _plain(conv: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    result: Tensor = nn.Conv2d._conv_forward(conv, x, weight, bias)
    return result


def _is_pointwise(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.groups == 1 and conv.padding == (0, 0)


def suits(x: Tensor) -> bool:
    """Return whether these ways are meant for a tensor: float32 on a CPU, in channels_last."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return plain and x.is_contiguous(memory_format=torch.channels_last)
