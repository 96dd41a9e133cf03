"""`nas report`, `nas show` and `nas list`: looking at what is there."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from nas.cli import app
from nas.errors import InvalidInputError, UnknownNameError

if TYPE_CHECKING:
    from search_spaces.graph import Cell


Rows = list[tuple[str, ...]]


class Listed(StrEnum):
    """What `nas list` can list."""

    spaces = "spaces"
    controllers = "controllers"
    networks = "networks"
    cells = "cells"
    operations = "operations"
    datasets = "datasets"
    recipes = "recipes"


@app.command()
def report(run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, finished or not.")]) -> None:
    """Write the page of a run; reads its files only.

    Example: nas report results/nasnet-digits-evolution-1
    """
    from nas.reporting import write_run_report
    from nas.run import load

    loaded = load(run)
    if loaded.repair:
        Console(stderr=True).print(loaded.repair, highlight=False, markup=False, soft_wrap=True)
    typer.echo(write_run_report(loaded))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="RUN|CELL", help="Folder of a run, or a published cell.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Picture to write: .svg, .png or .pdf. [default: cells.svg in the run, or CELL.svg here]"),
    ] = None,
) -> None:
    """Draw the normal and the reduction cell of a run's best network, or of a published one.

    Example: nas show nasnet-a --out nasnet-a.png
    """
    from nas.report.cell_drawing import draw_cells
    from nas.report.figures import save_figure

    cells, default = _find_cells(name)
    path = out or default
    save_figure(draw_cells(cells), path)
    typer.echo(path)


def _find_cells(name: str) -> tuple[dict[str, Cell], Path]:
    """Return the cells of a run's best network or of a published name, and where their picture goes by default."""
    from nas.run import load
    from search_spaces.genotypes import CELLS, NETWORKS, published_architecture
    from search_spaces.nasnet import CellSpace
    from search_spaces.registry import get_space

    published = NETWORKS[name].cells if name in NETWORKS else name
    if published in CELLS:
        space, architecture = published_architecture(published)
        return space.cells(architecture), Path(f"{published}.svg")
    if not Path(name).is_dir():
        raise UnknownNameError("run folder or published cell", name, [*CELLS, *NETWORKS])
    run = load(name)
    found, ranked = get_space(run.config.space), run.ranked()
    if not ranked:
        raise InvalidInputError(f"{name} has no evaluated network yet: nothing to draw.")
    if not isinstance(found, CellSpace):
        raise InvalidInputError(f"networks of space {found.name!r} have no cells to draw.")
    return found.cells(ranked[0].trial.architecture), Path(name) / "cells.svg"


@app.command("list")
def list_(kind: Annotated[Listed, typer.Argument(help="What to list.")]) -> None:
    """List what can be named in the other commands.

    Example: nas list controllers
    """
    headers, rows = _rows(kind)
    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=not Console().is_terminal, markup=False, highlight=False).print(table)


def _rows(kind: Listed) -> tuple[tuple[str, ...], Rows]:
    """Return the column names and the rows of a listing."""
    match kind:
        case Listed.spaces:
            return _space_rows()
        case Listed.networks:
            return _network_rows()
        case Listed.cells:
            from search_spaces.genotypes import CELLS

            return ("cell", "space that holds it", "from"), [(c.name, c.space, c.source) for c in CELLS.values()]
        case Listed.operations:
            from search_spaces.operations import OPERATION_SETS

            return ("set", "operations"), [(name, " ".join(names)) for name, names in OPERATION_SETS.items()]
        case Listed.controllers:
            from controllers import CONTROLLERS, describe_controller

            return ("controller", "what it does"), [(name, describe_controller(name)) for name in CONTROLLERS]
        case Listed.datasets:
            from nas.data import DATASETS

            return ("data set", "what it holds"), [(d.name, d.description) for d in DATASETS.values()]
        case Listed.recipes:
            return _recipe_rows()


def _space_rows() -> tuple[tuple[str, ...], Rows]:
    from search_spaces.registry import SPACES, get_space

    rows: Rows = []
    for name in SPACES:
        space = get_space(name)
        rows.append((name, str(len(space.decisions)), f"{space.size:.1e}"))
    return ("space", "decisions", "points"), rows


def _network_rows() -> tuple[tuple[str, ...], Rows]:
    from nas.building import complexity
    from search_spaces.genotypes import NETWORKS, published_blueprint

    rows: Rows = []
    for name, network in NETWORKS.items():
        cost = complexity(published_blueprint(name))
        size = f"{network.resolution}x{network.resolution}"
        rows.append((name, network.cells, size, f"{cost.params:,}", f"{cost.macs:,}"))
    return ("network", "cells", "input", "parameters", "MACs"), rows


def _recipe_rows() -> tuple[tuple[str, ...], Rows]:
    from nas.training.recipe import RECIPES

    rows: Rows = []
    for recipe in RECIPES.values():
        changes = {k: v for k, v in recipe.to_json().items() if k not in ("name", "epochs")}
        rows.append((recipe.name, str(recipe.epochs), ", ".join(f"{k}={v}" for k, v in changes.items())))
    return ("recipe", "epochs", "settings"), rows
