"""Attention over channels and positions, to stand behind a block: squeeze-and-excitation, CBAM."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

REDUCTION = 16  # Hu 2018, section 3.4, and Woo 2018, section 4


class ChannelAttention(nn.Module):
    """One gate a channel: sigmoid(MLP(average over positions) + MLP(maximum)) (Woo 2018, eq. 2)."""

    def __init__(self, channels: int, reduction: int = REDUCTION) -> None:
        """Make the perceptron that both share; its hidden layer is `reduction` times as narrow."""
        super().__init__()
        hidden = max(1, channels // reduction)
        self.perceptron = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps, each times its gate: (batch, channels, height, width) both."""
        gates = self.perceptron(x.mean(dim=(2, 3))) + self.perceptron(x.amax(dim=(2, 3)))
        scaled: Tensor = x * gates.sigmoid()[:, :, None, None]
        return scaled


class SpatialAttention(nn.Module):
    """One gate a position: sigmoid(7x7 convolution of [mean, maximum] over channels) (Woo 2018, eq. 3)."""

    def __init__(self, kernel_size: int = 7) -> None:
        """Make the convolution; as in the equation there is no normalisation behind it, unlike in released code."""
        super().__init__()
        self.convolution = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps, each position times its gate: (batch, channels, height, width) both."""
        described = torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)
        gates: Tensor = self.convolution(described).sigmoid()
        return x * gates


class CBAM(nn.Sequential):
    """Channel attention, then spatial attention (Woo 2018, eq. 1; https://arxiv.org/abs/1807.06521)."""

    def __init__(self, channels: int, reduction: int = REDUCTION, kernel_size: int = 7) -> None:
        """Make both for maps of so many channels."""
        super().__init__(ChannelAttention(channels, reduction), SpatialAttention(kernel_size))


def squeeze_excitation(channels: int, reduction: int = REDUCTION) -> nn.Module:
    """Return squeeze-and-excitation (Hu 2018) for maps of so many channels."""
    from torchvision.ops import SqueezeExcitation

    module: nn.Module = SqueezeExcitation(channels, max(1, channels // reduction))
    return module


ATTENTIONS: dict[str, Callable[[int], nn.Module]] = {"se": squeeze_excitation, "cbam": CBAM}
