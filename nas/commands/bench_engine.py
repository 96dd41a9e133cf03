"""`nas bench engine`: how fast a stream of small networks is trained, and where the time goes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from nas.commands.bench import BenchDisplay, bench


@bench.command("engine")
def engine(
    size: Annotated[str, typer.Option(help="Networks to train: tiny for a CPU, cifar for a GPU.")] = "tiny",
    networks: Annotated[int, typer.Option(help="How many.")] = 20,
    round_size: Annotated[int, typer.Option(help="How many our way before the same ones plainly.")] = 4,
    executor: Annotated[str, typer.Option(help="ray or serial.")] = "ray",
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Of Ray. [default: one per processor]"),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    epochs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Epochs a network. [default: the stream's]"),
    ] = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Other images than the stream's; noise for random bytes."),
    ] = None,
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder with data sets."),
    ] = None,
    plain: Annotated[bool, typer.Option(help="Train the same networks by a plain PyTorch loop as well.")] = True,
    loader_workers: Annotated[int, typer.Option(help="Processes of the plain loop's DataLoader.")] = 0,
    plain_threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Torch threads of the plain loop. [default: torch's own number]"),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Train ours with a second seed, for what seeds do.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Train a fixed stream of architectures, and the same ones by a plain PyTorch loop, in turn.

    Networks per hour, time of a step, and the share of each phase; start-up and imports count for neither side.

    Example: nas bench engine --size tiny --networks 20 --again
    """
    from nas.benchmarking.engine import STREAMS, EngineOptions, bench_engine
    from nas.errors import UnknownNameError

    if size not in STREAMS:
        raise UnknownNameError("stream", size, STREAMS)
    if executor not in ("ray", "serial"):
        raise UnknownNameError("executor", executor, ["ray", "serial"])
    stream = STREAMS[size].with_epochs(epochs)
    stream = stream if data is None else replace(stream, data=data)
    options = EngineOptions(
        networks,
        round_size,
        executor,
        workers,
        device,
        plain,
        loader_workers,
        plain_threads,
        again,
        data_root,
    )
    console = Console(stderr=True)
    with BenchDisplay(console, unit="rounds") as display:
        try:
            result = bench_engine(stream, options, display.on_run)
        except KeyboardInterrupt:
            console.print("stopped; nothing was written", highlight=False)
            raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2))
        return
    _print(result)


def _print(result: object) -> None:
    from rich.table import Table

    from nas.benchmarking.engine import EngineResult
    from nas.benchmarking.engine.text import COLUMNS, conclusions, heading, rows

    assert isinstance(result, EngineResult)
    terminal = Console().is_terminal
    console = Console(markup=False, highlight=False, width=None if terminal else 1000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    for row in rows(result):
        table.add_row(*row)
    console.print(heading(result), soft_wrap=True)
    console.print(table)
    for line in conclusions(result):
        console.print(line, soft_wrap=True)
