"""A network, run once and watched: which module computed what.

The run needs shapes only: the weights are swapped for ones without contents, which takes no memory and hardly any
time. A network that reads the contents of a tensor is run as it is. In both cases it is left as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from nas.errors import InvalidInputError, NASError
from nas.profiling.layers import OWN, Cost, Layer, input_layer, open_blocks
from search_spaces.counting import MacCounter, ProductKind, plain_operators, tensors_in

CONTAINERS = frozenset({"Sequential", "ModuleList", "ModuleDict"})
UNUSED = "(not used)"
T = TypeVar("T")
aten = torch.ops.aten
LAYER_OPERATORS = frozenset({aten.convolution, aten._convolution, aten.mm, aten.addmm, aten.bmm, aten.baddbmm})


@dataclass(slots=True)
class Call:
    """A module while it runs: what was computed in it so far.

    Attributes:
        name: path of the module.
        type: class name of the module.
        own: cost of what it computed itself.
        parts: finished runs of modules in it.
    """

    name: str
    type: str
    own: Cost = field(default_factory=Cost)
    parts: list[Layer] = field(default_factory=list)

    def finish(self, output: object) -> Layer:
        """Return the finished layer."""
        shape = _output_shape(output)
        if not self.parts:
            return Layer(self.name, self.type, shape, self.own)
        parts = list(self.parts)
        if not self.own.is_nothing:
            parts.append(Layer(f"{self.name}.{OWN}".lstrip("."), self.type, shape, self.own))
        return Layer(self.name, self.type, shape, sum((part.cost for part in parts), Cost()), tuple(parts))


class Trace:
    """Collects the calls of one run; the innermost running module pays for what is computed."""

    def __init__(self, network: nn.Module, parameters: dict[str, nn.Parameter]) -> None:
        """Prepare for one run.

        Args:
            network: what runs.
            parameters: the tensors that it runs with, by name; those that need a gradient are counted.
        """
        self._names = {module: name for name, module in network.named_modules()}
        self._stack = [Call("", type(network).__name__)]
        self._unpaid = {id(p): (name, p) for name, p in parameters.items() if p.requires_grad}

    def enter(self, module: nn.Module, arguments: object) -> None:
        """Note that a module starts."""
        self._stack.append(Call(self._names[module], type(module).__name__))

    def leave(self, module: nn.Module, arguments: object, output: object) -> None:
        """Note that the innermost module has ended."""
        layer = self._stack.pop().finish(output)
        self._stack[-1].parts.append(layer)

    def pay(self, cost: Cost) -> None:
        """Charge the innermost module."""
        self._stack[-1].own += cost

    def pay_product(self, kind: ProductKind, macs: int) -> None:
        """Charge the innermost module for a product."""
        self.pay(Cost(macs=macs) if kind == "layer" else Cost(attention_macs=macs))

    def pay_parameters(self, used: Iterator[Tensor]) -> None:
        """Charge the innermost module for the parameters that are used for the first time."""
        for tensor in used:
            if id(tensor) in self._unpaid:
                self.pay(Cost(params=self._unpaid.pop(id(tensor))[1].numel()))

    def finish(self) -> Layer:
        """Return the network's layer; parameters that were never used are its last part."""
        (outer,) = self._stack
        (network,) = outer.parts
        weights = [Layer(name, type(p).__name__, (), Cost(params=p.numel())) for name, p in self._unpaid.values()]
        if not weights:
            return network
        unused = Layer(UNUSED, "", (), sum((weight.cost for weight in weights), Cost()), tuple(weights))
        parts = network.parts or (Layer(OWN, network.type, network.output_shape, network.cost),)
        return Layer("", network.type, network.output_shape, network.cost + unused.cost, (*parts, unused))


class _OperatorWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """Tells a trace of every operator's parameters and of the values that layers and poolings write."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._trace = trace

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        named = named or {}
        result = operator(*arguments, **named)
        self._trace.pay_parameters(tensors_in((*arguments, *named.values())))
        if _writes_activations(operator, arguments, result):
            written = next(tensors_in((result,)))  # a pooling's second result is where the maxima were
            bytes_ = written.numel() * written.element_size()
            self._trace.pay(Cost(activations=written.numel(), activation_bytes=bytes_))
        return result


def _writes_activations(operator: Any, arguments: tuple[Any, ...], result: object) -> bool:
    packet = operator.overloadpacket
    if packet in LAYER_OPERATORS:
        return True
    if "pool3d" in packet.__name__:  # how torch adds up neighbouring channels for local response normalisation
        return False
    if "pool" in packet.__name__:  # an adaptive one to the size that is there does nothing
        return "adaptive" not in packet.__name__ or next(tensors_in((result,))).shape != arguments[0].shape
    if packet is not aten.mean or len(arguments) < 2 or arguments[0].dim() != 4:  # torch's global average pooling
        return False
    return {dim % 4 for dim in arguments[1] or ()} == {2, 3}


def trace_network(network: nn.Module, input_shape: tuple[int, int, int]) -> Layer:
    """Run a network on one image in evaluation mode and return the tree of its layers, the image first.

    Args:
        network: any module that takes (batch, channels, height, width); left as it was.
        input_shape: (channels, height, width).

    Raises:
        InvalidInputError: torch's lazy layers have no weights yet.
        Exception: whatever the network raises.
    """

    def run(parameters: dict[str, nn.Parameter]) -> Layer:
        first = next(iter(parameters.values()), torch.zeros(()))
        images = torch.zeros(1, *input_shape, device=first.device)
        trace = Trace(network, parameters)
        with _hooks(network, trace), _OperatorWatch(trace), MacCounter(images, trace.pay_product):
            network(images)
        layer = trace.finish()
        image = input_layer(input_shape, images.element_size())
        parts = layer.parts or (layer,)
        whole = Layer("", layer.type, layer.output_shape, image.cost + layer.cost, (image, *parts))
        return open_blocks(whole, CONTAINERS)

    with plain_operators(), evaluation_mode(network):
        return without_contents(network, run)


def without_contents(network: nn.Module, run: Callable[[dict[str, nn.Parameter]], T]) -> T:
    """Return what `run` gives while the weights have shapes and no contents; if it fails so, with the true ones.

    Torch's global generator is left as it was.

    Args:
        network: given other weights for the time.
        run: takes the parameters that the network has then, by name.

    Raises:
        InvalidInputError: torch's lazy layers have no weights yet.
    """
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise InvalidInputError(
            f"a layer of this {type(network).__name__} has no weights yet: run it once on images, then profile it."
        )
    with torch.random.fork_rng(devices=[]):
        try:
            with _emptied(network), torch.device("meta"):
                return run(dict(network.named_parameters()))
        except NASError:
            raise
        except Exception:  # anything may go wrong in code that others wrote; the real run shows whether it is an error
            return run(dict(network.named_parameters()))


@contextmanager
def _emptied(network: nn.Module) -> Iterator[None]:
    """Swap every weight and buffer for one without contents, shared ones for shared ones, and back at the end.

    Not by `torch.func.functional_call`, which gives a module that is used under two names its weights not back.
    """
    kept: list[tuple[nn.Module, str, Tensor]] = []
    for module in network.modules():
        kept += [(module, name, p) for name, p in module.named_parameters(recurse=False, remove_duplicate=False)]
        kept += [(module, name, b) for name, b in module.named_buffers(recurse=False, remove_duplicate=False)]
    empty = {id(tensor): _empty(tensor) for _, _, tensor in kept}
    try:
        for module, name, tensor in kept:
            setattr(module, name, empty[id(tensor)])  # as an attribute: recurrent layers keep a list of theirs
        yield
    finally:
        for module, name, tensor in kept:
            setattr(module, name, tensor)


def _empty(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    return nn.Parameter(empty, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation, and every module back to the mode that it was in."""
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


@contextmanager
def _hooks(network: nn.Module, trace: Trace) -> Iterator[None]:
    with ExitStack() as stack:
        for module in network.modules():
            stack.callback(module.register_forward_pre_hook(trace.enter).remove)
            stack.callback(module.register_forward_hook(trace.leave).remove)
        yield


def _output_shape(output: object) -> tuple[int, ...]:
    first = next(tensors_in((output,)), None)
    return tuple(first.shape[1:]) if first is not None else ()
