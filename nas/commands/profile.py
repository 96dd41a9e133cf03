"""`nas profile`: what a network costs, layer by layer, and how long it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from nas.cli import app, parse_settings
from nas.errors import InvalidInputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from nas.parts import Parts
    from nas.profiling import Profile
    from nas.profiling.layers import Layer
    from search_spaces.architecture import Blueprint

Shape = tuple[int, int, int]


def parse_shape(text: str) -> Shape:
    """Return channels, height and width of ``3,224,224``."""
    try:
        channels, height, width = (int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(f"--input is CHANNELS,HEIGHT,WIDTH like 3,224,224, got {text!r}.") from None
    if min(channels, height, width) < 1:
        raise InvalidInputError(f"--input takes whole numbers >= 1, like 3,224,224, got {text!r}.")
    return channels, height, width


@app.command("profile")
def profile_(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NAME|RUN|BLUEPRINT.json",
            help="A network by name, the folder of a search, a training or a stored network, or a blueprint's file.",
        ),
    ],
    shape: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--input", metavar="C,H,W", help="Size of the images. [default: the network's own]"),
    ] = None,
    classes: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Length of the logits. [default: the network's own]"),
    ] = None,
    part: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="NAME=VALUE", help="Exchange a part of the network: head=global_average, attention=se."),
    ] = None,
    depth: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Levels of modules inside modules to show. [default: blocks stay whole]"),
    ] = None,
    batch: Annotated[int, typer.Option(help="Images that are measured at once.")] = 1,
    threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Threads of a measurement on the CPU. [default: torch's own choice]"),
    ] = None,
    device: Annotated[str, typer.Option(help="Torch device to measure on: cpu, cuda, cuda:1.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with every layer.")] = False,
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Count only: no latency, no memory.")] = False,
) -> None:
    """Count a network's parameters, MACs and activations layer by layer, and measure its latency and memory.

    Example: nas profile nasnet-a-mobile --input 3,224,224 --threads 1
    """
    from nas.parts import Parts
    from nas.profiling import profile, profile_without_weights

    if depth is not None and depth < 1:
        raise InvalidInputError(f"--depth is a whole number >= 1, got {depth}.")
    parts = Parts.from_json(parse_settings("--part", part)) if part else None
    make, images = find_network(network, shape=parse_shape(shape) if shape else None, classes=classes, parts=parts)
    if no_measure:
        found = profile_without_weights(make, images)
    else:
        found = profile(make(), images, measure=True, batch=batch, threads=threads, device=device)
    if as_json:
        typer.echo(json.dumps({"network": network, **found.to_json()}))
    else:
        print_profile(found, depth=depth)
        if note := _note(network):
            typer.echo(note)


def _note(name: str) -> str:
    """Return why a baseline's counts are not what its paper prints; empty for all else."""
    from nas.baselines import find_baseline

    try:
        baseline = find_baseline(name)
    except UnknownNameError:
        return ""
    return f"{baseline.title}: {baseline.note}" if baseline.note else ""


def find_network(
    text: str, *, shape: Shape | None, classes: int | None, parts: Parts | None = None
) -> tuple[Callable[[], nn.Module], Shape]:
    """Return what builds a network, and the size of the images that it is built for.

    Args:
        text: a name, the folder of a run, or a file that holds a blueprint.
        shape: of the images; the network's own where it is None.
        classes: length of the logits; the network's own where it is None.
        parts: what is exchanged in it; the network's own where it is None.

    Raises:
        UnknownNameError: no network, folder or file of that name.
        InvalidInputError: a file that holds no blueprint, or a run that left no network.
    """
    from nas.building import build_blueprint, get_blueprint
    from search_spaces.genotypes import CELLS, NETWORKS

    base, folder = _find_blueprint(text)
    if base in CELLS and base not in NETWORKS and shape is None:
        raise InvalidInputError(f"{text} is a cell, built for images of a size: give --input, like 3,32,32.")
    blueprint = get_blueprint(base, input_shape=shape, classes=classes, parts=parts)
    images = (blueprint.channels, blueprint.resolution, blueprint.resolution)
    return lambda: build_blueprint(blueprint, folder=folder), images


def _find_blueprint(text: str) -> tuple[str | Blueprint, Path | None]:
    """Return a name or a blueprint, and the folder that a user's own space may lie in."""
    from nas.finalizing import FOLDER, NETWORK_FILE, StoredNetwork, load_stored
    from nas.run import load

    path = Path(text)
    for stored in (path, path / FOLDER):  # of a training, a search, or of the network itself
        if (stored / NETWORK_FILE).is_file():
            return load_stored(stored).blueprint, stored
    if path.is_dir():
        best = load(path).best
        if not isinstance(best, StoredNetwork):
            raise InvalidInputError(f"{text} looked results up in a table: there is no network to profile.")
        return best.blueprint, best.folder
    if path.is_file():
        return _read_blueprint(path), path.parent
    if path.suffix == ".json" or len(path.parts) > 1:
        raise InvalidInputError(f"{text}: no such file or folder.")
    return text, None


def _read_blueprint(path: Path) -> Blueprint:
    from search_spaces.architecture import Blueprint

    try:
        data = json.loads(path.read_text())
        stored = data.get("blueprint") if isinstance(data, dict) else None  # a stored network's description holds one
        return Blueprint.from_json(data if stored is None else stored)
    except UnknownNameError:
        raise
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidInputError(f"{path} holds no blueprint: {reason}") from None


def print_profile(found: Profile, *, depth: int | None) -> None:
    """Print a table of the layers, their sum, and what was measured."""
    terminal = Console().is_terminal
    console = Console(markup=False, highlight=False, width=None if terminal else 1000)
    console.print(_table(found, depth=depth, attention=found.attention_macs > 0))
    for line in _measurements(found):
        console.print(line, soft_wrap=True)


def _table(found: Profile, *, depth: int | None, attention: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True, footer_style="bold")
    table.add_column("layer", "total", overflow="fold")
    table.add_column("type", "")
    for header in ("output", "activations", "params", "MACs", *(["attention MACs"] if attention else [])):
        table.add_column(header, justify="right", no_wrap=True)
    for row in found.rows(depth):
        table.add_row(row.name or "(all)", row.type, *_numbers(row, attention=attention))
    for column, text in zip(table.columns[3:], _numbers(found.network, attention=attention)[1:], strict=True):
        column.footer = text
    return table


def _numbers(layer: Layer, *, attention: bool) -> list[str]:
    cost = layer.cost
    counts = [cost.activations, cost.params, cost.macs, *([cost.attention_macs] if attention else [])]
    return ["x".join(map(str, layer.output_shape)), *(f"{count:,}" for count in counts)]


def _measurements(found: Profile) -> list[str]:
    cost, lines = found.network.cost, []
    lines.append(f"activations of an image: {cost.activations:,} values, {_megabytes(cost.activation_bytes)}")
    if latency := found.latency:
        lines.append(
            f"latency: {latency.median_ms:.2f} ms for a batch of {latency.batch} "
            f"(quartiles {latency.lower_quartile_ms:.2f} to {latency.upper_quartile_ms:.2f}, "
            f"least {latency.min_ms:.2f}, {latency.repeats} passes after {latency.warmup} to warm up), "
            f"{latency.device}, {latency.threads} thread{'s' if latency.threads > 1 else ''}"
        )
    if memory := found.memory:
        lines.append(
            f"peak memory: {_megabytes(memory.forward)} forward at batch {memory.batch}, "
            f"{_megabytes(memory.training_step)} in a training step at batch {memory.training_batch} ({memory.method})"
        )
    return lines


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
