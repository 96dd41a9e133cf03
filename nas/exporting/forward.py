"""The body of a module's ``forward``, written from one call of it: a straight line of statements."""

from __future__ import annotations

import builtins
import inspect
import keyword
import operator
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from nas.errors import InvalidInputError
from nas.exporting.tracing import Call, Input
from nas.exporting.values import text_of

LONGEST_INLINE = 70  # characters of an expression inside another
DEEPEST_INLINE = 3
LARGEST_LITERAL = 64  # numbers of a tensor that is written out
ATOM, POWER, UNARY, PRODUCT, SUM = 10, 9, 8, 7, 6
_INFIX = {
    "add": ("+", SUM),
    "sub": ("-", SUM),
    "mul": ("*", PRODUCT),
    "truediv": ("/", PRODUCT),
    "floordiv": ("//", PRODUCT),
    "mod": ("%", PRODUCT),
    "matmul": ("@", PRODUCT),
    "pow": ("**", POWER),
}
_SIMPLE = re.compile("[\\w.\x01\x02]+")  # formatters set no spaces around a power of such
_IDENTIFIER = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_RESULT_NAMES = {"add": "total", "mul": "product", "getitem": "part", "sub": "difference", "truediv": "ratio"}


@dataclass(frozen=True, slots=True)
class ForwardCode:
    """How a module's ``forward`` is written.

    Attributes:
        parameters: names of its tensors.
        lines: its statements; a number in them stands as a mark (see `mark`).
        constants: the numbers.
        taken: for each parameter the input that a call gives it.
    """

    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    constants: tuple[int | float, ...]
    taken: tuple[Input, ...] = field(compare=False)


def mark(index: int) -> str:
    """Return what stands for a number in a line."""
    return f"\x01{index}\x02"


def write_forward(call: Call, codes: Mapping[int, ForwardCode], network: nn.Module) -> ForwardCode:
    """Return the code of a call.

    Args:
        call: of the module.
        codes: of the calls inside it, by `id`.
        network: the whole network, for constants kept there.
    """
    return _Writer(call, codes, network).write()


@dataclass(slots=True)
class _Text:
    text: str
    precedence: int = ATOM
    depth: int = 0


class _Writer:
    """Writes one call. A value that is used once, by the next statement, is written inside that."""

    def __init__(self, call: Call, codes: Mapping[int, ForwardCode], network: nn.Module) -> None:
        self._call, self._codes, self._network = call, codes, network
        self._constants: list[int | float] = []
        self._lines: list[str] = []
        self._names: dict[fx.Node, str] = {}
        self._pending: dict[fx.Node, _Text] = {}
        self._parameters: list[tuple[str, Input]] = []
        self._uses = Counter(output.inner for output in call.outputs)
        for item in reversed(call.items):
            if not isinstance(item, Call) or any(self._uses[output.outer] for output in item.outputs):
                self._uses.update(self._operands(item))
        self._left = Counter(self._uses)
        self._by_use = any(taken.listed for taken in call.inputs)
        self._inputs = {taken.inner: taken for taken in call.inputs}

    def write(self) -> ForwardCode:
        """Return the code."""
        if not self._by_use:
            for taken in self._call.inputs:
                self._name_parameter(taken, self._parameter_name(taken))
        for item in self._call.items:
            self._statement(item)
        outputs = [output.inner for output in self._call.outputs]
        if len(outputs) == 1 and list(self._pending) == outputs:
            return self._finish(outputs)
        self._make_ready(outputs, keep=len(outputs) == 1)
        return self._finish(outputs)

    def _finish(self, outputs: Sequence[fx.Node]) -> ForwardCode:
        results = [self._read(node) for node in outputs]
        self._lines.append(f"return {', '.join(result.text for result in results)}")
        names, inputs = zip(*self._parameters, strict=True) if self._parameters else ((), ())
        return ForwardCode(tuple(names), tuple(self._lines), tuple(self._constants), tuple(inputs))

    def _statement(self, item: fx.Node | Call) -> None:
        results = [output.outer for output in item.outputs] if isinstance(item, Call) else [item]
        if isinstance(item, Call) and not any(self._uses[node] for node in results):
            return
        stays = len(results) == 1 and self._uses[results[0]] == 1 and not self._is_indexed(item)
        self._make_ready(self._operands(item), keep=not self._is_indexed(item), others=stays)
        expression = self._expression(item)
        if stays:
            self._pending[results[0]] = expression
        else:
            self._assign(results, expression, item)

    def _make_ready(self, operands: Sequence[fx.Node], *, keep: bool, others: bool = False) -> None:
        """Give names to values that wait to be written inside the next statement, where they cannot be.

        Args:
            operands: what the next statement reads, in order.
            keep: those of them that were computed last may be written inside it.
            others: so may the statement itself be, so that other values can go on waiting.
        """
        waiting = [node for node in operands if node in self._pending]
        last = list(self._pending)[len(self._pending) - len(waiting) :]
        length = sum(len(self._pending[node].text) for node in waiting)
        deep = any(self._pending[node].depth >= DEEPEST_INLINE for node in waiting)
        if waiting != last or length > LONGEST_INLINE or deep or not keep:
            self._flush()
        elif not others:
            self._flush(keep=waiting)

    def _flush(self, *, keep: Sequence[fx.Node] = ()) -> None:
        for node, expression in list(self._pending.items()):
            if node not in keep:
                del self._pending[node]
                self._assign([node], expression, self._origin(node))

    def _origin(self, node: fx.Node) -> fx.Node | Call:
        for item in self._call.items:
            if isinstance(item, Call) and any(output.outer is node for output in item.outputs):
                return item
        return node

    def _assign(self, results: Sequence[fx.Node], expression: _Text, item: fx.Node | Call) -> None:
        for node in results:
            self._names[node] = self._new_name(item) if self._uses[node] else "_"
        names = ", ".join(self._names[node] for node in results)
        used = any(self._uses[node] for node in results)
        self._lines.append(f"{names} = {expression.text}" if used else expression.text)

    def _operands(self, item: fx.Node | Call) -> list[fx.Node]:
        if isinstance(item, Call):
            return [taken.outer for taken in self._codes[id(item)].taken]
        found: list[fx.Node] = []
        fx.node.map_arg((item.args, item.kwargs), found.append)
        return [node for node in found if node.op != "get_attr"]

    def _is_indexed(self, item: fx.Node | Call) -> bool:
        """Return whether an item calls a member of a list, whose result gets a line and a name of its own."""
        if isinstance(item, Call):
            return self._reference(item.path).endswith("]")
        return item.op == "call_module" and self._reference(str(item.target)).endswith("]")

    def _expression(self, item: fx.Node | Call) -> _Text:
        if isinstance(item, Call):
            values = [self._read(taken.outer, item) for taken in self._codes[id(item)].taken]
            return _call(self._reference(item.path), values)
        if item.op == "call_module":
            return _call(self._reference(str(item.target)), self._arguments(item))
        if item.op == "call_method":
            receiver, *others = self._arguments(item)
            return _call(f"{_bracketed(receiver, ATOM)}.{item.target}", others, depth=receiver.depth)
        return self._function(item)

    def _function(self, node: fx.Node) -> _Text:
        target = node.target
        name = getattr(target, "__name__", "")
        if target is builtins.getattr:
            return _Text(f"{_bracketed(self._argument(node.args[0]), ATOM)}.{node.args[1]}")
        if target is operator.getitem:
            return self._item(node)
        if target is operator.neg:
            return _Text(f"-{_bracketed(self._argument(node.args[0]), UNARY)}", UNARY)
        if name in _INFIX and getattr(operator, name) is target:
            sign, precedence = _INFIX[name]
            left, right = (self._argument(argument) for argument in node.args)
            texts = (_bracketed(left, precedence), _bracketed(right, precedence + 1))
            hugs = sign == "**" and all(map(_SIMPLE.fullmatch, texts))
            text = (sign if hugs else f" {sign} ").join(texts)
            return _Text(text, precedence, 1 + max(left.depth, right.depth))
        return _call(_qualified(target), self._arguments(node))

    def _item(self, node: fx.Node) -> _Text:
        of, index = node.args
        value = self._argument(of)
        parts = index if isinstance(index, tuple) else (index,)
        inside = ", ".join(
            self._slice(part) if isinstance(part, slice) else self._argument(part).text for part in parts
        )
        return _Text(f"{_bracketed(value, ATOM)}[{inside}]", depth=value.depth)

    def _slice(self, part: slice) -> str:
        start, stop, step = ("" if p is None else self._argument(p).text for p in (part.start, part.stop, part.step))
        return f"{start}:{stop}" + (f":{step}" if step else "")

    def _arguments(self, node: fx.Node) -> list[_Text]:
        values = [self._argument(argument, node) for argument in node.args]
        defaults = _defaults(node.target) if node.op == "call_function" else {}
        given = {name: value for name, value in node.kwargs.items() if name not in defaults or defaults[name] != value}
        named = [(name, self._argument(value)) for name, value in given.items()]
        return [*values, *(_Text(f"{name}={value.text}", depth=value.depth) for name, value in named)]

    def _argument(self, value: Any, reader: fx.Node | None = None) -> _Text:
        if isinstance(value, fx.Node):
            return self._read(value, reader)
        if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
            parts = [self._argument(part) for part in value]
            inside = ", ".join(part.text for part in parts)
            depth = max((part.depth for part in parts), default=0)
            if isinstance(value, list):
                return _Text(f"[{inside}]", depth=depth)
            return _Text(f"({inside}{',' if len(parts) == 1 else ''})", depth=depth)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf"):
            self._constants.append(value)
            return _Text(mark(len(self._constants) - 1))
        if isinstance(value, torch.Size):
            return self._argument(tuple(value))
        if value is Ellipsis:
            return _Text("...")
        return _Text(str(value) if isinstance(value, torch.dtype | torch.device) else text_of(value))

    def _read(self, node: fx.Node, reader: fx.Node | Call | None = None) -> _Text:
        if node.op == "get_attr":
            return self._attribute(str(node.target))
        if self._by_use and node in self._inputs and (node not in self._names or _alone(reader)):
            name = self._used_as(reader) or self._parameter_name(self._inputs[node])
            if self._used_as(reader) is None and node in self._names:
                return _Text(self._names[node])
            self._name_parameter(self._inputs[node], name)
            return _Text(self._parameters[-1][0])
        return self._value(node)

    def _value(self, node: fx.Node) -> _Text:
        self._left[node] -= 1
        if node in self._pending:
            return self._pending.pop(node)
        if node in self._inputs and node not in self._names:
            self._name_parameter(self._inputs[node], self._parameter_name(self._inputs[node]))
        return _Text(self._names[node])

    def _used_as(self, reader: fx.Node | Call | None) -> str | None:
        """Return the name of the layer that alone reads a value."""
        if not _alone(reader):
            return None
        path = reader.path if isinstance(reader, Call) else str(reader.target)  # type: ignore[union-attr]
        reference = self._reference(path)
        return reference.removeprefix("self.") if reference.count(".") == 1 and "[" not in reference else None

    def _attribute(self, path: str) -> _Text:
        value: Any = self._network
        for part in path.split("."):
            value = getattr(value, part)
        owner = self._network.get_submodule(path.rpartition(".")[0])
        name = path.rpartition(".")[2]
        if name in owner.state_dict():
            return _Text(self._reference(path))
        if value.numel() > LARGEST_LITERAL:
            raise InvalidInputError(f"{path} holds numbers that no weights' file has: register it as a buffer.")
        return _call("torch.tensor", [_Text(str(value.tolist())), _Text(f"dtype={value.dtype}")])

    def _reference(self, path: str) -> str:
        """Return how a module calls another by its path in the network: ``self.blocks[2].left``."""
        own = self._call.path
        if own and not path.startswith(f"{own}."):
            raise InvalidInputError(
                f"{own or 'the network'} calls {path}, which is no part of it: this cannot be written as Python. "
                f"Use --format torch-export or --format onnx."
            )
        module: Any = self._call.module
        text = "self"
        for part in path[len(own) + 1 if own else 0 :].split("."):
            if module is self._call.module and not part.isdigit():
                text += f".{part}"
            elif isinstance(module, nn.ModuleList | nn.Sequential):
                text += f"[{part}]"
            elif isinstance(module, nn.ModuleDict):
                text += f'["{part}"]'
            else:
                text += f".{part}"
            module = getattr(module, part) if hasattr(module, part) else module[part]
        return text

    def _parameter_name(self, taken: Input) -> str:
        name = taken.name.strip("_*")
        if taken.listed:
            name = f"{_singular(name)}_{sum(other.listed for _, other in self._parameters) + 1}"
        return "x" if name in ("input", "inputs", "args") or keyword.iskeyword(name) else name

    def _name_parameter(self, taken: Input, name: str) -> None:
        name = self._free(name)
        self._parameters.append((name, taken))
        self._names.setdefault(taken.inner, name)

    def _new_name(self, item: fx.Node | Call) -> str:
        operands = self._operands(item)
        single = operands[0] if len(set(operands)) == 1 else None
        if single is not None and self._left[single] == 0 and not self._is_indexed(item):
            name = self._names.get(single, "")
            waiting = name in self._waiting_names()
            if name and not waiting and (name == "x" or (single in self._inputs and self._call.path)):
                return name
        return self._free(self._base_name(item))

    def _base_name(self, item: fx.Node | Call) -> str:
        if isinstance(item, Call) or item.op == "call_module":
            path = item.path if isinstance(item, Call) else str(item.target)
            parts = path.rsplit(".", 2)
            if parts[-1].isdigit():
                of = parts[-2] if len(parts) > 1 and not parts[-2].isdigit() else "branches"
                return f"{_singular(of)}_{parts[-1]}"
            return parts[-1]
        target = item.target if isinstance(item.target, str) else getattr(item.target, "__name__", "x")
        name = str(item.args[1]) if item.target is builtins.getattr else _RESULT_NAMES.get(target, target.strip("_"))
        return "x" if name in ("permute", "transpose", "reshape", "view", "contiguous", "flatten", "relu") else name

    def _waiting_names(self) -> set[str]:
        return {name for waiting in self._pending.values() for name in _IDENTIFIER.findall(waiting.text)}

    def _free(self, name: str) -> str:
        """Return a name that no value has which is still needed."""
        taken = {n for node, n in self._names.items() if self._left[node] > 0} | {n for n, _ in self._parameters}
        if hasattr(builtins, name) or keyword.iskeyword(name) or name in ("torch", "nn", "functional", "self"):
            name = f"{name}_"
        taken |= self._waiting_names()
        number, found = 1, name
        while found in taken:
            number += 1
            found = f"{name}_{number}"
        return found


def _defaults(function: Any) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C
        return {}
    return {name: parameter.default for name, parameter in parameters.items()}


def _alone(reader: fx.Node | Call | None) -> bool:
    """Return whether a reader is a module that reads one value."""
    if isinstance(reader, Call):
        return len(reader.inputs) == 1
    return reader is not None and reader.op == "call_module" and len(reader.all_input_nodes) == 1


def _call(name: str, arguments: Sequence[_Text], *, depth: int = 0) -> _Text:
    depth = max([depth, *(1 + argument.depth for argument in arguments)])
    return _Text(f"{name}({', '.join(argument.text for argument in arguments)})", depth=depth)


def _bracketed(value: _Text, precedence: int) -> str:
    return value.text if value.precedence >= precedence else f"({value.text})"


def _singular(name: str) -> str:
    if name.endswith(("ches", "shes", "xes")):
        return name[:-2]
    return name[:-1] if name.endswith("s") and len(name) > 2 else name


def _qualified(target: Any) -> str:
    """Return how a function of torch is called in a file that imports torch, nn and functional."""
    name = str(target.__name__)
    for module, prefix in ((functional, "functional"), (torch, "torch"), (torch.linalg, "torch.linalg")):
        if getattr(module, name, None) is target:
            return f"{prefix}.{name}"
    if getattr(builtins, name, None) is target:
        return name
    raise InvalidInputError(
        f"{target.__module__}.{name} is no function of torch: a file that imports torch alone cannot call it. "
        f"Use --format torch-export or --format onnx."
    )
