"""What makes training harder so that networks generalise: modules that drop or draw in training and not in evaluation.

Draws come from torch's global generator, as those of `nn.Dropout` do. Torchvision is imported where it is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.errors import InvalidInputError


class DropConnectLinear(nn.Linear):
    """A linear layer that drops each weight for each image (Wan 2013, "Regularization of Neural Networks using
    DropConnect", section 3).

    In training r = (M * W) v + m * b with masks M and m of kept weights and biases, drawn for every image. Weights
    that are kept are divided by their probability, as dropout does, so that evaluation uses W v + b, the mean. The
    paper instead samples a normal distribution with the mean and the variance of the masked sum, before the
    activation. A batch needs batch x inputs x outputs values.
    """  # noqa: D205 - the title is longer than a line

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, p: float = 0.5) -> None:
        """Make a linear layer that drops a weight with probability `p`."""
        super().__init__(in_features, out_features, bias)
        self.p = _probability(p)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs) -> (batch, outputs)."""
        if not self.training or self.p == 0:
            return super().forward(x)
        weight = functional.dropout(self.weight.expand(len(x), -1, -1), self.p)
        product = torch.bmm(weight, x.unsqueeze(2)).squeeze(2)
        return product if self.bias is None else product + functional.dropout(self.bias.expand(len(x), -1), self.p)


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
    behind a ReLU; a window without a positive value gives zero. Windows do not overlap the border.
    """

    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        """Pool square windows of this side; by default they do not overlap."""
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride or kernel_size

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, height', width')."""
        size, stride = self.kernel_size, self.stride
        windows = x.unfold(2, size, stride).unfold(3, size, stride).flatten(-2).clamp_min(0)
        total = windows.sum(-1)
        if not self.training:
            return windows.square().sum(-1) / total.where(total > 0, 1)
        drawn = torch.rand_like(total) * total
        position = (windows.cumsum(-1) <= drawn.unsqueeze(-1)).sum(-1).clamp_max(size * size - 1)
        return windows.gather(-1, position.unsqueeze(-1)).squeeze(-1)


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


def _probability(p: float) -> float:
    if not (math.isfinite(p) and 0 <= p < 1):
        raise InvalidInputError(f"a share to drop must be in [0, 1), got {p}.")
    return p
