"""Exchanging modules of a network in place: which of them a part stands for, and what comes in their place.

Each function takes the network and gives it back; where the network itself is such a module, the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nas.errors import InvalidInputError
from nas.parts.activations import EXCHANGEABLE, MaxoutActivation, make_activation
from nas.parts.flow import MAP, Flow
from nas.parts.normalizations import make_normalization
from nas.parts.placing import put_behind
from nas.parts.regularizers import DropBlock, DropConnectLinear, StochasticPool2d

NORMS = (nn.BatchNorm2d, nn.LocalResponseNorm)
OTHER_NORMS = (nn.GroupNorm, nn.InstanceNorm2d, nn.LayerNorm)
DROPOUTS = (nn.Dropout, nn.Dropout2d)
CHANNELS_LAST = (nn.Linear, nn.LayerNorm)  # layers whose results have their channels in the last dimension
POOLINGS: dict[str, Callable[[nn.MaxPool2d | nn.AvgPool2d], nn.Module]] = {
    "stochastic": lambda pool: StochasticPool2d(*_window(pool), ceil=pool.ceil_mode),  # Zeiler 2013
    "max": lambda pool: nn.MaxPool2d(*_window(pool), ceil_mode=pool.ceil_mode),
    "average": lambda pool: nn.AvgPool2d(*_window(pool), ceil_mode=pool.ceil_mode, count_include_pad=False),
}


def exchange_activations(
    network: nn.Module, name: str | None, *, dropblock: float, block_size: int, flow: Flow | None
) -> nn.Module:
    """Put an activation in the place of every one, with DropBlock behind it at a rate above 0; None keeps it."""

    def make(module: nn.Module) -> nn.Module:
        made = module if name is None else _activation(name, module, flow)
        return nn.Sequential(made, DropBlock(dropblock, block_size)) if dropblock else made

    return replace_modules(network, EXCHANGEABLE, make, "activation")


def exchange_normalizations(network: nn.Module, name: str, flow: Flow | None) -> nn.Module:
    """Put a normalisation in the place of every one of maps; where there is none, behind every convolution of maps.

    The last layer with weights, which gives the classes, gets none. Where normalisations are taken away, activations
    no longer change what they are given: that was the normalisation's own result, and is now somebody else's.

    Raises:
        InvalidInputError: there is nothing to exchange, or instance normalisation is asked for maps of one position.
    """
    if flow is not None and not _has(network, (*NORMS, *OTHER_NORMS)):
        convolutions = [layer for layer in _weight_layers(flow)[:-1] if _gives_maps(layer, flow)]
        if convolutions and name != "none":
            new = {layer: make_normalization(name, flow.outputs[layer][1]) for layer in convolutions}
            return _put_in(network, {layer: put_behind(layer, norm) for layer, norm in new.items()})

    def make(module: nn.Module) -> nn.Module:
        if name == "instance" and flow is not None and flow.inputs.get(module, ())[2:] == (1, 1):
            raise InvalidInputError(
                "instance normalisation takes the mean over positions, and this network has maps of a single one: "
                "give larger images, or normalization=layer."
            )
        if isinstance(module, nn.BatchNorm2d):
            return make_normalization(name, module.num_features, affine=module.affine)
        return make_normalization(name, _channels_of(module, flow))

    kinds = NORMS if flow is not None else (nn.BatchNorm2d,)
    network = replace_modules(network, kinds, make, "normalization")
    if name == "none":
        for module in network.modules():
            if hasattr(module, "inplace"):
                module.inplace = False  # type: ignore[assignment]  # torch types attributes it cannot know
    return network


def exchange_poolings(network: nn.Module, name: str) -> nn.Module:
    """Put a pooling of the same windows in the place of every one; global ones and adaptive ones stay."""
    return replace_modules(network, (nn.MaxPool2d, nn.AvgPool2d), lambda pool: POOLINGS[name](pool), "pooling")  # type: ignore[arg-type]


def exchange_linear_layers(network: nn.Module, rate: float) -> nn.Module:
    """Put DropConnect in the place of every linear layer, with its weights; subclasses are somebody's own and stay."""
    layers = [module for module in network.modules() if type(module) is nn.Linear]
    if not layers:
        raise InvalidInputError(f"this {type(network).__name__} has no linear layer whose weights could be dropped.")
    return _put_in(network, {layer: DropConnectLinear.of(layer, rate).train(layer.training) for layer in layers})


def set_dropout(network: nn.Module, rate: float, flow: Flow | None) -> None:
    """Set the rate of every dropout; where there is none, put one in front of the layer that gives the classes."""
    dropouts = [module for module in network.modules() if isinstance(module, DROPOUTS)]
    for module in dropouts:
        module.p = rate
    if dropouts:
        return
    layers = _weight_layers(flow) if flow else []
    if not flow or not layers or layers[-1] is network:
        raise InvalidInputError(f"this {type(network).__name__} has no dropout whose rate could be set.")
    giver, dropout = flow.givers.get(layers[-1]), nn.Dropout(rate).train(network.training)
    if giver is not None and flow.runs_once(giver) and not list(giver.parameters()):  # the names of weights stay
        _put_in(network, {giver: nn.Sequential(giver, dropout)})
    else:
        _put_in(network, {layers[-1]: nn.Sequential(dropout, layers[-1])})


def replace_modules(
    network: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[nn.Module], nn.Module], what: str
) -> nn.Module:
    """Put what `make` gives for each module of these classes in its place; a shared one stays shared.

    Raises:
        InvalidInputError: there is none.
    """
    device = next((tensor.device for tensor in (*network.parameters(), *network.buffers())), torch.device("cpu"))
    found = [module for module in network.modules() if isinstance(module, kinds)]
    if not found:
        raise InvalidInputError(
            f"this {type(network).__name__} has no {what} that is a module: build it with the one that you want."
        )
    return _put_in(network, {module: make(module).to(device).train(module.training) for module in found})


def _put_in(network: nn.Module, made: dict[nn.Module, nn.Module]) -> nn.Module:
    new = set(made.values())  # may hold the old one, which is to stay in there
    for parent in [module for module in network.modules() if module not in new]:
        for name, child in parent._modules.items():
            if child in made:
                parent._modules[name] = made[child]
    return made.get(network, network)


def _activation(name: str, module: nn.Module, flow: Flow | None) -> nn.Module:
    """Return a new activation; maxout has functions for each channel where a module always sees the same channels."""
    shape = flow.inputs.get(module, ()) if flow is not None and flow.runs_once(module) else ()
    if name != "maxout" or flow is None or len(shape) < 2:
        return make_activation(name)
    tokens = len(shape) == MAP - 1 or type(flow.givers.get(module)) in CHANNELS_LAST
    return MaxoutActivation(shape[-1]) if tokens else MaxoutActivation(shape[1], positions=len(shape) - 2)


def _channels_of(module: nn.Module, flow: Flow | None) -> int:
    shape = flow.inputs.get(module) if flow else None
    if shape is None:
        raise InvalidInputError(
            f"a {type(module).__name__} that is not used cannot be exchanged: channels are unknown."
        )
    return shape[1]


def _weight_layers(flow: Flow) -> list[nn.Module]:
    return [layer for layer in flow.layers if isinstance(layer, nn.Conv2d | nn.Linear)]


def _gives_maps(layer: nn.Module, flow: Flow) -> bool:
    shape = flow.outputs[layer]
    return isinstance(layer, nn.Conv2d) and len(shape) == MAP and min(shape[2:]) > 1


def _has(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> bool:
    return any(isinstance(module, kinds) for module in network.modules())


def _window(pool: nn.MaxPool2d | nn.AvgPool2d) -> tuple[Any, Any, Any]:
    """Return kernel, stride and padding.

    Raises:
        InvalidInputError: the pooling looks at every second pixel only.
    """
    if getattr(pool, "dilation", 1) not in (1, (1, 1)):
        raise InvalidInputError("a pooling with dilation cannot be exchanged: build the network without it.")
    return pool.kernel_size, pool.stride, pool.padding
