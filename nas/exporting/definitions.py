"""All classes and functions that write one network, in the order in which they are needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from nas.errors import InvalidInputError
from nas.exporting.classes import (
    CHANNELS,
    MOST_MODULE_ARGUMENTS,
    Column,
    arguments_of,
    class_name,
    function_name,
    generalise,
    layer_tokens,
)
from nas.exporting.forward import ForwardCode, write_forward
from nas.exporting.tracing import Call, base_layer, is_plain_sequential
from nas.exporting.values import Argument, Make, Row, layer_value

NETWORK = "Network"
CONSTANTS = "forward"
RESERVED = ("self", "torch", "nn", "functional", "layer")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a constructor; a default of `REQUIRED` is none. `values` are those of all instances."""

    name: str
    default: Any
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """A class, or a function that makes layers in a row.

    Attributes:
        name: of the class or function.
        parameters: of its constructor.
        body: what it makes: a `Row` by attribute, or a function's layers.
        module: one of the modules that it writes; None for a function.
        code: of ``forward``; None for a function, and where it is never called.
    """

    name: str
    parameters: tuple[Parameter, ...]
    body: Row
    module: nn.Module | None = None
    code: ForwardCode | None = None


@dataclass(frozen=True, slots=True)
class _Instance:
    path: str
    module: nn.Module
    name: str
    body: Row
    code: ForwardCode | None


def define(network: nn.Module, root: Call, sample: Tensor) -> list[Definition]:
    """Return what writes a network, which itself comes last, as the class `NETWORK`.

    Args:
        network: in evaluation mode.
        root: its calls.
        sample: images that it takes.
    """
    return _Definer(network, root, sample).run()


@dataclass(slots=True)
class _Found:
    definitions: list[Definition] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)  # by path: what makes that module
    names: set[str] = field(default_factory=lambda: {NETWORK, "Tensor"})


class _Definer:
    def __init__(self, network: nn.Module, root: Call, sample: Tensor) -> None:
        self._network = network
        self._calls: dict[str, list[Call]] = defaultdict(list)
        for call in root.calls():
            self._calls[call.path].append(call)
        self._codes: dict[int, ForwardCode] = {}
        for call in root.calls():
            self._codes[id(call)] = write_forward(call, self._codes, network)
        self._modules = dict(network.named_modules(remove_duplicate=False))
        self._called = _called_paths(root)
        self._prefixes = _cell_kinds(network, sample)
        self._found = _Found()

    def run(self) -> list[Definition]:
        """Define functions for layers in a row, then the classes of inner modules before those of outer ones."""
        self._define_functions()
        composites = [path for path, module in self._modules.items() if path and self._is_composite(path, module)]
        while composites:
            ready = [path for path in composites if not any(other.startswith(f"{path}.") for other in composites)]
            types = {type(self._modules[path]) for path in ready}
            waiting = {type(self._modules[path]) for path in composites if path not in ready}
            chosen = [path for path in ready if type(self._modules[path]) in types - waiting] or ready
            self._define_classes([path for path in composites if path in set(chosen)])
            composites = [path for path in composites if path not in self._found.made]
        root = self._instance("")
        self._found.definitions.append(Definition(NETWORK, (), root.body, self._network, root.code))
        return self._found.definitions

    def _is_composite(self, path: str, module: nn.Module) -> bool:
        above = path
        while above:  # inside a layer of torch nothing is written
            above = above.rpartition(".")[0]
            if above and base_layer(self._modules[above]) is not None:
                return False
        if base_layer(module) is not None or type(module) in (nn.ModuleList, nn.ModuleDict):
            return False
        if is_plain_sequential(module) and all(_passes_on(call) for call in self._calls[path]):
            return False
        return path in self._called or bool(module.state_dict())

    def _define_functions(self) -> None:
        groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for path, module in self._modules.items():
            if path and is_plain_sequential(module) and not self._is_composite(path, module):
                row = self._value(path, module, shallow=True)
                tokens = layer_tokens(row) if isinstance(row, Row) else None
                if tokens and len(tokens) > 1:
                    groups[tokens].append(path)
        for tokens, paths in groups.items():
            if len(paths) > 1:
                rows = [self._value(path, self._modules[path]) for path in paths]
                self._define(function_name(tokens), paths, rows, None, None)

    def _define_classes(self, paths: Sequence[str]) -> None:
        groups: dict[tuple[Any, ...], list[_Instance]] = defaultdict(list)
        for path in paths:
            instance = self._instance(path)
            lines = (instance.code.parameters, instance.code.lines) if instance.code else None
            groups[instance.name, type(instance.module), lines, instance.body.keys].append(instance)
        for (name, *_), instances in groups.items():
            for cluster in sorted(_clusters(instances), key=len, reverse=True):  # the commonest gets the plain name
                bodies = [instance.body for instance in cluster]
                self._define(name, [i.path for i in cluster], bodies, cluster[0].module, cluster[0].code)

    def _define(
        self,
        name: str,
        paths: Sequence[str],
        bodies: Sequence[Row],
        module: nn.Module | None,
        code: ForwardCode | None,
    ) -> None:
        """Add one definition, and remember how each of the modules is made by it."""
        name = self._free_name(name)
        known = _known_values([self._modules[path] for path in paths]) if module is not None else {}
        open_names = CHANNELS if module is None else ()
        body, columns = generalise(bodies, reserved=RESERVED, known=known, open_names=open_names)
        parameters = tuple(Parameter(*found) for found in arguments_of(columns))
        for i, path in enumerate(paths):
            arguments = [Argument(p.name, p.values[i], p.default) for p in parameters]
            self._found.made[path] = Make(name, tuple(arguments))
        self._found.definitions.append(Definition(name, parameters, body, module, code))

    def _free_name(self, name: str) -> str:
        number, found = 1, name
        while found in self._found.names:
            number += 1
            found = f"{name}{'_' if name.islower() else ''}{number}"
        self._found.names.add(found)
        return found

    def _instance(self, path: str) -> _Instance:
        """Return a module with what it makes, by attribute; the numbers of its ``forward`` are the last of these."""
        module, codes = self._modules[path], [self._codes[id(call)] for call in self._calls[path]]
        if any(code != codes[0] for code in codes):
            raise InvalidInputError(
                f"{path} does different things each time it is called: this cannot be written as Python. "
                f"Use --format torch-export or --format onnx."
            )
        code = codes[0] if codes else None
        made = {**_own_tensors(module), **self._children(path, module)}
        numbers = code.constants if code else ()
        made[CONSTANTS] = Row("", tuple(numbers), tuple(f"value{i}" for i in range(len(numbers))))
        attribute = [part for part in path.split(".") if not part.isdigit()][-1:] or [""]
        name = f"{self._prefixes.get(path, '')}{class_name(module, attribute[0])}"
        return _Instance(path, module, name, Row("", tuple(made.values()), tuple(made)), code)

    def _children(self, path: str, module: nn.Module) -> dict[str, Any]:
        """Return what makes the modules in a module; those that do nothing are left out where no number shifts."""
        children = {
            name: self._modules[_join(path, name)] for name, child in module._modules.items() if child is not None
        }
        numbered = isinstance(module, nn.Sequential | nn.ModuleList)
        return {
            name: self._value(_join(path, name), child)
            for name, child in children.items()
            if (numbered and name.isdigit()) or _join(path, name) in self._called or child.state_dict()
        }

    def _value(self, path: str, module: nn.Module, *, shallow: bool = False) -> Any:
        if path in self._found.made:
            return self._found.made[path]
        if base_layer(module) is not None:
            return layer_value(module)
        if type(module) in (nn.ModuleList, nn.ModuleDict) or is_plain_sequential(module):
            if shallow and any(base_layer(child) is None for child in module.children()):
                return None
            items = [self._value(_join(path, name), child) for name, child in module.named_children()]
            keys = tuple(name for name, _ in module.named_children())
            kind = "Sequential" if isinstance(module, nn.Sequential) else type(module).__name__
            return Row(f"nn.{kind}", tuple(items), keys)
        return Make("nn.Identity", ())


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _called_paths(root: Call) -> set[str]:
    """Return the paths of all modules that are called, or hold one that is."""
    found: set[str] = set()
    for call in root.calls():
        found.add(call.path)
        found.update(str(node.target) for node in call.items if isinstance(node, fx.Node) and node.op == "call_module")
    return {".".join(path.split(".")[:i]) for path in found for i in range(1, path.count(".") + 2)}


def _passes_on(call: Call) -> bool:
    """Return whether a call hands one tensor from each layer to the next, as a sequence does."""
    if len(call.inputs) != 1 or len(call.outputs) != 1:
        return False
    value = call.inputs[0].inner
    for item in call.items:
        if isinstance(item, Call):
            if [taken.outer for taken in item.inputs] != [value] or len(item.outputs) != 1:
                return False
            value = item.outputs[0].outer
        elif list(item.args) != [value] or item.op != "call_module":
            return False
        else:
            value = item
    return call.outputs[0].inner is value


def _own_tensors(module: nn.Module) -> dict[str, Any]:
    """Return what makes the parameters and buffers that a module has of its own."""
    state = module.state_dict().keys()
    found: dict[str, Any] = {}
    for name, parameter in module._parameters.items():
        if parameter is not None:
            found[name] = Make("nn.Parameter", (Argument("data", _empty(name, parameter)),))
    for name, buffer in module._buffers.items():
        if buffer is not None and name in state:
            found[name] = Make("buffer", (Argument("data", _empty(name, buffer)),))
    return found


def _empty(name: str, tensor: Tensor) -> Make:
    size = tuple(Argument(f"{name}_size", length) for length in tensor.shape)
    if not size:
        size = (Argument("size", ()),)
    kind = () if tensor.dtype == torch.float32 else (Argument("dtype", _Name(str(tensor.dtype)), None),)
    return Make("torch.zeros", (*size, *kind))


@dataclass(frozen=True, slots=True)
class _Name:
    text: str

    def __repr__(self) -> str:
        return self.text


def _known_values(modules: Sequence[nn.Module]) -> dict[tuple[Any, ...], str]:
    """Return how modules themselves call numbers that differ between them."""
    found: dict[tuple[Any, ...], str] = {}
    for name in vars(modules[0]):
        values = [vars(module).get(name) for module in modules]
        if all(type(value) in (int, float) for value in values):
            found.setdefault(tuple(values), name.strip("_"))
    return found


def _cell_kinds(network: nn.Module, sample: Tensor) -> dict[str, str]:
    """Return, by path, whether a cell keeps the size of what it reads (Normal) or halves it (Reduction)."""
    kinds: dict[str, str] = {}

    def watch(path: str) -> Any:
        def see(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            maps = [value for value in inputs if isinstance(value, Tensor) and value.ndim == 4]
            if maps and isinstance(output, Tensor) and output.ndim == 4:
                kinds[path] = "Reduction" if output.shape[-1] < maps[-1].shape[-1] else "Normal"

        return see

    cells = [(path, module) for path, module in network.named_modules() if class_name(module, "").endswith("Cell")]
    if not cells:
        return {}
    handles = [module.register_forward_hook(watch(path)) for path, module in cells]
    with torch.no_grad():
        network(sample)
    for handle in handles:
        handle.remove()
    return kinds


def _clusters(instances: Sequence[_Instance]) -> list[list[_Instance]]:
    """Return the instances that one class can write: few of its arguments have to be modules."""
    same: dict[Any, list[_Instance]] = defaultdict(list)
    for instance in instances:
        same[_shape(instance.body)].append(instance)
    found: list[list[_Instance]] = []
    for group in same.values():
        for cluster in found:
            _, columns = generalise([cluster[0].body, group[0].body, cluster[-1].body])
            if _module_columns(columns) <= MOST_MODULE_ARGUMENTS:
                cluster += group
                break
        else:
            found.append(list(group))
    return found


def _module_columns(columns: Iterable[Column]) -> int:
    return sum(column.holds_modules for column in columns)


def _shape(value: Any) -> Any:
    """Return what is left of a value without its numbers."""
    match value:
        case Make(callee=callee, arguments=arguments):
            return (callee, tuple(_shape(argument.value) for argument in arguments))
        case Row(callee=callee, items=items, keys=keys):
            return (callee, tuple(map(_shape, items)), keys)
        case _:
            return None
