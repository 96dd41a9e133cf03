"""What several operations of a cell do alike to the same tensor, done once while a network is trained.

Every operation of a NASNet-style cell begins with a ReLU of the state it reads or with a pooling of it, and a state is
read by several operations, a cell's output by two cells. The result is the same tensor, so it is computed once, and so
is its gradient: of n rectifications n - 1 are saved, forward and backward, and so is the memory that they keep.
Rectifications behind a normalisation, which nothing else reads, are done in place.

In evaluation, and where somebody watches a layer by a hook, layers run one by one as they stand.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise
from typing import final

from torch import Tensor, nn
from torch.nn import functional

_WINDOW = ("kernel_size", "stride", "padding", "ceil_mode")
# what can be shared -> the settings by which two of a kind may differ; where a ReLU puts its result makes none
_SETTINGS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.ReLU: (),
    nn.AvgPool2d: (*_WINDOW, "count_include_pad", "divisor_override"),
    nn.MaxPool2d: (*_WINDOW, "dilation", "return_indices"),
}


@final
class SharedLayers:
    """First layers of operations on the tensors of one forward pass, by the tensor they read."""

    def __init__(self) -> None:
        """Begin with nothing computed."""
        self._done: dict[int, dict[Hashable, Tensor]] = {}

    def run(self, operation: nn.Module, x: Tensor, *, place: int) -> Tensor:
        """Return what an operation makes of a tensor, with its first layer computed once for all that begin with it.

        Args:
            operation: a layer, or layers in a row.
            x: what it reads.
            place: number of that tensor, the same whenever it is read.
        """
        if not isinstance(operation, nn.Sequential):
            return self._first(operation, x, place)
        layers = list(operation)
        result = self._first(layers[0], x, place)
        for before, layer in pairwise(layers):
            if type(layer) is nn.ReLU and type(before) is nn.BatchNorm2d and not _is_watched(layer):
                result = functional.relu_(result)
            else:
                result = layer(result)
        return result

    def forget(self, place: int) -> None:
        """Give back the memory of a tensor that nothing reads any more."""
        self._done.pop(place, None)

    def _first(self, layer: nn.Module, x: Tensor, place: int) -> Tensor:
        if type(layer) not in _SETTINGS or _is_watched(layer):
            result: Tensor = layer(x)
            return result
        done = self._done.setdefault(place, {})
        kind = _kind(layer)
        if kind not in done:
            # a ReLU that is set in place would change what other operations read
            done[kind] = functional.relu(x) if type(layer) is nn.ReLU else layer(x)
        return done[kind]


def _kind(layer: nn.Module) -> Hashable:
    """Return what two layers have in common that compute the same."""
    return type(layer), *(getattr(layer, name) for name in _SETTINGS[type(layer)])


def _is_watched(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)
