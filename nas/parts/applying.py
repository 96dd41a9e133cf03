"""Parts put into a network that is there: other activations, normalisations, attention, drops, weights to begin with.

Modules are exchanged, so it works on any network that is made of modules: cell networks, baselines, a user's own.
What a network writes as a function, as ``functional.relu(x)``, nobody can exchange. What a part needs to know of the
network beyond its modules, as the channels that they see and what is added to what, one run without weights tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor, nn

from nas.errors import InvalidInputError, UnknownNameError
from nas.parts.activations import ACTIVATIONS
from nas.parts.attention import ATTENTIONS
from nas.parts.exchanging import (
    POOLINGS,
    exchange_activations,
    exchange_linear_layers,
    exchange_normalizations,
    exchange_poolings,
    set_dropout,
)
from nas.parts.flow import Flow, watch_flow
from nas.parts.heads import HEADS, average_globally
from nas.parts.initializations import INITIALIZATIONS, initialize
from nas.parts.normalizations import NORMALIZATIONS, WEIGHT_NORMALIZATIONS, normalize_weights
from nas.parts.placing import attention_places, depth_places, drops_branches, put_attention, put_depth
from nas.training.dropping import set_stochastic_depth

_REGISTRIES: dict[str, Iterable[str]] = {
    "activation": ACTIVATIONS,
    "attention": ATTENTIONS,
    "head": HEADS,
    "initialization": INITIALIZATIONS,
    "normalization": NORMALIZATIONS,
    "pooling": POOLINGS,
    "weight_normalization": WEIGHT_NORMALIZATIONS,
}
# What changes neither parameters nor multiply-accumulates of a network.
_FREE = (*("dropout", "dropblock", "dropblock_size", "dropconnect", "stochastic_depth", "pooling", "initialization"),)
_RATES = ("dropout", "dropblock", "dropconnect", "stochastic_depth")
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Parts:
    """What to exchange in a network; the default exchanges nothing.

    Attributes:
        activation: in the place of every ReLU and its like, tanh among them; see `ACTIVATIONS`.
        normalization: in the place of every batch or local response normalisation; in a network without any, behind
            every convolution; see `NORMALIZATIONS`.
        weight_normalization: ``weight`` or ``spectral``, of every convolution and linear layer.
        initialization: of every convolution and linear layer; see `INITIALIZATIONS`.
        dropout: rate of every dropout, in [0, 1), and where there is none of a new one in front of the layer that gives
            the classes; None leaves them as they are.
        dropblock: share of positions dropped behind every activation with maps of at least a block, in [0, 1).
        dropblock_size: side of a block.
        attention: ``se`` or ``cbam`` behind every residual branch; see `nas.parts.placing` for other networks.
        stochastic_depth: rate at which the last residual branch is dropped in training, those before it in proportion,
            in [0, 1). A network that drops its branches by itself gets this rate for them.
        dropconnect: rate at which the weights of every linear layer are dropped in training, in [0, 1).
        pooling: in the place of every maximum and average pooling; ``stochastic`` takes negative values for zeros.
        head: ``global_average`` in the place of a fully-connected head, hidden layers and all.
    """

    activation: str | None = None
    normalization: str | None = None
    weight_normalization: str | None = None
    initialization: str | None = None
    dropout: float | None = None
    dropblock: float = 0.0
    dropblock_size: int = 7
    attention: str | None = None
    stochastic_depth: float = 0.0
    dropconnect: float = 0.0
    pooling: str | None = None
    head: str | None = None

    def __post_init__(self) -> None:
        """Refuse unknown names and rates outside their range."""
        for field, known in _REGISTRIES.items():
            name = getattr(self, field)
            if name is not None and name not in known:
                raise UnknownNameError(field.replace("_", " "), str(name), known)
        for field in _RATES:
            rate = 0.0 if getattr(self, field) is None else getattr(self, field)
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

    @property
    def keeps_counts(self) -> bool:
        """Whether a network has the parameters and the multiply-accumulates with these parts that it has without."""
        return all(name in _FREE for name, _ in self.changes())

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
    network: nn.Module,
    parts: Parts,
    *,
    sample: Tensor | None = None,
    generator: torch.Generator | None = None,
    input_shape: Shape | None = None,
) -> nn.Module:
    """Exchange modules of a network in place and return it; itself one of those modules, return the new one.

    Args:
        network: changed in place; its device is kept. Learnt scales and shifts of normalisations are not carried
            over. Instance normalisation cannot be trained where maps are a single position.
        parts: what to exchange.
        sample: images that the network takes, for initialisation by ``lsuv``.
        generator: for initialisation; torch's global one by default.
        input_shape: (channels, height, width) of the images, for what looks at how maps go through the network:
            attention, stochastic depth, another head, maxout for each channel, and a normalisation or a dropout where
            there is none; by default that of the sample.

    Raises:
        InvalidInputError: nothing in the network can be exchanged as asked, ``lsuv`` without a sample, or the size of
            the images is needed and unknown.
    """
    if sample is not None and input_shape is None:
        _, *sizes = sample.shape
        input_shape = sizes[0], sizes[1], sizes[2]
    if parts.head is not None:
        average_globally(network, _flow(network, input_shape, "head"))
    looks = any(
        (parts.attention, parts.stochastic_depth, parts.normalization, parts.dropout, parts.activation == "maxout")
    )
    flow = watch_flow(network, input_shape) if looks and input_shape is not None else None
    if flow is None and (parts.attention or parts.stochastic_depth):
        flow = _flow(network, input_shape, "attention" if parts.attention else "stochastic_depth")
    network = _exchange(network, parts, flow)
    if parts.initialization is not None:
        initialize(network, parts.initialization, sample=sample, generator=generator)
    if parts.weight_normalization is not None:
        normalize_weights(network, parts.weight_normalization)
    return network


def _flow(network: nn.Module, input_shape: Shape | None, part: str) -> Flow:
    if input_shape is None:
        raise InvalidInputError(f"part {part!r} looks at the maps in a network: give the input_shape of its images.")
    return watch_flow(network, input_shape)


def _exchange(network: nn.Module, parts: Parts, flow: Flow | None) -> nn.Module:
    """Exchange everything but the head and the weights; what is put in between comes last, so that it stays whole."""
    attended = attention_places(network, flow) if parts.attention is not None and flow is not None else {}
    own_rates = bool(parts.stochastic_depth) and drops_branches(network)
    dropped = depth_places(network, flow) if parts.stochastic_depth and flow is not None and not own_rates else {}
    if parts.activation is not None or parts.dropblock:
        network = exchange_activations(
            network, parts.activation, dropblock=parts.dropblock, block_size=parts.dropblock_size, flow=flow
        )
    if parts.normalization is not None:
        network = exchange_normalizations(network, parts.normalization, flow)
    if parts.pooling is not None:
        network = exchange_poolings(network, parts.pooling)
    if parts.dropout is not None:
        set_dropout(network, parts.dropout, flow)
    if parts.dropconnect:
        network = exchange_linear_layers(network, parts.dropconnect)
    if parts.attention is not None:
        put_attention(network, attended, parts.attention)
    if own_rates:
        set_stochastic_depth(network, parts.stochastic_depth)
    put_depth(network, dropped, parts.stochastic_depth)
    return network
