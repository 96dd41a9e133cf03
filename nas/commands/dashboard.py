"""`nas dashboard`: a run in optuna-dashboard, in a browser on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli import app


@app.command()
def dashboard(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a search, finished or not.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 is any free port.")] = 8080,
) -> None:
    """Write a run's Optuna study and serve it by optuna-dashboard, to this machine only, until Ctrl-C.

    The study shows the run as it is now: start the command again to see more of a search that goes on.

    Example: nas dashboard results/nasnet-digits-evolution-1
    """
    from nas.optuna_study import STUDY, export_study, import_dashboard, serve_study

    import_dashboard()  # before anything is written
    path = export_study(run, run / STUDY)
    typer.echo(path)
    try:
        serve_study(path, port=port, ready=lambda address: typer.echo(f"{address}  (Ctrl-C ends it)"))
    except KeyboardInterrupt:
        typer.echo("stopped")
