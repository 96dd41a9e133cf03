"""What makes a module, as a value: a constructor's name with its arguments, which may be made themselves."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from torch import nn

from nas.errors import InvalidInputError
from nas.exporting.tracing import base_layer

REQUIRED = inspect.Parameter.empty
SHORTEST_RUN = 3  # equal things in a row that are written once
NOT_WRITTEN = ("device", "dtype")
_KEPT_AS_TUPLES = ("Unflatten",)


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a constructor: not written where it has its default value."""

    name: str
    value: Any
    default: Any = REQUIRED


@dataclass(frozen=True, slots=True)
class Make:
    """A call of a constructor: ``callee(arguments)``."""

    callee: str
    arguments: tuple[Argument, ...]

    @property
    def shape(self) -> tuple[str, tuple[str, ...]]:
        """What two calls share that differ in values only."""
        return self.callee, tuple(argument.name for argument in self.arguments)


@dataclass(frozen=True, slots=True)
class Row:
    """Things made in a row: the layers of a sequence, the members of a list or of a dict."""

    callee: str
    items: tuple[Any, ...]
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for a value that differs between instances of a class; `name` is what it is called there."""

    name: str


def layer_value(module: nn.Module) -> Make:
    """Return what makes a layer of torch."""
    kind = base_layer(module)
    assert kind is not None
    name, parameters = kind.__name__, list(inspect.signature(kind).parameters.values())
    if not hasattr(nn, name):
        raise InvalidInputError(
            f"the layer {name} cannot be written as Python: torch.nn does not list it. "
            f"Use --format torch-export or --format onnx."
        )
    named = [p for p in parameters if p.name not in NOT_WRITTEN and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return Make(f"nn.{name}", tuple(_argument(module, parameter) for parameter in named))


def _argument(module: nn.Module, parameter: inspect.Parameter) -> Argument:
    name, default = parameter.name, parameter.default
    if name == "bias":
        attribute = "in_proj_bias" if isinstance(module, nn.MultiheadAttention) else "bias"
        return Argument(name, getattr(module, attribute, None) is not None, default)
    value = _plain(getattr(module, name, default), keep=type(module).__name__ in _KEPT_AS_TUPLES)
    if name == "stride" and default is None:  # of a pooling: as large as its kernel
        default = _plain(module.kernel_size)
    return Argument(name, value, default)


def _plain(value: Any, *, keep: bool = False) -> Any:
    """Return one number for a tuple of the same number."""
    if isinstance(value, tuple | list):
        same = len(set(value)) == 1 and not keep
        return value[0] if same else tuple(value)
    return value


def text_of(value: Any) -> str:
    """Return the Python text of a value, on one line."""
    match value:
        case Hole(name=name):
            return name
        case Make(callee=callee, arguments=arguments):
            return f"{callee}({', '.join(_arguments(arguments))})"
        case Row(callee="nn.Sequential", items=items):
            return f"nn.Sequential({', '.join(_runs(items))})"
        case Row(callee="nn.ModuleDict", items=items, keys=keys):
            pairs = [f'"{key}": {text_of(item)}' for key, item in zip(keys, items, strict=True)]
            return f"nn.ModuleDict({{{', '.join(pairs)}}})"
        case Row(callee=callee, items=items):
            runs = _runs(items)
            alone = len(runs) == 1 and runs[0].startswith("*(")
            return f"{callee}{runs[0][1:]}" if alone else f"{callee}([{', '.join(runs)}])"
        case float() if math.isinf(value) or math.isnan(value):
            return f'float("{value}")'
        case str():
            return f'"{value}"'
        case tuple():
            return f"({', '.join(map(text_of, value))}{',' if len(value) == 1 else ''})"
        case _:
            return repr(value)


def _arguments(arguments: Sequence[Argument]) -> list[str]:
    """Return written arguments: those that are required by position, others by name and only where they differ."""
    written, by_position = [], True
    for argument in arguments:
        by_position &= argument.default is REQUIRED
        if by_position:
            written.append(text_of(argument.value))
        elif type(argument.value) is not type(argument.default) or argument.value != argument.default:
            written.append(f"{argument.name}={text_of(argument.value)}")
    return written


def _runs(items: Sequence[Any]) -> list[str]:
    """Return the items' texts; equal ones in a row become one loop."""
    texts: list[str] = []
    for text, group in groupby(map(text_of, items)):
        count = len(list(group))
        texts += [f"*({text} for _ in range({count}))"] if count >= SHORTEST_RUN else [text] * count
    return texts
