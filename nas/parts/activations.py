"""Activation functions by name, and maxout, which torch lacks: as a layer, and as an activation that keeps shapes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas.errors import InvalidInputError, UnknownNameError

# A network's activations are told from its gates by their class: sigmoid and hard sigmoid are gates.
EXCHANGEABLE: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.SiLU,
    nn.GELU,
    nn.Hardswish,
    nn.Mish,
    nn.Tanh,
)


class MaxoutActivation(nn.Module):
    """The largest of several learnt affine functions of each channel: max_j (a_j x + b_j).

    Maxout (Goodfellow 2013, eq. 1; https://arxiv.org/abs/1302.4389) with pieces that share the direction of the
    layer's weights and have a slope and an intercept each, so that it keeps shapes and stands for any activation.
    Two pieces begin as the ReLU: slopes 1 and 0. The published layer, whose pieces have all weights of their own, is
    `Maxout` behind a layer of as many times the channels.
    """

    def __init__(self, channels: int = 1, *, pieces: int = 2, positions: int = 0) -> None:
        """Make the functions, of each channel its own; with one channel all share them.

        Args:
            channels: of the values.
            pieces: functions of each.
            positions: dimensions behind that of the channels, as two of maps.
        """
        super().__init__()
        self.pieces = pieces
        slopes = torch.linspace(1, 0, pieces) if pieces > 1 else torch.ones(1)
        self.slopes = nn.Parameter(slopes[:, None].repeat(1, channels))
        self.intercepts = nn.Parameter(torch.zeros(pieces, channels))
        self.shape = (channels, *[1] * positions)

    def forward(self, x: Tensor) -> Tensor:
        """Return values of the same shape."""
        affine = [(self.slopes[j].view(self.shape), self.intercepts[j].view(self.shape)) for j in range(self.pieces)]
        pieces = [x * a + b for a, b in affine]
        # not amax, which needs its result for the gradient: residual blocks add to that in place
        return torch.stack(pieces).max(dim=0)[0]


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,  # Nair 2010
    "leaky_relu": nn.LeakyReLU,  # Maas 2013: slope 0.01 below zero
    "prelu": nn.PReLU,  # He 2015: that slope is learnt, one for all channels, from 0.25
    "elu": nn.ELU,  # Clevert 2016
    "relu6": nn.ReLU6,  # Krizhevsky 2010
    "silu": nn.SiLU,  # Elfwing 2018; swish of Ramachandran 2017
    "gelu": nn.GELU,  # Hendrycks 2016
    "hardswish": nn.Hardswish,  # Howard 2019
    "tanh": nn.Tanh,
    "maxout": MaxoutActivation,  # Goodfellow 2013; its functions are one channel's own where channels are known
}


def make_activation(name: str) -> nn.Module:
    """Return a new activation of this name, which leaves its input as it is.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


class Maxout(nn.Module):
    """The largest of each group of neighbouring channels (Goodfellow 2013, eq. 1; https://arxiv.org/abs/1302.4389).

    It divides the number of channels, so it stands for an activation only where the layer behind expects that.
    """

    def __init__(self, pieces: int = 2) -> None:
        """Take the maximum over so many channels."""
        super().__init__()
        if pieces < 1:
            raise InvalidInputError(f"maxout takes the largest of at least 1 channel, got pieces={pieces}.")
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, ...) -> (batch, channels / pieces, ...).

        Raises:
            InvalidInputError: the pieces do not divide the channels.
        """
        if x.shape[1] % self.pieces:
            raise InvalidInputError(f"maxout of {self.pieces} pieces needs a multiple of channels, got {x.shape[1]}.")
        return x.reshape(len(x), -1, self.pieces, *x.shape[2:]).amax(dim=2)
