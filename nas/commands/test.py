"""`nas test`: what stored networks score on test images, each alone and together as an ensemble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.cli import app
from nas.commands.search_flags import Root

if TYPE_CHECKING:
    from nas.testing import Score, Tested


@app.command("test")
def measure_stored(
    networks: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Folders of finished searches or trainings, or of stored networks."),
    ],
    data: Annotated[str, typer.Option(help="On whose test images; `nas list datasets`.")],
    data_root: Root = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if its files are missing.")] = False,
    crops: Annotated[int, typer.Option(help="Views of each image: 1, or 10 for ten-crop testing.")] = 1,
    device: Annotated[str, typer.Option(help="Torch device: cpu, cuda, cuda:1.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure trained networks on test images; several also as an ensemble, the mean of their probabilities.

    Example: nas test results/first results/second --data digits
    """
    from nas.testing import test

    found = test(networks, data=data, data_root=data_root, download=download, crops=crops, device=device)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        _print_table(found)


def _print_table(found: Tested) -> None:
    views = "" if found.crops == 1 else f", mean over {found.crops} crops"
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("network", overflow="fold")
    for header in (f"test accuracy on {found.data}{views}", "correct", "of images", "loss"):
        table.add_column(header, justify="right", no_wrap=True)
    for score in (*found.networks, *([found.ensemble] if found.ensemble else [])):
        table.add_row(score.name, *_numbers(score))
    terminal = Console().is_terminal
    Console(markup=False, highlight=False, width=None if terminal else 1000).print(table)


def _numbers(score: Score) -> tuple[str, str, str, str]:
    found = score.measured
    return f"{found.share:.2%}", f"{found.correct:,}", f"{found.images:,}", f"{found.loss:.4f}"
