"""What several operations of a cell do alike to the same tensor, done once while a network is trained.

Every operation of a NASNet-style cell begins with a ReLU of the state it reads or with a pooling of it, and a state is
read by several operations, a cell's output by two cells. The result is the same tensor, so it is computed once, and so
is its gradient: of n rectifications n - 1 are saved, forward and backward, and so is the memory that they keep.
Rectifications behind a normalisation, which nothing else reads, are done in place. Operations of tensors that are there
already are computed ahead of their turn where several together take less time, see `search_spaces.separable_chains`
and `search_spaces.joined_pointwise`.

In evaluation, and where somebody watches a layer by a hook, layers run one by one as they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import _has_any_global_hook

from search_spaces.fast_convolutions import suits
from search_spaces.joined_pointwise import PREFIX, Pointwise, is_worth_joining, pointwise_of, run_joined
from search_spaces.separable_chains import Chain, chain_of, is_worthwhile, run_side_by_side

_WINDOW = ("kernel_size", "stride", "padding", "ceil_mode")
# what can be shared -> the settings by which two of a kind may differ; where a ReLU puts its result makes none
_SETTINGS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.ReLU: (),
    nn.AvgPool2d: (*_WINDOW, "count_include_pad", "divisor_override"),
    nn.MaxPool2d: (*_WINDOW, "dilation", "return_indices"),
}


@dataclass(frozen=True, slots=True)
class Planned:
    """An operation that may be computed ahead.

    Attributes:
        operation: layers in a row.
        place: number of the tensor that it reads.
        what: all of it, or what it begins with.
    """

    operation: nn.Sequential
    place: int
    what: Chain | Pointwise

    @property
    def is_watched(self) -> bool:
        """Whether somebody watches any of its layers, or all layers that there are."""
        watched = _is_watched(self.operation) or any(map(_is_watched, self.operation))
        return watched or bool(_has_any_global_hook())  # type: ignore[no-untyped-call]

    @property
    def kind(self) -> Hashable:
        """What those have in common that can be computed together, of tensors of one shape."""
        return self.what.signature if isinstance(self.what, Chain) else (self.place, self.what.signature)


@final
class SharedLayers:
    """First layers of operations on the tensors of one forward pass, by the tensor they read."""

    def __init__(self) -> None:
        """Begin with nothing computed."""
        self._done: dict[int, dict[Hashable, Tensor]] = {}
        self._ahead: dict[int, tuple[Tensor, int]] = {}  # by an operation's identity: result, layers it stands for

    def run_ahead(self, planned: Sequence[Planned], tensors: Sequence[Tensor | None]) -> list[Planned]:
        """Compute what can be computed now and gains by company; return what waits for further tensors.

        Args:
            planned: operations, see `Plan`.
            tensors: by their numbers.
        """
        groups: dict[Hashable, list[Planned]] = {}
        for each in planned:
            if each.place < len(tensors) and (x := tensors[each.place]) is not None and suits(x):
                groups.setdefault((each.kind, x.shape), []).append(each)
        for group in groups.values():
            self._run_group([each for each in group if not each.is_watched], tensors)
        return [each for each in planned if each.place >= len(tensors)]

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
        if id(operation) in self._ahead:
            result, done = self._ahead.pop(id(operation))
        else:
            result, done = self._first(layers[0], x, place), 1
        for before, layer in pairwise(layers[done - 1 :]):
            if type(layer) is nn.ReLU and type(before) is nn.BatchNorm2d and not _is_watched(layer):
                result = functional.relu_(result)
            else:
                result = layer(result)
        return result

    def forget(self, place: int) -> None:
        """Give back the memory of a tensor that nothing reads any more."""
        self._done.pop(place, None)

    def _run_group(self, group: list[Planned], tensors: Sequence[Tensor | None]) -> None:
        if len(group) < 2:
            return
        read = [tensors[each.place] for each in group]
        inputs = [
            self._first(each.operation[0], x, each.place) for each, x in zip(group, read, strict=True) if x is not None
        ]
        chains = [each.what for each in group if isinstance(each.what, Chain)]
        parts = [each.what for each in group if isinstance(each.what, Pointwise)]
        if chains and is_worthwhile(chains, inputs[0]):
            results, layers = run_side_by_side(chains, inputs), len(group[0].operation)
        elif parts and is_worth_joining(inputs[0]):
            results, layers = run_joined(parts, inputs[0]), PREFIX
        else:
            return
        for each, result in zip(group, results, strict=True):
            self._ahead[id(each.operation)] = result, layers

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


class Plan:
    """Which operations of a cell may gain by being computed with others; found once, as long as the layers stay."""

    def __init__(self) -> None:
        """Know nothing of any layers yet."""
        self._layers: list[Any] = []
        self._planned: list[Planned] = []

    def of(self, operations: Sequence[tuple[nn.Module | None, int]]) -> list[Planned]:
        """Return those of the operations that have company: others of their kind.

        Args:
            operations: with the number of the tensor that each reads; None for no operation.
        """
        if not torch.is_grad_enabled():
            return []
        # fast convolutions are put in by changing the class of layers, and a normalisation can be set to evaluation
        layers = [(layer, type(layer), layer.training) for operation, _ in operations for layer in _layers(operation)]
        if layers != self._layers:
            self._layers, self._planned = layers, _with_company(operations)
        return self._planned


def _with_company(operations: Sequence[tuple[nn.Module | None, int]]) -> list[Planned]:
    found = []
    for operation, place in operations:
        if type(operation) is nn.Sequential and (what := _what(operation)) is not None:
            found.append(Planned(operation, place, what))
    counts = Counter(each.kind for each in found)
    return [each for each in found if counts[each.kind] > 1]


def _what(operation: nn.Sequential) -> Chain | Pointwise | None:
    layers = list(operation)
    return pointwise_of(layers) or chain_of(layers) if layers else None


def _layers(operation: nn.Module | None) -> Iterable[nn.Module]:
    return () if operation is None else operation._modules.values() or (operation,)  # type: ignore[return-value]


def _kind(layer: nn.Module) -> Hashable:
    """Return what two layers have in common that compute the same."""
    return type(layer), *(getattr(layer, name) for name in _SETTINGS[type(layer)])


def _is_watched(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)
