"""Parts put into a network that is there: other activations, normalisations, drops, weights to begin with.

Modules are exchanged, so it works on any network that is made of modules: cell networks, baselines, a user's own.
What a network writes as a function, as ``functional.relu(x)``, nobody can exchange. Attention, stochastic depth,
DropConnect and stochastic pooling are not among the options: where they belong depends on what a block's output is
and what is added to it, which a module's tree does not say. They are modules to build with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor, nn

from nas.errors import InvalidInputError, UnknownNameError
from nas.parts.activations import ACTIVATIONS, EXCHANGEABLE, make_activation
from nas.parts.initializations import INITIALIZATIONS, initialize
from nas.parts.normalizations import NORMALIZATIONS, WEIGHT_NORMALIZATIONS, make_normalization, normalize_weights
from nas.parts.regularizers import DropBlock

_REGISTRIES: dict[str, Iterable[str]] = {
    "activation": ACTIVATIONS,
    "normalization": NORMALIZATIONS,
    "weight_normalization": WEIGHT_NORMALIZATIONS,
    "initialization": INITIALIZATIONS,
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What to exchange in a network; the default exchanges nothing.

    Attributes:
        activation: in the place of every ReLU and its like, tanh among them; see `ACTIVATIONS`.
        normalization: in the place of every batch normalisation of maps; see `NORMALIZATIONS`.
        weight_normalization: ``weight`` or ``spectral``, of every convolution and linear layer.
        initialization: of every convolution and linear layer; see `INITIALIZATIONS`.
        dropout: rate of every dropout that is there, in [0, 1); None leaves them as they are.
        dropblock: share of positions dropped behind every activation with maps of at least a block, in [0, 1).
        dropblock_size: side of a block.
    """

    activation: str | None = None
    normalization: str | None = None
    weight_normalization: str | None = None
    initialization: str | None = None
    dropout: float | None = None
    dropblock: float = 0.0
    dropblock_size: int = 7

    def __post_init__(self) -> None:
        """Refuse unknown names and rates outside their range."""
        for field, known in _REGISTRIES.items():
            name = getattr(self, field)
            if name is not None and name not in known:
                raise UnknownNameError(field.replace("_", " "), str(name), known)
        for field, rate in (("dropout", self.dropout or 0.0), ("dropblock", self.dropblock)):
            if not (isinstance(rate, int | float) and math.isfinite(rate) and 0 <= rate < 1):
                raise InvalidInputError(f"{field} must be in [0, 1), got {rate!r}.")
        if not isinstance(self.dropblock_size, int) or self.dropblock_size < 1:
            raise InvalidInputError(f"dropblock_size must be a whole number >= 1, got {self.dropblock_size!r}.")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def changes(self) -> tuple[tuple[str, Any], ...]:
        """Return names and values of what is not as by default, as a blueprint holds them."""
        return tuple((f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; what is left out is as by default.

        Raises:
            UnknownNameError: a part that there is not.
        """
        known = [field.name for field in fields(cls)]
        for name in data:
            if name not in known:
                raise UnknownNameError("part", name, known)
        return cls(**data)


def apply_parts(
    network: nn.Module, parts: Parts, *, sample: Tensor | None = None, generator: torch.Generator | None = None
) -> nn.Module:
    """Exchange modules of a network in place and return it; itself one of those modules, return the new one.

    Args:
        network: changed in place; its device is kept. Learnt scales and shifts of normalisations are not carried
            over. Instance normalisation cannot be trained where maps are a single position.
        parts: what to exchange.
        sample: images that the network takes, for initialisation by ``lsuv``.
        generator: for initialisation; torch's global one by default.

    Raises:
        InvalidInputError: nothing in the network can be exchanged as asked, or ``lsuv`` without a sample.
    """
    if parts.activation is not None or parts.dropblock:
        network = _replace(network, EXCHANGEABLE, lambda module: _activation(module, parts), "activation")
    if parts.normalization is not None:
        network = _replace(network, (nn.BatchNorm2d,), lambda module: _normalization(module, parts), "normalization")
    if parts.dropout is not None:
        _set_dropout(network, parts.dropout)
    if parts.initialization is not None:
        initialize(network, parts.initialization, sample=sample, generator=generator)
    if parts.weight_normalization is not None:
        normalize_weights(network, parts.weight_normalization)
    return network


def _activation(module: nn.Module, parts: Parts) -> nn.Module:
    activation = module if parts.activation is None else make_activation(parts.activation)
    if not parts.dropblock:
        return activation
    return nn.Sequential(activation, DropBlock(parts.dropblock, parts.dropblock_size))


def _normalization(module: nn.Module, parts: Parts) -> nn.Module:
    assert isinstance(module, nn.BatchNorm2d)
    assert parts.normalization is not None
    return make_normalization(parts.normalization, module.num_features, affine=module.affine)


def _replace(
    network: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[nn.Module], nn.Module], what: str
) -> nn.Module:
    """Put what `make` gives for each module of these classes in its place; a shared one stays shared."""
    made: dict[nn.Module, nn.Module] = {}
    device = next((tensor.device for tensor in (*network.parameters(), *network.buffers())), torch.device("cpu"))
    for module in network.modules():
        if isinstance(module, kinds):
            made[module] = make(module).to(device).train(module.training)
    if not made:
        raise InvalidInputError(
            f"this {type(network).__name__} has no {what} that is a module: build it with the one that you want."
        )
    for parent in list(network.modules()):
        for name, child in parent._modules.items():
            if child in made:
                parent._modules[name] = made[child]
    return made.get(network, network)


def _set_dropout(network: nn.Module, rate: float) -> None:
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout | nn.Dropout2d)]
    if not dropouts:
        raise InvalidInputError(f"this {type(network).__name__} has no dropout whose rate could be set.")
    for module in dropouts:
        module.p = rate
