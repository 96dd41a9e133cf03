"""`nas export`: a network as a file that needs nothing of this package."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Optional

import typer

from nas.cli import app


@app.command("export")
def export_(
    network: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FOLDER|BLUEPRINT.json|NAME", help="A finished run, a stored network, a file, or a name."
        ),
    ],
    format: Annotated[
        str, typer.Option("--format", help="python, onnx, torch-export, or optuna for a whole search.")
    ] = "python",
    out: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="File or folder to write. [default: the trained network's folder, else the current one]"),
    ] = None,
    shape: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--input", metavar="C,H,W", help="Size of the images of a network that is not trained."),
    ] = None,
    classes: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Length of the logits of a network that is not trained."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a network so that it can be used without this package: as plain PyTorch, ONNX, or torch.export.

    Example: nas export results/my-run --format onnx
    """
    from nas.commands.profile import parse_shape
    from nas.exporting import FORMATS, export

    done = export(network, format=format, out=out, classes=classes, input_shape=parse_shape(shape) if shape else None)
    if as_json:
        files = [str(path) for path in done.files]
        typer.echo(
            json.dumps({"format": done.format, "files": files, "difference": done.difference, "trained": done.trained})
        )
        return
    typer.echo(f"wrote {' and '.join(map(str, done.files))}")
    if format not in FORMATS:
        if format == "optuna":
            typer.echo(f"`{shlex.join(['nas', 'dashboard', str(network)])}` shows it")
        return
    if done.difference is None:
        typer.echo("not checked: onnxruntime is not installed")
    else:
        typer.echo(f"checked: its logits differ by {done.difference:.1e} of the largest from the network's")
    if not done.trained:
        typer.echo("its weights are not trained: only a run's network and a stored one have trained weights")
