"""What makes training harder so that networks generalise: modules that drop or draw in training and not in evaluation.

Draws come from torch's global generator, as those of `nn.Dropout` do. Torchvision is imported where it is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.errors import InvalidInputError

Size = int | tuple[int, int]


class DropConnectLinear(nn.Linear):
    """A linear layer that drops each weight for each image (Wan 2013, "Regularization of Neural Networks using
    DropConnect", section 3).

    In training r = (M * W) v + m * b with masks M and m of kept weights and biases, drawn for every image. Weights
    that are kept are divided by their probability, as dropout does, so that evaluation uses W v + b, the mean. The
    paper instead samples a normal distribution with the mean and the variance of the masked sum, before the
    activation. Where an image is several rows, as of tokens, they share its mask. A batch needs batch x inputs x
    outputs values: what it takes in a layer of millions of weights, batches of a few images can afford only.
    """  # noqa: D205 - the title is longer than a line

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, p: float = 0.5) -> None:
        """Make a linear layer that drops a weight with probability `p`."""
        super().__init__(in_features, out_features, bias)
        self.p = _probability(p)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, ..., inputs) -> (batch, ..., outputs)."""
        if not self.training or self.p == 0:
            return super().forward(x)
        weight = functional.dropout(self.weight.expand(len(x), -1, -1), self.p)
        rows = x.reshape(len(x), -1, self.in_features)
        product = torch.bmm(rows, weight.transpose(1, 2)).view(*x.shape[:-1], self.out_features)
        return product if self.bias is None else product + self._drop_bias(len(x), rows=x.dim() - 2)

    def _drop_bias(self, images: int, *, rows: int) -> Tensor:
        bias = functional.dropout(self.bias.expand(images, -1), self.p)
        return bias.view(images, *[1] * rows, self.out_features)

    @classmethod
    def of(cls, layer: nn.Linear, p: float) -> Self:
        """Return one that has the very weights of a linear layer."""
        made = cls(layer.in_features, layer.out_features, layer.bias is not None, p=p)
        made.weight, made.bias = layer.weight, layer.bias
        return made


class DropBlock(nn.Module):
    """Drops squares of a map, in each channel elsewhere (Ghiasi 2018, Alg. 1; torchvision's `drop_block2d`).

    Maps smaller than the square are left as they are.
    """

    def __init__(self, p: float, block_size: int = 7) -> None:
        """Drop a share `p` of all positions, in squares of this side."""
        super().__init__()
        self.p = _probability(p)
        self.block_size = block_size

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the same shape; what is not four-dimensional is no map."""
        if not self.training or x.dim() != 4 or min(x.shape[2:]) < self.block_size:
            return x
        from torchvision.ops import drop_block2d

        dropped: Tensor = drop_block2d(x, self.p, self.block_size)
        return dropped


class StochasticPool2d(nn.Module):
    """Draws one value of each window with a probability in proportion to it (Zeiler 2013, eq. 4 to 6).

    In evaluation it gives the mean of the values, weighted by those probabilities. Negative values count as zero, as
    behind a ReLU; a window without a positive value gives zero. What a window has over the border are zeros, which are
    never drawn.
    """

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, *, ceil: bool = False) -> None:
        """Pool windows of this size; by default they do not overlap.

        Args:
            kernel_size: pixels, or (vertical, horizontal) pixels.
            stride: likewise; the kernel's by default.
            padding: likewise.
            ceil: whether a last window that begins on the map or its padding, and ends behind it, counts, as of
                torch's poolings with `ceil_mode`.
        """
        super().__init__()
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride) if stride else self.kernel_size
        self.padding = _pair(padding)
        self.ceil = ceil

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, height', width')."""
        (height, width), (down, right) = self.kernel_size, self.stride
        vertical, horizontal = self._borders(x.shape[2], 0), self._borders(x.shape[3], 1)
        x = functional.pad(x.clamp_min(0), (*horizontal, *vertical))
        windows = x.unfold(2, height, down).unfold(3, width, right).flatten(-2)
        total = windows.sum(-1)
        if not self.training:
            return windows.square().sum(-1) / total.where(total.gt(0), 1)
        drawn = torch.rand_like(total) * total
        position = (windows.cumsum(-1) <= drawn.unsqueeze(-1)).sum(-1).clamp_max(height * width - 1)
        return windows.gather(-1, position.unsqueeze(-1)).squeeze(-1)

    def _borders(self, size: int, axis: int) -> tuple[int, int]:
        """Return the zeros in front of and behind a row of pixels."""
        kernel, stride, padding = self.kernel_size[axis], self.stride[axis], self.padding[axis]
        rest = (size + 2 * padding - kernel) % stride
        # torch leaves out a last window that would begin behind the map and the padding in front of it
        added = (
            stride - rest if self.ceil and rest and size + 2 * padding - kernel - rest + stride < size + padding else 0
        )
        return padding, padding + added


def stochastic_depth(p: float) -> nn.Module:
    """Return what drops a block's branch for an image with probability `p` (Huang 2016), to stand before the sum."""
    from torchvision.ops import StochasticDepth

    module: nn.Module = StochasticDepth(_probability(p), "row")
    return module


REGULARIZERS: dict[str, Callable[..., nn.Module]] = {
    "dropout": nn.Dropout,  # Srivastava 2014
    "dropconnect": DropConnectLinear,
    "dropblock": DropBlock,
    "stochastic_depth": stochastic_depth,
    "stochastic_pooling": StochasticPool2d,
}


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _probability(p: float) -> float:
    if not (math.isfinite(p) and 0 <= p < 1):
        raise InvalidInputError(f"a share to drop must be in [0, 1), got {p}.")
    return p
