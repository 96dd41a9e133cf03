"""AlphaGo's policy network (Silver 2016, Methods): twelve padded convolutions and a map of the board as logits.

Where the classes are not the points of the board, the last 1 x 1 convolution gives a map for each class, and logits
are their means: the same trunk as an image classifier. No stride anywhere, so any image size will do.
Weights are drawn as by He (2015); the paper does not say.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import conv_relu, init_he, network
from nas.baselines.sizes import Sizes

PAPER = "Mastering the game of Go with deep neural networks and tree search"
HIDDEN_LAYERS = 11  # layers 2 to 12
BOARD = 19
FEATURE_PLANES = 48


class BoardLogits(nn.Module):
    """A 1 x 1 convolution to a single map, with a bias of its own for each position."""

    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(positions))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, height x width)."""
        board: Tensor = self.conv(images)
        return board.flatten(1) + self.bias


def policy_network(filters: int, sizes: Sizes) -> nn.Sequential:
    """Build the network with so many filters; `depth` multiplies layers 2 to 12."""
    k = sizes.filters(filters)
    features = nn.Sequential(conv_relu(sizes.channels, k, kernel=5, padding=2))
    features.extend(conv_relu(k, k, kernel=3, padding=1) for _ in range(sizes.repeats(HIDDEN_LAYERS)))
    positions = sizes.resolution**2
    if sizes.classes == positions:
        return network(features, BoardLogits(k, positions)).apply(init_he)
    classifier = nn.Sequential(nn.Conv2d(k, sizes.classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return network(features, classifier).apply(init_he)


def _policy(name: str, filters: int) -> Baseline:
    return Baseline(
        name=name,
        title=f"AlphaGo's policy network, {filters} filters",
        paper=PAPER,
        year=2016,
        make=partial(policy_network, filters),
        resolution=BOARD,
        channels=FEATURE_PLANES,
        classes=BOARD**2,
    )


BASELINES: tuple[Baseline, ...] = (
    _policy("alphago-policy", 192),
    _policy("alphago-policy-128", 128),
    _policy("alphago-policy-256", 256),
    _policy("alphago-policy-384", 384),
)
