"""Activation functions by name, and maxout, which torch lacks."""

from __future__ import annotations

from collections.abc import Callable

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
