"""`nas report` and `nas show`: looking at a run, or at a published cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console

from nas.cli import app
from nas.errors import InvalidInputError, UnknownNameError

if TYPE_CHECKING:
    from search_spaces.graph import Cell


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a search, training, scaling or comparison.")],
) -> None:
    """Write the page of a search, training, scaling or comparison; reads its files only.

    Example: nas report results/nasnet-digits-evolution-1
    """
    from nas.reporting import write_folder_report

    console = Console(stderr=True)
    typer.echo(
        write_folder_report(run, lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True))
    )


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="RUN|CELL", help="Folder of a search or a training, or a published cell.")
    ],
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
    from nas.finalizing import TRAINING_FILE
    from nas.run import load
    from search_spaces.genotypes import CELLS, NETWORKS, published_architecture
    from search_spaces.local_file import is_local
    from search_spaces.nasnet import CellSpace
    from search_spaces.registry import get_space

    published = NETWORKS[name].cells if name in NETWORKS else name
    if published in CELLS:
        space, architecture = published_architecture(published)
        return space.cells(architecture), Path(f"{published}.svg")
    if (Path(name) / TRAINING_FILE).exists():
        return _trained_cells(Path(name)), Path(name) / "cells.svg"
    if not Path(name).is_dir():
        raise UnknownNameError("run folder or published cell", name, [*CELLS, *NETWORKS])
    run = load(name)
    if run.config.table is not None:
        raise InvalidInputError(f"{name} looked results up in a table: there is no network to draw.")
    if is_local(run.config.space):
        raise InvalidInputError(f"networks of space {run.config.space!r} have no cells to draw.")
    found, ranked = get_space(run.config.space), run.ranked()
    if not ranked:
        raise InvalidInputError(f"{name} has no evaluated network yet: nothing to draw.")
    if not isinstance(found, CellSpace):
        raise InvalidInputError(f"networks of space {found.name!r} have no cells to draw.")
    return found.cells(ranked[0].trial.architecture), Path(name) / "cells.svg"


def _trained_cells(folder: Path) -> dict[str, Cell]:
    """Return the cells of the network of a training."""
    from nas.training_report import summarize_training

    cells = summarize_training(folder).cells
    if not cells:
        raise InvalidInputError(f"the network of {folder} has no cells to draw.")
    return dict(cells)
