"""What a network does in evaluation, as a tree of calls: which module calls which, with which tensors.

Every call of a module gets inputs and outputs of its own, so that each can be written down as a method by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from nas.errors import InvalidInputError, NASError

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
UNCHANGED_IN_EVALUATION = ("StochasticDepth", "DropPath")


@dataclass(slots=True)
class Input:
    """A tensor that a call takes: its name there, whether it comes in a list, the node inside and the one outside."""

    name: str
    listed: bool
    inner: fx.Node
    outer: fx.Node


@dataclass(slots=True)
class Output:
    """A tensor that a call returns: the node inside, and the one outside."""

    inner: fx.Node
    outer: fx.Node


@dataclass(slots=True)
class Call:
    """A call of a module: what it is, what goes in and out, and the nodes and calls it is made of, in order."""

    path: str
    module: nn.Module
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    items: list[fx.Node | Call] = field(default_factory=list)

    def calls(self) -> Iterator[Call]:
        """Yield this call and all inside it, inner ones first."""
        for item in self.items:
            if isinstance(item, Call):
                yield from item.calls()
        yield self


def trace(network: nn.Module) -> Call:
    """Return a network's calls in evaluation; the network must be in that mode.

    Raises:
        InvalidInputError: what it does depends on the values of tensors, or cannot be followed for another reason.
    """
    tracer = _CallTracer()
    try:
        tracer.trace(network)
    except NASError:
        raise
    except Exception as error:  # a user's own forward, given no numbers, may raise anything
        reason = " ".join(str(error).split()).split(". ")[0][:150]
        raise InvalidInputError(
            f"{type(network).__name__} cannot be written as Python: torch.fx cannot follow its forward ({reason}). "
            f"Use --format torch-export or --format onnx."
        ) from error
    _drop_unused(tracer.root_call)
    return tracer.root_call


def base_layer(module: nn.Module) -> type[nn.Module] | None:
    """Return the layer of torch that a module is, or computes like; None for a module made of others."""
    for kind in type(module).__mro__:
        if kind.__module__.startswith("torch.nn") and kind is not nn.Module:
            same = _forward_of(type(module)) is _forward_of(kind)
            return cast(type[nn.Module], kind) if same and not issubclass(kind, _CONTAINERS) else None
    return None


def _forward_of(kind: type) -> Any:
    return getattr(kind, "forward", None)


def is_plain_sequential(module: nn.Module) -> bool:
    """Return whether a module is layers in a row, under their numbers."""
    numbered = [name for name, _ in module.named_children()] == [str(i) for i in range(len(list(module.children())))]
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward and numbered


def _alias(value: Any) -> Any:
    """Stand for a value on the other side of a call."""
    return value


class _CallTracer(fx.Tracer):
    """Follows a network and keeps the calls as a tree."""

    proxy_buffer_attributes = True

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(torch.nn.functional.scaled_dot_product_attention,))
        self._open: list[Call] = []
        self.root_call: Call

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        """Follow the network."""
        self.root_call = Call("", root)
        self._open = [self.root_call]
        self._skipped = _left_out(root)
        return super().trace(root, concrete_args)

    def create_node(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """Add the node to the call that is being followed."""
        node = super().create_node(kind, target, *args, **kwargs)
        call = self._open[-1]
        if kind == "placeholder":
            call.inputs.append(Input(str(target), False, node, node))
        elif kind == "output":
            found = [leaf for leaf in pytree.tree_leaves(node.args[0]) if isinstance(leaf, fx.Node)]
            call.outputs = [Output(leaf, leaf) for leaf in found]
        elif target is not _alias and kind != "get_attr":
            call.items.append(node)
        return node

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Follow a module into its own call; layers of torch stay whole."""
        if m in self._skipped or type(m).__name__ in UNCHANGED_IN_EVALUATION:
            return args[0]
        if base_layer(m) is not None:
            proxy = self.create_proxy("call_module", self.path_of_module(m), args, kwargs)
            proxy.node.meta["writes"] = bool(getattr(m, "inplace", False))
            return proxy
        call = Call(self.path_of_module(m), m)
        bound = inspect.signature(m.forward).bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            leaves, structure = pytree.tree_flatten(value)
            listed = len(leaves) != 1 or leaves[0] is not value
            bound.arguments[name] = pytree.tree_unflatten(
                [self._take(call, name, leaf, listed=listed) for leaf in leaves], structure
            )
        self._open[-1].items.append(call)
        self._open.append(call)
        leaves, structure = pytree.tree_flatten(forward(*bound.args, **bound.kwargs))
        for leaf in leaves:
            if isinstance(leaf, fx.Proxy):
                _ = leaf.node  # an attribute, as .values of a maximum, gets its node when asked: inside this call
        self._open.pop()
        return pytree.tree_unflatten([self._give(call, leaf) for leaf in leaves], structure)

    def _take(self, call: Call, name: str, value: Any, *, listed: bool) -> Any:
        if not isinstance(value, fx.Proxy):
            return value
        inner = self.create_proxy("call_function", _alias, (value,), {})
        call.inputs.append(Input(name, listed, inner.node, value.node))
        return inner

    def _give(self, call: Call, value: Any) -> Any:
        if not isinstance(value, fx.Proxy):
            return value
        outer = self.create_proxy("call_function", _alias, (value,), {})
        call.outputs.append(Output(value.node, outer.node))
        return outer


def _left_out(root: nn.Module) -> set[nn.Module]:
    """Return layers that do nothing and whose absence changes no other module's code."""
    direct = [child for child in root.children() if _does_nothing(child)] if not _is_row(root) else []
    lists = [module for module in root.modules() if isinstance(module, nn.ModuleList)]
    whole = [list(found) for found in lists if all(isinstance(child, nn.Identity) for child in found)]
    return {*direct, *(child for children in whole for child in children)}


def _is_row(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential)


def _does_nothing(module: nn.Module) -> bool:
    return isinstance(module, nn.Identity) or (isinstance(module, nn.Dropout) and module.p == 0)


def _drop_unused(call: Call, used: set[fx.Node] | None = None) -> None:
    """Take out of a call what its outputs do not need; a call of which nothing is needed is kept for its class."""
    if used is not None and any(output.outer in used for output in call.outputs):
        call.outputs = [output for output in call.outputs if output.outer in used]
    needed = {output.inner for output in call.outputs}
    kept: list[fx.Node | Call] = []
    for item in reversed(call.items):
        if isinstance(item, Call):
            live = any(output.outer in needed for output in item.outputs)
            _drop_unused(item, needed if live else None)
            needed.update(taken.outer for taken in item.inputs if live)
            kept.append(item)
        elif item in needed or _writes(item):
            needed.update(item.all_input_nodes)
            kept.append(item)
    call.items = kept[::-1]
    call.inputs = [taken for taken in call.inputs if taken.inner in needed]


def _writes(node: fx.Node) -> bool:
    """Return whether a node changes a tensor in place."""
    if node.op == "call_module":
        return bool(node.meta["writes"])
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name.endswith("_") and not name.endswith("__")
