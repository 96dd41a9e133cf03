"""From the modules of a network to the few classes and functions that write it.

Modules of one type whose ``forward`` reads the same become one class; what differs between them becomes an argument
of its constructor. Layers in a row that come again and again become a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from nas.exporting.values import REQUIRED, Argument, Hole, Make, Row

MOST_MODULE_ARGUMENTS = 3
FEWEST_TO_BELIEVE = 3  # numbers of channels that follow from others; fewer may do so by chance
ONE_BY_DEFAULT = ("stride", "dilation", "groups")
PAIRS = ("kernel_size", "stride", "padding", "dilation")  # one number, or a vertical and a horizontal one
CHANNELS = ("in_channels", "out_channels", "num_features", "normalized_shape", "in_features", "out_features")


@dataclass(slots=True)
class Column:
    """A place that differs between instances: its names where it is used, from where, and its value in each."""

    values: tuple[Any, ...]
    names: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    name: str = ""
    expression: str = ""

    @property
    def holds_modules(self) -> bool:
        """Whether instances differ in a module here, and not in a number."""
        return any(isinstance(value, Make | Row) for value in self.values)


def generalise(
    instances: Sequence[Any],
    *,
    reserved: Iterable[str] = (),
    known: Mapping[tuple[Any, ...], str] | None = None,
    open_names: Sequence[str] = (),
) -> tuple[Any, list[Column]]:
    """Return what instances have in common, with holes where they differ, and the columns of the holes.

    Args:
        instances: values of modules.
        reserved: names that no column may take.
        known: names for columns of these values.
        open_names: arguments that get a column even where they never differ.
    """
    columns: dict[tuple[Any, ...], Column] = {}
    common = _Comparison(columns, open_names).common(list(instances), "", "")
    listed = list(columns.values())
    _name_columns(listed, set(reserved), known or {})
    return _fill(common, {id(column): column for column in listed}), listed


@dataclass(frozen=True, slots=True)
class _Place:
    column: int


@dataclass(frozen=True, slots=True)
class _Comparison:
    columns: dict[tuple[Any, ...], Column]
    open_names: Sequence[str]

    def common(self, values: list[Any], name: str, path: str) -> Any:
        """Return what values have in common; a place for a column where that is nothing."""
        first = values[0]
        if isinstance(first, Make) and all(isinstance(v, Make) and v.shape == first.shape for v in values):
            return Make(first.callee, tuple(self._arguments(values, path)))
        if isinstance(first, Row) and all(_row_shape(v) == _row_shape(first) for v in values):
            keys = first.keys or tuple(map(str, range(len(first.items))))
            items = [self.common([v.items[i] for v in values], key, f"{path}.{key}") for i, key in enumerate(keys)]
            return Row(first.callee, tuple(items), first.keys)
        if name not in self.open_names and all(_key(value) == _key(first) for value in values):
            return first
        if name in PAIRS and any(isinstance(v, tuple) for v in values) and all(map(_is_pair, values)):
            pairs = [value if isinstance(value, tuple) else (value, value) for value in values]
            return tuple(self.common([pair[i] for pair in pairs], name, path) for i in range(2))
        found = Column(tuple(values))
        place = path if found.holds_modules else ""  # equal numbers are one argument, equal modules are two modules
        column = self.columns.setdefault((place, *map(_key, values)), found)
        column.names.append(name)
        column.paths.append(path.strip("."))
        return _Place(id(column))

    def _arguments(self, values: list[Make], path: str) -> Iterable[Argument]:
        for i, argument in enumerate(values[0].arguments):
            parts = [value.arguments[i].value for value in values]
            yield Argument(
                argument.name, self.common(parts, argument.name, f"{path}.{argument.name}"), argument.default
            )


def _is_pair(value: Any) -> bool:
    return type(value) is int or (isinstance(value, tuple) and len(value) == 2)


def _key(value: Any) -> Any:
    """Return what tells values apart, also 1 from True and 1.0."""
    return (type(value), value)


def _row_shape(value: Any) -> Any:
    return (value.callee, len(value.items), value.keys) if isinstance(value, Row) else None


def _fill(value: Any, columns: Mapping[int, Column]) -> Any:
    match value:
        case tuple():
            return tuple(_fill(part, columns) for part in value)
        case _Place(column=column):
            return Hole(columns[column].expression or columns[column].name)
        case Make(callee=callee, arguments=arguments):
            return Make(callee, tuple(Argument(a.name, _fill(a.value, columns), a.default) for a in arguments))
        case Row(callee=callee, items=items, keys=keys):
            return Row(callee, tuple(_fill(item, columns) for item in items), keys)
        case _:
            return value


def _name_columns(columns: list[Column], taken: set[str], known: Mapping[tuple[Any, ...], str]) -> None:
    """Name every column, or write it by those before it where it follows from one of them in all instances."""
    widths = [column for column in columns if set(column.names) & set(CHANNELS) and not column.holds_modules]
    for i, column in enumerate(columns):
        column.expression = _derived(column, columns[:i])
        if column.expression:
            continue
        wanted = (known.get(column.values) if column.names[0].startswith("value") else None) or _wanted_name(
            column, widths
        )
        first = column.paths[0].split(".")
        if wanted in taken and len(first) > 1 and not first[0].isdigit():
            wanted = f"{first[0]}_{wanted}"
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        column.name = name
        taken.add(name)


def _wanted_name(column: Column, widths: Sequence[Column]) -> str:
    if column.holds_modules:
        return "_".join(column.paths[0].split(".")) if not column.paths[0][:1].isdigit() else "layer"
    name = column.names[0]
    if column in widths:
        if len(widths) == 1:
            return "channels"
        inside = set(column.names) & {"in_channels", "in_features"} and column is not widths[-1]
        if name in ("out_channels", "out_features") and inside:
            return "hidden_channels"
        return "out_channels" if name in ("num_features", "normalized_shape") else name
    return "size" if name.isdigit() else {"p": "dropout"}.get(name, name)


def _derived(column: Column, earlier: Sequence[Column]) -> str:
    if not all(type(value) is int for value in column.values):
        return ""
    relations: list[tuple[str, Callable[[int], int]]] = (
        [("{} // 2", lambda v: v // 2)] if "padding" in column.names else []
    )
    varied = len(set(column.values)) >= FEWEST_TO_BELIEVE
    if varied and (set(column.names) & set(CHANNELS) or "groups" in column.names):
        relations += [
            ("2 * {}", lambda v: 2 * v),
            ("3 * {}", lambda v: 3 * v),
            ("4 * {}", lambda v: 4 * v),
            ("{} // 2", lambda v: v // 2 if v % 2 == 0 else -1),
            ("{} // 4", lambda v: v // 4 if v % 4 == 0 else -1),
        ]
    for other in earlier:
        if other.name and all(type(value) is int for value in other.values):
            for text, relation in relations:
                if all(relation(v) == value for v, value in zip(other.values, column.values, strict=True)):
                    return text.format(other.name)
    return ""


def arguments_of(columns: Sequence[Column]) -> list[tuple[str, Any, tuple[Any, ...]]]:
    """Return name, default and values of each parameter; those with a default last."""
    found = []
    for column in columns:
        if column.name:
            plain = column.name in ONE_BY_DEFAULT and any(_key(value) == (int, 1) for value in column.values)
            found.append((column.name, 1 if plain else REQUIRED, column.values))
    return sorted(found, key=lambda parameter: (parameter[1] is not REQUIRED, not parameter[0].endswith("channels")))


def layer_tokens(row: Row) -> tuple[str, ...] | None:
    """Return short names of the layers of a sequence; None where it holds more than plain layers."""
    tokens = []
    for item in row.items:
        if not (isinstance(item, Make) and item.callee.startswith("nn.")):
            return None
        tokens.append(_token(item))
    return tuple(tokens)


def _token(layer: Make) -> str:
    values = {argument.name: argument.value for argument in layer.arguments}
    kind = layer.callee.removeprefix("nn.")
    if kind == "Conv2d":
        depthwise = values["groups"] == values["in_channels"] > 1
        return ("dilated" if values["dilation"] != 1 else "depthwise") if depthwise else "conv"
    for ending, token in (("Norm2d", "norm"), ("LayerNorm", "norm"), ("MaxPool2d", "max_pool"), ("AvgPool2d", "pool")):
        if kind.endswith(ending):
            return token
    return _SHORT.get(kind, kind.lower())


_SHORT = {"ConstantPad2d": "pad", "ZeroPad2d": "pad", "ReLU6": "relu", "Hardswish": "swish", "SiLU": "silu"}
_HALF = ("relu", "depthwise", "conv", "norm")
_NAMES = {
    _HALF: "depthwise_separable_conv",
    (*_HALF, *_HALF): "separable_conv",
    ("relu", "dilated", "conv", "norm"): "dilated_conv",
    ("relu", "conv", "norm") * 3: "bottleneck",
    ("relu", "conv", "norm") * 4: "factorized_bottleneck",
}
MOST_TOKENS = 6


def function_name(tokens: tuple[str, ...]) -> str:
    """Return what a function that makes these layers is called."""
    named = _NAMES.get(tokens)
    return named or ("_".join(tokens) if len(tokens) <= MOST_TOKENS else f"{'_'.join(tokens[:3])}_layers")


def class_name(module: nn.Module, attribute: str) -> str:
    """Return the name of the class that writes a module; that of its attribute for mere sequences."""
    name = type(module).__name__.strip("_")
    if isinstance(module, nn.Sequential):
        words = attribute if not attribute.isdigit() else "stage"
        name = "".join(word[:1].upper() + word[1:] for word in words.split("_"))
    shorter = name.removesuffix("Module")
    return shorter if shorter and not hasattr(nn, shorter) else f"{name}Block"
