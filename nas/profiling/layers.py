"""What a profile holds: the tree of a network's layers in the order of execution, and what each costs for one image.

**Activations** are the values that one image makes a network write anew: the image itself, and what convolutions,
linear layers and poolings give. Activation functions, normalisations, dropout and sums can overwrite what they read,
and reshaping writes nothing: none of them counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

INPUT = "input"
MOST = 0.8  # share of a network that is the network, wrapped
OWN = "(functions)"  # what a module computes itself, beside the modules in it


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer, or everything in it, costs for one image.

    Attributes:
        params: trainable parameters, counted where they are used first.
        macs: multiply-accumulates of convolutions and linear layers, padding taps counted.
        attention_macs: those of other products of two things that depend on the image.
        activations: values written anew.
        activation_bytes: what those take.
    """

    params: int = 0
    macs: int = 0
    attention_macs: int = 0
    activations: int = 0
    activation_bytes: int = 0

    def __add__(self, other: Self) -> Self:
        """Return the cost of both together."""
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        return type(self)(**sums)

    @property
    def is_nothing(self) -> bool:
        """Whether nothing at all is spent."""
        return self == Cost()

    def to_json(self) -> dict[str, int]:
        """Return a JSON-ready dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Layer:
    """One run of a module: of a leaf, or of a module with others in it.

    Attributes:
        name: path in the network; empty for the network itself.
        type: class name.
        output_shape: of the first tensor that it gives, without the batch; empty where it gives none or never ran.
        cost: everything in it together.
        parts: what ran in it, in order; empty for a leaf.
        opened: whether a table shows its parts rather than itself where nobody says how deep to go.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    cost: Cost
    parts: tuple[Layer, ...] = ()
    opened: bool = False

    def leaves(self) -> Iterator[Layer]:
        """Return what has nothing in it, in the order of execution."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def rows(self, depth: int, *, blocks: bool) -> Iterator[Layer]:
        """Return a table's rows: levels of modules down to `depth`, where `blocks` says so no deeper than blocks."""
        if not self.parts or depth == 0 or (blocks and not self.opened):
            yield self
            return
        for part in self.parts:
            yield from part.rows(depth - 1, blocks=blocks)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; the parts are not in it."""
        return {"name": self.name, "type": self.type, "output_shape": list(self.output_shape), **self.cost.to_json()}


def input_layer(shape: tuple[int, ...], bytes_each: int) -> Layer:
    """Return the row of the image."""
    values = math.prod(shape)
    return Layer(INPUT, "Input", shape, Cost(activations=values, activation_bytes=values * bytes_each))


def open_blocks(network: Layer, containers: frozenset[str]) -> Layer:
    """Return a network's tree in which it is marked what a table shows the parts of.

    That is the network itself, plain containers, and whatever costs most of all, such as a wrapped network.

    Args:
        network: the tree.
        containers: class names that only hold others.
    """

    def mark(layer: Layer) -> Layer:
        share = max(layer.cost.macs / max(1, network.cost.macs), layer.cost.params / max(1, network.cost.params))
        opened = bool(layer.parts) and (layer.type in containers or share > MOST)
        return replace(layer, parts=tuple([mark(part) for part in layer.parts]), opened=opened)

    return replace(mark(network), opened=True)
