"""What modules of a network take and give, and where maps are added or joined: one run, watched, without weights.

Where attention and stochastic depth belong depends on what is added to what, which the tree of modules does not say.
The run is in evaluation mode and needs shapes only, as that of `nas.profiling.trace`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nas.profiling.trace import evaluation_mode, without_contents
from search_spaces.counting import CONVOLUTIONS, PRODUCTS, plain_operators, tensors_in

aten = torch.ops.aten
IMAGES = 2  # a batch of one is the special case of some networks
MAP = 4  # dimensions of a batch of maps; a batch of tokens has one less
Shape = tuple[int, ...]


@dataclass(slots=True)
class Flow:
    """What one run showed.

    Attributes:
        inputs, outputs: shape of the first tensor that a module took and gave, at its last call.
        calls: how often each module ran.
        givers: of a layer's input, the layer that gave it; layers are modules without modules in them.
        layers: those that ran, in their order.
        branches: modules whose results are added to something that fewer weight layers of the same module are behind,
            one tuple for each addition; two of them where both sides have equally many.
        joints: modules that concatenate maps over channels.
    """

    inputs: dict[nn.Module, Shape] = field(default_factory=dict)
    outputs: dict[nn.Module, Shape] = field(default_factory=dict)
    calls: Counter[nn.Module] = field(default_factory=Counter)
    givers: dict[nn.Module, nn.Module] = field(default_factory=dict)
    layers: list[nn.Module] = field(default_factory=list)
    branches: list[tuple[nn.Module, ...]] = field(default_factory=list)
    joints: list[nn.Module] = field(default_factory=list)

    def runs_once(self, module: nn.Module) -> bool:
        """Return whether a module ran, and not at several places."""
        return self.calls[module] == 1


@dataclass(slots=True)
class _Call:
    """A module that runs: what is known of tensors that came to be in it, by their identity.

    Attributes:
        module: that runs.
        work: most weight layers, one behind the other, between what the module was given and a tensor.
        givers: of its modules the one that gave a tensor, but for what changed no shape since.
        products: weight layers that ran so far, also within its modules.
    """

    module: nn.Module
    work: dict[int, int] = field(default_factory=dict)
    givers: dict[int, nn.Module] = field(default_factory=dict)
    products: int = 0


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """Fills a flow while a network runs."""

    def __init__(self, root: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flow = Flow()
        self._stack = [_Call(root)]
        self._kept: list[Tensor] = []  # a tensor that is gone would leave its identity to another one
        self._layers: dict[int, nn.Module] = {}

    def enter(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Note that a module starts, and what it is given."""
        given = next(tensors_in(arguments), None)
        self.flow.calls[module] += 1
        if given is not None:
            self.flow.inputs[module] = tuple(given.shape)
        if given is not None and id(given) in self._layers:
            self.flow.givers[module] = self._layers[id(given)]
        self._stack.append(_Call(module))

    def leave(self, module: nn.Module, arguments: tuple[Any, ...], output: object) -> None:
        """Note what a module gave, and how many weight layers are behind that in the module around it."""
        inner, outer = self._stack.pop(), self._stack[-1]
        is_layer = next(module.children(), None) is None
        outer.products += inner.products
        before = max((outer.work.get(id(tensor), 0) for tensor in tensors_in(arguments)), default=0)
        if is_layer:
            self.flow.layers.append(module)
        given = list(tensors_in((output,)))
        if given:
            self.flow.outputs[module] = tuple(given[0].shape)
        for tensor in given:
            self._kept.append(tensor)
            outer.work[id(tensor)] = before + inner.products
            outer.givers[id(tensor)] = module
            if is_layer:
                self._layers[id(tensor)] = module

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        """Run an operator; note its weight layer, its addition, and whose result its own one is."""
        packet, call = operator.overloadpacket, self._stack[-1]
        given = list(tensors_in((*arguments, *(named or {}).values())))
        if packet in (aten.add, aten.add_) and len(given) == 2 and given[0].shape == given[1].shape:
            self._note_addition(call, given)
        elif packet is aten.cat and _joins_channels(given, arguments):
            self.flow.joints.append(call.module)
        work = max((call.work.get(id(tensor), 0) for tensor in given), default=0)
        shown = [call.givers.get(id(tensor)) for tensor in given if call.work.get(id(tensor), 0)]
        giver = shown[0] if len(shown) == 1 else None
        result = operator(*arguments, **(named or {}))
        product = packet in CONVOLUTIONS or packet in PRODUCTS
        call.products += product
        for tensor in tensors_in((result,)):
            self._kept.append(tensor)
            call.work[id(tensor)] = work + product
            call.givers.pop(id(tensor), None)
            if giver is not None and any(tensor.shape == other.shape for other in given):
                call.givers[id(tensor)] = giver
        return result

    def _note_addition(self, call: _Call, given: list[Tensor]) -> None:
        work = [call.work.get(id(tensor), 0) for tensor in given]
        deepest = [tensor for tensor, count in zip(given, work, strict=True) if count == max(work)]
        if given[0].dim() < MAP - 1 or not max(work):
            return
        found = dict.fromkeys(call.givers[id(tensor)] for tensor in deepest if id(tensor) in call.givers)
        if found:
            self.flow.branches.append(tuple(found))


def _joins_channels(given: list[Tensor], arguments: tuple[Any, ...]) -> bool:
    dimension = arguments[1] if len(arguments) > 1 else 0
    return len(given) > 1 and all(tensor.dim() == MAP for tensor in given) and dimension in (1, 1 - MAP)


def watch_flow(network: nn.Module, input_shape: tuple[int, int, int]) -> Flow:
    """Run a network on images without contents and return what its modules took and gave.

    Args:
        network: any module that takes (batch, channels, height, width); left as it was.
        input_shape: (channels, height, width).

    Raises:
        Exception: whatever the network raises.
    """

    def run(parameters: dict[str, nn.Parameter]) -> Flow:
        first = next(iter(parameters.values()), torch.zeros(()))
        images = torch.zeros(IMAGES, *input_shape, device=first.device)
        watch = _Watch(network)
        with _hooks(network, watch), watch:
            network(images)
        return watch.flow

    with plain_operators(), evaluation_mode(network):
        return without_contents(network, run)


@contextmanager
def _hooks(network: nn.Module, watch: _Watch) -> Iterator[None]:
    with ExitStack() as stack:
        for module in network.modules():
            stack.callback(module.register_forward_pre_hook(watch.enter).remove)
            stack.callback(module.register_forward_hook(watch.leave).remove)
        yield
