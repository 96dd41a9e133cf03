"""`nas scale`: a family of larger or smaller networks, by a law or to budgets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.console import Console
from rich.table import Table

from nas.cli import app, parse_count, parse_settings
from nas.commands.search_flags import (
    Address,
    Device,
    ExecutorFlag,
    Folder,
    Gpus,
    Number,
    Root,
    Text,
    Texts,
    Whole,
    Workers,
    option,
    parse_amount,
)
from nas.errors import InvalidInputError

if TYPE_CHECKING:
    from nas.scaling.family import Family
    from nas.scaling.members import Member

BYTES = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
Counts = Optional[list[int]]  # noqa: UP045 - typer takes no X | None in an alias on Python 3.11
Amounts = Optional[list[float]]  # noqa: UP045
SETTINGS = (
    *("data_root", "download", "train_limit", "resolution", "recipe", "seed", "executor", "workers"),
    *("gpus_per_worker", "address", "threads", "device"),
)


def parse_bytes(text: str) -> float:
    """Return the number of bytes in ``500MB``, ``1.5GiB``, ``200M`` or ``2e6``."""
    lower = text.lower()
    for unit, size in sorted(BYTES.items(), key=lambda pair: -len(pair[0])):
        if lower.endswith(unit):
            return parse_amount(text[: -len(unit)]) * size
    return parse_amount(text)


def parse_phis(text: str) -> list[float]:
    """Return the steps in ``1..7``, ``-1``, or ``0.5,1,2..4``.

    Raises:
        InvalidInputError: no numbers, or a range that runs backwards.
    """
    found: list[float] = []
    for part in text.split(","):
        first, dots, last = part.partition("..")
        try:
            if not dots:
                found.append(float(part))
                continue
            steps = [float(value) for value in range(int(first), int(last) + 1)]
        except ValueError:
            raise InvalidInputError(f"--phi takes steps like 1..7, -1, or 0.5,1,2; got {text!r}.") from None
        if not steps:
            raise InvalidInputError(f"--phi takes ranges that rise, like 1..7, got {part!r}.")
        found += steps
    return found


def _targets(parser: Any, help: str) -> Any:
    return typer.Option(parser=parser, metavar="AMOUNT", help=help)


@app.command("scale")
def scale_(
    network: Annotated[str, typer.Argument(metavar="RUN|NAME|BLUEPRINT.json", help="What to scale.")],
    data: Annotated[Text, option("Train a grid on this data set to find the coefficients.")] = None,
    data_root: Root = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if its files are missing.")] = False,
    train_limit: Annotated[Whole, option("Train on so many images only, classes even.")] = None,
    resolution: Annotated[Whole, option("Base images of so many pixels a side.")] = None,
    shape: Annotated[Text, option("Size of the base's images. [default: its own]", metavar="C,H,W", name="--input")] = (
        None
    ),
    classes: Annotated[Whole, option("Length of the logits. [default: the base's own]")] = None,
    depth: Annotated[Number, option("Of the base: N of a cell network, a factor of others.")] = None,
    width: Annotated[Number, option("Of the base: F of a cell network, a factor of others.")] = None,
    phi: Annotated[Text, option("Steps of the law: 1..7, or -1, or 0.5,1,2. [default: 1..3]")] = None,
    target_macs: Annotated[Counts, _targets(parse_count, "Most MACs an image; once a member.")] = None,
    target_params: Annotated[Counts, _targets(parse_count, "Most parameters; once a member.")] = None,
    target_memory: Annotated[
        Amounts, _targets(parse_bytes, "Most bytes alive in a forward pass of an image, like 50MB; once a member.")
    ] = None,
    target_latency_ms: Annotated[
        Amounts, _targets(parse_amount, "Most milliseconds of that pass, measured here; once a member.")
    ] = None,
    coefficients: Annotated[
        Text, option("Of depth, width and resolution, like 1.2,1.1,1.15; skips the grid.", metavar="A,B,C")
    ] = None,
    law: Annotated[str, typer.Option(help="compound; fast, mostly by width, at the same MACs; or both.")] = "compound",
    seeds: Annotated[int, typer.Option(help="Trainings of each point of the grid.")] = 3,
    spacing: Annotated[float, typer.Option(help="Between the grid's coefficients.")] = 0.05,
    ablation: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--ablation/--no-ablation", help="Train single dimensions too. [default: if the grid is]"),
    ] = None,
    ablation_phi: Annotated[str, typer.Option(help="Steps of the ablation.")] = "1",
    recipe: Annotated[Text, option("How points are trained; `nas list recipes`. [default: proxy]")] = None,
    epochs: Annotated[Whole, option("Epochs a training. [default: the recipe's]")] = None,
    recipe_set: Annotated[Texts, option("Change the recipe: learning_rate=0.05.", metavar="NAME=VALUE")] = None,
    seed: Annotated[Whole, option("Every random draw derives from it. [default: 0]")] = None,
    executor: ExecutorFlag = None,
    workers: Workers = None,
    gpus_per_worker: Gpus = None,
    address: Address = None,
    threads: Annotated[Whole, option("Torch threads a worker. [default: 1]")] = None,
    device: Device = None,
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Count only: no latency.")] = False,
    out: Annotated[Folder, option("Folder of the family. [default: a new one under results/]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the family as JSON.")] = False,
    context: typer.Context = None,  # type: ignore[assignment]  # typer gives it
) -> None:
    """Grow or shrink a network to budgets, in depth, width and resolution together.

    A stopped grid goes on where it was with the same command and the same --out.

    Example: nas scale efficientnet-b0 --coefficients 1.2,1.1,1.15 --phi 1..7

    Example: nas scale results/nasnet-digits-asha-predictor-1 --data digits --target-macs 2M --target-macs 8M
    """
    from nas.scaling.bases import find_network
    from nas.scaling.family import new_folder

    given = {name: context.params[name] for name in SETTINGS if context.params[name] not in (None, False)}
    changes = parse_settings("--recipe-set", recipe_set or []) | ({"epochs": epochs} if epochs is not None else {})
    given |= {"recipe_changes": changes} if changes else {}
    if "data_root" in given:
        given["data_root"] = str(given["data_root"].absolute())
    budgets = {
        "macs": target_macs or (),
        "params": target_params or (),
        "memory": target_memory or (),
        "latency_ms": target_latency_ms or (),
    }
    folder = out or new_folder(find_network(network)[0])
    family = _carry_out(
        folder,
        network=network,
        budgets=budgets,
        phi=None if phi is None else parse_phis(phi),
        coefficients=coefficients,
        law=law,
        data=data,
        seeds=seeds,
        spacing=spacing,
        ablation=ablation,
        ablation_phis=parse_phis(ablation_phi),
        input_shape=_shape(shape, resolution, trains=data is not None),
        classes=classes,
        depth=depth,
        width=width,
        measure=not no_measure,
        **given,
    )
    if as_json:
        typer.echo(json.dumps(family.to_json()))
    else:
        print_family(family)


def _shape(text: str | None, resolution: int | None, *, trains: bool) -> tuple[int, int, int] | None:
    from nas.commands.profile import parse_shape

    if text is None and resolution is not None and not trains:
        raise InvalidInputError("--resolution is of the images of --data: without it, give --input like 3,224,224.")
    return parse_shape(text) if text else None


def _carry_out(folder: Path, *, network: str, **arguments: Any) -> Family:
    """Scale, with a progress display where something is trained; Ctrl-C ends it cleanly."""
    import sys

    from nas.interrupts import load_training_libraries
    from nas.progress import ProgressDisplay
    from nas.scaling.family import scale
    from nas.scaling_report import keep_command

    load_training_libraries()
    console = Console(stderr=True)
    with ProgressDisplay(console) as display:
        try:
            return scale(network, out=folder, watcher=display.watcher, **arguments)
        except KeyboardInterrupt:
            kept = f"; what was trained is kept: give --out {folder} to go on" if folder.exists() else ""
            console.print(f"stopped{kept}", highlight=False, markup=False, soft_wrap=True)
            raise typer.Exit(1) from None
        finally:
            keep_command(folder, sys.argv[1:])


def print_family(family: Family) -> None:
    """Print the coefficients, a table of the members, and where the files lie."""
    from nas.scaling.training import choose

    terminal = Console().is_terminal
    console = Console(markup=False, highlight=False, soft_wrap=True, width=None if terminal else 1000)
    if family.grid:
        best = choose(family.grid).accuracy
        assert best is not None
        spread = f"{best.mean:.2%} +- {best.std:.2%} over {best.seeds} seeds"
        console.print(f"coefficients {family.coefficients}: the best of {len(family.grid)} points, {spread}")
    for point in family.ablation:
        if point.accuracy:
            accuracy = point.accuracy
            text = f"{accuracy.mean:.2%} +- {accuracy.std:.2%} ({accuracy.seeds} seeds)"
            console.print(f"  {point.point.label}: {point.cost.macs:,} MACs, {text}")
    for note in family.notes:
        console.print(f"{family.name}: {note}")
    console.print(_table(family))
    for member in family.members:
        if member.binds:
            used = ", ".join(f"{share:.1%} of {name}" for name, share in member.used.items())
            console.print(f"{member.name}: {member.binds} binds; it uses {used}")
    if family.folder is not None:
        from nas.reporting import write_folder_report

        console.print(f"the family: {family.folder}\nthe page: {write_folder_report(family.folder)}")


def _table(family: Family) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("network")
    for header in ("phi", "depth", "width", "resolution", "layers", "params", "MACs", "of intended", "memory"):
        table.add_column(header, justify="right", no_wrap=True)
    for header in ("latency", "accuracy"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_row(f"{family.name} (base)", *_cells(family.base))
    for member in family.members:
        table.add_row(member.name, *_cells(member))
    return table


def _cells(member: Member) -> list[str]:
    blueprint, accuracy = member.blueprint, member.accuracy
    return [
        f"{member.phi:g}",
        f"{blueprint.depth or 1:.4g}",
        f"{blueprint.width or 1:.4g}",
        str(blueprint.resolution),
        str(member.layers),
        f"{member.params:,}",
        f"{member.macs:,}",
        "-" if member.used and "macs" not in member.used else f"{member.macs / member.intended_macs:.1%}",
        f"{member.memory_bytes / 1e6:,.1f} MB",
        "-" if member.latency_ms is None else f"{member.latency_ms:.2f} ms",
        "-" if accuracy is None else f"{accuracy.mean:.2%} +- {accuracy.std:.2%}",
    ]
