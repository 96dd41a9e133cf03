"""Normalisations by name: of maps, in the place of batch normalisation, and of weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.nn.utils import parametrizations

from nas.errors import UnknownNameError

GROUPS = 32  # Wu 2018, section 4: the default


def _group(channels: int, affine: bool) -> nn.Module:
    """Group normalisation (Wu 2018) in the most groups up to `GROUPS` that divide the channels."""
    groups = max(count for count in range(1, GROUPS + 1) if channels % count == 0)
    return nn.GroupNorm(groups, channels, affine=affine)


# name -> module for (channels, whether it has a learnt scale and shift)
NORMALIZATIONS: dict[str, Callable[[int, bool], nn.Module]] = {
    "batch": lambda channels, affine: nn.BatchNorm2d(channels, affine=affine),  # Ioffe 2015
    # Ba 2016: over all channels and positions of an image, as Wu 2018 read it for maps
    "layer": lambda channels, affine: nn.GroupNorm(1, channels, affine=affine),
    "instance": lambda channels, affine: nn.InstanceNorm2d(channels, affine=affine),  # Ulyanov 2016
    "group": _group,
    "local_response": lambda channels, affine: local_response(),  # Krizhevsky 2012; it learns nothing
    "none": lambda channels, affine: nn.Identity(),
}
# Salimans 2016: direction and length of each output's weights apart; Miyato 2018: largest singular value 1
WEIGHT_NORMALIZATIONS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight": parametrizations.weight_norm,
    "spectral": parametrizations.spectral_norm,
}


def make_normalization(name: str, channels: int, *, affine: bool = True) -> nn.Module:
    """Return a new normalisation of maps (batch, channels, height, width).

    Args:
        name: what `NORMALIZATIONS` lists.
        channels: of the maps.
        affine: whether it learns a scale and a shift for each channel.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in NORMALIZATIONS:
        raise UnknownNameError("normalization", name, NORMALIZATIONS)
    return NORMALIZATIONS[name](channels, affine)


def normalize_weights(network: nn.Module, name: str) -> nn.Module:
    """Give the weight of every convolution and linear layer a parametrisation; return the same network.

    Args:
        network: changed in place.
        name: ``weight`` or ``spectral``.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in WEIGHT_NORMALIZATIONS:
        raise UnknownNameError("weight normalization", name, WEIGHT_NORMALIZATIONS)
    # attention's own output layer is never called, and its weight read where it lies
    inside_attention = {
        part for module in network.modules() if isinstance(module, nn.MultiheadAttention) for part in module.modules()
    }
    for module in list(network.modules()):
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear) and module not in inside_attention:
            zeros = _zero_rows(module.weight)
            if zeros is not None and name == "spectral" and zeros.all():
                init.xavier_uniform_(module.weight)  # no scale makes the largest singular value of zeros 1
            WEIGHT_NORMALIZATIONS[name](module)
            if zeros is not None and name == "weight":
                _give_directions(module, zeros)
    return network


def _zero_rows(weight: Tensor) -> Tensor | None:
    """Return which outputs have zeros for weights, as classifiers that begin there; None where contents are unknown."""
    return None if weight.is_meta else weight.detach().flatten(1).abs().amax(dim=1) == 0


def _give_directions(layer: nn.Module, zeros: Tensor) -> None:
    """Draw directions for outputs whose length is zero: they go on giving zero, and can learn, where 0 / 0 cannot."""
    directions = layer.get_parameter("parametrizations.weight.original1")
    with torch.no_grad():
        directions[zeros] = torch.randn_like(directions[zeros])


def local_response(*, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> nn.LocalResponseNorm:
    """Return local response normalisation (Krizhevsky 2012, section 3.3), by default with the paper's constants.

    b_i = a_i / (k + alpha x sum over `size` neighbouring channels of a_j^2)^beta. Torch divides alpha by the size,
    so it is given size x alpha.
    """
    return nn.LocalResponseNorm(size, alpha=size * alpha, beta=beta, k=k)
