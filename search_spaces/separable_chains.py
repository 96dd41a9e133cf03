"""Separable convolutions of a cell that do not wait for each other, computed side by side in training on a CPU.

A NASNet cell is a dozen small layers of one kind: its five separable convolutions read the same two states, are all
ReLU - depthwise - pointwise - normalisation, twice, and give maps of the same size. One after the other, calls take a
third of a step, and normalisation of few channels leaves a processor's vectors half empty. Here their channels lie
beside each other: one depthwise convolution, one normalisation and one rectification for all, and a matrix product
for each pointwise convolution, which reads and writes its own channels where they are.

Outputs and gradients are those of the layers one by one up to rounding (the order of sums), running statistics
included.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from search_spaces.beside import beside, is_plain_norm, normalise, normalise_backward, pixels, rows
from search_spaces.dense_convolutions import LARGEST_MATRIX
from search_spaces.fast_convolutions import PointwiseConv2d, SpatialConv2d, depthwise_gradients

Tensors = tuple[Tensor, ...]
_LAYERS = (SpatialConv2d, PointwiseConv2d, nn.BatchNorm2d)
LARGEST_BYTES = 2**20  # of what one chain reads: a core's second-level cache, about
_ROLES = 4  # of a stage's weights: depthwise, pointwise, scale, shift
_KEPT = 6  # tensors of a stage for its backward pass, besides its matrices and what it reads


@dataclass(frozen=True, slots=True)
class Stage:
    """Depthwise convolution, pointwise convolution, normalisation."""

    depthwise: SpatialConv2d
    pointwise: PointwiseConv2d
    norm: nn.BatchNorm2d

    @property
    def weights(self) -> Tensors:
        """What is learned."""
        norm = self.norm
        return self.depthwise.weight, self.pointwise.weight, norm.weight, norm.bias


@dataclass(frozen=True, slots=True)
class Chain:
    """A separable convolution: a ReLU, then stages with a ReLU between them.

    Attributes:
        stages: in a row.
        signature: what chains have in common that can be computed side by side.
    """

    stages: tuple[Stage, ...]
    signature: Hashable


def chain_of(layers: Sequence[nn.Module]) -> Chain | None:
    """Return layers as a chain, or None for any others."""
    if len(layers) % 4 or any(type(layer) is not nn.ReLU for layer in layers[::4]):
        return None
    stages: list[Stage] = []
    signature: list[Hashable] = []
    for i in range(0, len(layers), 4):
        group = tuple(layers[i + 1 : i + 4])
        if tuple(map(type, group)) != _LAYERS:
            return None
        stage = Stage(*cast("tuple[SpatialConv2d, PointwiseConv2d, nn.BatchNorm2d]", group))
        if not _fits(stage):
            return None
        conv, norm = stage.depthwise, stage.norm
        stages.append(stage)
        signature += [conv.weight.shape, conv.stride, conv.padding, conv.dilation]
        signature += [stage.pointwise.out_channels, norm.eps, norm.momentum]
    return Chain(tuple(stages), tuple(signature))


def is_worthwhile(chains: Sequence[Chain], x: Tensor) -> bool:
    """Return whether chains that read such tensors gain by this way.

    On tiny maps each is better as products; large tensors are better one by one, while they are in the cache.
    """
    tiny, large = x[0].numel() <= LARGEST_MATRIX**0.5, x.numel() * x.element_size() > LARGEST_BYTES
    return len(chains) > 1 and not (tiny or large)


def run_side_by_side(chains: Sequence[Chain], inputs: Sequence[Tensor]) -> Tensors:
    """Return what every chain makes of its input.

    Args:
        chains: of one signature.
        inputs: rectified (batch, channels, height, width), of one shape, in channels_last; may repeat.

    Returns:
        (batch, filters, height', width') each, parts of one tensor: not to be changed in place.
    """
    distinct = list({id(x): x for x in inputs}.values())
    reads = tuple(next(i for i, y in enumerate(distinct) if y is x) for x in inputs)
    stages = tuple(zip(*(chain.stages for chain in chains), strict=True))
    weights = [w for stage in stages for role in zip(*(each.weights for each in stage), strict=True) for w in role]
    results: Tensors = _SideBySide.apply(stages, reads, *distinct, *weights)
    return results


class _SideBySide(torch.autograd.Function):
    """Chains beside each other along the channels."""

    @staticmethod
    def forward(ctx: Any, stages: tuple[tuple[Stage, ...], ...], reads: tuple[int, ...], *tensors: Tensor) -> Tensors:
        count = len(reads)
        inputs, weights = _apart(tensors, len(stages) * _ROLES * count)
        x, kept = beside([inputs[i] for i in reads]), list[Tensor]()
        for i, stage in enumerate(stages):
            depthwise, pointwise, scale, shift = _roles(weights, i, count)
            spatial_weight, joined_scale = torch.cat(depthwise), torch.cat(scale)
            matrices = [weight.flatten(1) for weight in pointwise]
            spatial = _convolve(x, spatial_weight, stage[0].depthwise)
            mixed = _multiply(spatial, matrices)
            read = x
            x, mean, deviation = normalise(mixed, joined_scale, torch.cat(shift), [s.norm for s in stage])
            if i < len(stages) - 1:
                x.relu_()
            # what the first stage reads is put together again in the backward pass: it would be kept for nothing else
            read_again = [read] if i else []
            kept += [spatial_weight, joined_scale, spatial, mixed, mean, deviation, *matrices, *read_again]
        ctx.save_for_backward(*inputs, *kept)
        ctx.stages, ctx.reads, ctx.inputs = stages, reads, len(inputs)
        return torch.split(x, x.shape[1] // count, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        stages, reads, count = ctx.stages, ctx.reads, len(ctx.reads)
        saved, found = list(ctx.saved_tensors), list[Tensor]()
        gradient, x = beside(gradients), None
        for i in reversed(range(len(stages))):
            if x is not None:  # what the stage behind has read
                torch.ops.aten.threshold_backward.grad_input(gradient, x, 0, grad_input=gradient)
            x = saved.pop() if i else beside([saved[j] for j in reads])
            matrices = _take(saved, count)
            spatial_weight, scale, spatial, mixed, mean, deviation = _take(saved, _KEPT)
            conv, norm = stages[i][0].depthwise, stages[i][0].norm
            gradient, by_scale, by_shift = normalise_backward(gradient, mixed, scale, mean, deviation, eps=norm.eps)
            gradient, by_pointwise = _multiply_backward(gradient, spatial, matrices)
            gradient, by_depthwise = depthwise_gradients(
                x, spatial_weight, gradient, conv.stride, conv.padding, conv.dilation
            )
            roles = [by_depthwise.chunk(count), by_pointwise, by_scale.chunk(count), by_shift.chunk(count)]
            found[:0] = [part for role in roles for part in role]
        parts = gradient.chunk(count, dim=1)
        by_input = [_sum([part for part, j in zip(parts, reads, strict=True) if j == i]) for i in range(ctx.inputs)]
        return None, None, *by_input, *found


def _fits(stage: Stage) -> bool:
    conv = stage.depthwise
    depthwise = conv.groups == conv.in_channels == conv.out_channels > 1
    return depthwise and conv.bias is None and stage.pointwise.bias is None and is_plain_norm(stage.norm)


def _take(tensors: list[Tensor], count: int) -> list[Tensor]:
    """Return the last of these, and leave the others."""
    taken = tensors[-count:]
    del tensors[-count:]
    return taken


def _apart(tensors: Tensors, num_weights: int) -> tuple[Tensors, Tensors]:
    return tensors[:-num_weights], tensors[-num_weights:]


def _roles(weights: Tensors, stage: int, count: int) -> tuple[Tensors, Tensors, Tensors, Tensors]:
    first = stage * _ROLES * count
    a, b, c, d = (weights[first + role * count : first + (role + 1) * count] for role in range(_ROLES))
    return a, b, c, d


def _convolve(x: Tensor, weight: Tensor, like: SpatialConv2d) -> Tensor:
    padding: Any = like.padding
    return functional.conv2d(x, weight, None, like.stride, padding, like.dilation, len(weight))


def _multiply(x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Apply a pointwise convolution to each part of the channels: (n, k c, h, w) -> (n, k c', h, w)."""
    count, table = len(matrices), rows(x)
    result = table.new_empty(len(table), count * len(matrices[0]))
    parts = zip(table.chunk(count, 1), matrices, result.chunk(count, 1), strict=True)
    for part, matrix, out in parts:
        torch.mm(part, matrix.t(), out=out)
    return pixels(result, like=x)


def _multiply_backward(gradient: Tensor, x: Tensor, matrices: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return the gradients of `_multiply`: of its input, and of every matrix as a convolution's weight."""
    count, outer, table = len(matrices), rows(gradient), rows(x)
    result, found = torch.empty_like(table), []
    parts = zip(outer.chunk(count, 1), table.chunk(count, 1), matrices, result.chunk(count, 1), strict=True)
    for part, read, matrix, out in parts:
        torch.mm(part, matrix, out=out)
        found.append(torch.mm(part.t(), read).view(*matrix.shape, 1, 1))
    return pixels(result, like=x), found


def _sum(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
