"""The text of a network's Python file: it imports torch and nothing else."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from nas.exporting.definitions import CONSTANTS, Definition, Parameter, define
from nas.exporting.formatting import LINE_LENGTH, format_line, split_arguments
from nas.exporting.tracing import trace
from nas.exporting.values import REQUIRED, Hole, Make, Row, text_of

LONGEST_DOCSTRING = 100
_AFTER_COLON = re.compile(r"(?<=[\[ ]):(?=self\.)")  # formatters set spaces around the colon of slices like these
_BEFORE_COLON = re.compile(r"(self\.\w+):(?=[\],])")
_MARK = re.compile("\x01(\\d+)\x02")


@dataclass(frozen=True, slots=True)
class Images:
    """What a network takes and gives: size of its images, how they are normalised, and what its logits stand for.

    `mean` and `std` are empty where no data said them, and so are the names.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    class_names: tuple[str, ...] = ()


def network_text(
    network: nn.Module, images: Images, *, title: str, module: str = "network", weights: str = "weights.safetensors"
) -> str:
    """Return the file.

    Args:
        network: in evaluation mode.
        images: that it takes.
        title: what it is, for the first line.
        module: name of the file without its ending.
        weights: name of the weights' file.

    Raises:
        InvalidInputError: the network cannot be written as Python.
    """
    sample = torch.zeros(1, *images.shape)
    definitions = define(network, trace(network), sample)
    parts = [part for definition in definitions for part in _definition(definition)]
    body = "\n".join(parts).rstrip()
    functions = _FUNCTIONS if images.mean else _FUNCTIONS.replace(_PREPROCESS, "")
    header = _header(images, title, module, weights)
    imports = ["import torch", "from torch import Tensor, nn"]
    if "functional." in body:
        imports.append("from torch.nn import functional")
    constants = _constants(images)
    return "\n".join([header, *imports, *constants, "", body, "", functions.rstrip()]) + "\n"


def _header(images: Images, title: str, module: str, weights: str) -> str:
    shape = f"(batch, {', '.join(map(str, images.shape))})"
    names = ["CLASSES"] * bool(images.class_names) + ["load"] + ["preprocess"] * bool(images.mean)
    reading = "preprocess(images)" if images.mean else "images"
    kind = "uint8" if images.mean else "normalised float32"
    shown = textwrap.wrap(f"{title}, in plain PyTorch.", 110)
    said = "\n".join(
        [
            *shown,
            "",
            f"    from {module} import {', '.join(names)}",
            "",
            f'    network = load("{weights}")  # in evaluation mode',
            f"    logits = network({reading})  # images: {kind}, {shape}",
            *(["    print([CLASSES[i] for i in logits.argmax(dim=1)])"] if images.class_names else []),
            "",
            "It computes what the network computes in evaluation: what only training uses (drop path, auxiliary heads)",
            "is left out; dropout layers are kept. Written by `nas export`.",
        ]
    )
    inert = said.replace("\\", "/").replace('"""', "'''")  # no name in it ends the docstring
    return f'"""{inert}\n"""\n'


def _constants(images: Images) -> list[str]:
    lines: list[str] = [""]
    for name, values in (("MEAN", images.mean), ("STD", images.std), ("CLASSES", images.class_names)):
        if values:
            lines += _assigned(name, values)
    return lines if len(lines) > 1 else []


def _assigned(name: str, values: Sequence[Any]) -> list[str]:
    """Return the assignment of a tuple; names of classes may hold brackets and quotes, so no text is taken apart."""
    texts = [_quoted(value) if isinstance(value, str) else repr(value) for value in values]
    inside = f"{', '.join(texts)}{',' if len(texts) == 1 else ''}"
    if len(name) + len(inside) + 5 <= LINE_LENGTH:
        return [f"{name} = ({inside})"]
    if len(inside) + 4 <= LINE_LENGTH and len(texts) > 1:
        return [f"{name} = (", f"    {inside}", ")"]
    return [f"{name} = (", *(f"    {text}," for text in texts), ")"]


def _quoted(text: str) -> str:
    """Return a string as a formatter writes it: in double quotes unless it holds more of these than of single ones."""
    written = repr(text)
    if written.startswith("'") and '"' not in written:
        return f'"{written[1:-1]}"'
    return written


def _definition(definition: Definition) -> list[str]:
    if definition.module is None:
        head = f"def {definition.name}({', '.join(map(_declared, definition.parameters))}) -> nn.Sequential:"
        return ["", *format_def(head, 0), *_returned(definition.body), ""]
    return ["", *_class(definition), ""]


def _returned(body: Row) -> list[str]:
    return [f'    """Return {_listed(body)}."""', *format_line(f"return {text_of(body)}", 4)]


def _listed(body: Row) -> str:
    names = [item.callee.removeprefix("nn.") for item in body.items]
    text = ", ".join(names)
    return text if len(text) < LONGEST_DOCSTRING else f"{len(names)} layers in a row"


def format_def(head: str, indent: int) -> list[str]:
    """Return the first line of a function, broken where it is too long."""
    if indent + len(head) <= LINE_LENGTH:
        return [" " * indent + head]
    start, end = head.index("("), head.rindex(") ->")
    space, inside = " " * indent, head[start + 1 : end]
    if indent + 4 + len(inside) <= LINE_LENGTH:
        parts = [f"{space}    {inside}"]
    else:
        parts = [f"{space}    {part}," for part in split_arguments(inside)]
    return [f"{space}{head[: start + 1]}", *parts, f"{space}{head[end:]}"]


def _class(definition: Definition) -> list[str]:
    module, code = definition.module, definition.code
    made = dict(zip(definition.body.keys, definition.body.items, strict=True))
    numbers = made.pop(CONSTANTS)
    base = "nn.Module"
    if isinstance(module, nn.Sequential | nn.ModuleList) and made and all(name.isdigit() for name in made):
        base = "nn.Sequential" if isinstance(module, nn.Sequential) else "nn.ModuleList"
    stored: dict[str, str] = {}
    texts = [_number(value, i, stored) for i, value in enumerate(numbers.items)]
    lines = [f"class {definition.name}({base}):", f'    """{_described(definition)}"""', ""]
    head = f"def __init__({', '.join(['self', *map(_declared, definition.parameters)])}) -> None:"
    lines += format_def(head, 4)
    lines += _made(made, base, stored)
    if code is not None:
        lines += ["", *_forward(definition, texts)]
    return lines


def _made(made: dict[str, Any], base: str, stored: dict[str, str]) -> list[str]:
    lines = ["        super().__init__()"]
    if base != "nn.Module":
        row = text_of(Row(base, tuple(made.values())))
        lines, made = format_line(f"super().__init__{row.removeprefix(base)}", 8), {}
    lines += [f"        self.{name} = {text}" for name, text in stored.items()]
    for name, value in made.items():
        if isinstance(value, Make) and value.callee == "buffer":
            lines += format_line(f'self.register_buffer("{name}", {text_of(value.arguments[0].value)})', 8)
        else:
            lines += format_line(f"self.{name} = {text_of(value)}", 8)
    return lines


def _number(value: Any, index: int, stored: dict[str, str]) -> str:
    """Return how ``forward`` writes a number; one that differs between instances is kept by the constructor."""
    if not isinstance(value, Hole):
        return text_of(value)
    name = value.name if value.name.isidentifier() else f"value_{index}"
    stored[name] = value.name
    return f"self.{name}"


def _forward(definition: Definition, numbers: Sequence[str]) -> list[str]:
    code = definition.code
    assert code is not None
    several = code.lines[-1].count(",") and len(_outputs(code.lines[-1])) > 1
    result = f"tuple[{', '.join(['Tensor'] * len(_outputs(code.lines[-1])))}]" if several else "Tensor"
    head = f"def forward({', '.join(['self', *(f'{name}: Tensor' for name in code.parameters)])}) -> {result}:"
    lines = format_def(head, 4)
    for line in code.lines:
        text = _MARK.sub(lambda found: numbers[int(found[1])], line)
        lines += format_line(_AFTER_COLON.sub(": ", _BEFORE_COLON.sub(r"\1 :", text)), 8)
    return lines


def _outputs(line: str) -> list[str]:
    return split_arguments(line.removeprefix("return "))


def _declared(parameter: Parameter) -> str:
    kinds = sorted({_kind(value) for value in parameter.values})
    default = "" if parameter.default is REQUIRED else f" = {parameter.default}"
    return f"{parameter.name}: {' | '.join(kinds)}{default}"


def _kind(value: Any) -> str:
    if isinstance(value, Make | Row):
        return "nn.Module"
    if isinstance(value, tuple):
        return f"tuple[{type(value[0]).__name__ if value else 'int'}, ...]"
    return "None" if value is None else type(value).__name__


def _described(definition: Definition) -> str:
    """Return the first line of what the module's class says of itself."""
    text = type(definition.module).__doc__ or ""
    first = text.strip().split("\n")[0].replace('"""', "").replace("\\", "").rstrip('"')
    own = not type(definition.module).__module__.startswith("torch")
    if own and first and len(first) <= LONGEST_DOCSTRING:
        return first
    return "Layers in a row." if isinstance(definition.module, nn.Sequential) else "A part of the network."


_PREPROCESS = '''def preprocess(images: Tensor) -> Tensor:
    """Return uint8 images (batch, channels, height, width) as the float32 that the network takes."""
    mean = torch.tensor(MEAN, device=images.device).view(1, -1, 1, 1)
    std = torch.tensor(STD, device=images.device).view(1, -1, 1, 1)
    return images.to(torch.float32).div_(255).sub_(mean).div_(std)


'''
_FUNCTIONS = f'''
def build() -> Network:
    """Return the network with weights drawn at random."""
    return Network()


{_PREPROCESS}def load(path: str) -> Network:
    """Return the network in evaluation mode with the weights of a .safetensors file, or of a .pt file."""
    if str(path).endswith(".safetensors"):
        from safetensors.torch import load_file

        weights = load_file(path)
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    network = build()
    shapes = {{name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}}
    given = {{name: tuple(tensor.shape) for name, tensor in weights.items()}}
    wrong = [name for name in {{**shapes, **given}} if shapes.get(name) != given.get(name)]
    if wrong:
        found = ", ".join(f"{{name}} {{given.get(name)}} instead of {{shapes.get(name)}}" for name in wrong[:3])
        more = f" and {{len(wrong) - 3}} more" if len(wrong) > 3 else ""
        raise ValueError(f"{{path}} holds weights of another network: {{found}}{{more}}.")
    network.load_state_dict(weights)
    return network.eval()
'''
