"""`nas bench`: controllers compared where every result is known beforehand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console

from nas.cli import app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.benchmarking import BenchResult, OnRun
    from nas.evaluators.table import Table

bench = typer.Typer(
    help="Compare controllers where every result is known beforehand.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(bench, name="bench")

DEFAULT_CONTROLLERS = "random,evolution,ppo,reinforce,optuna:tpe"


@bench.command("table")
def table_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Table of measured networks, .npz.")],
    metric: Annotated[str, typer.Option(help="Column to search by.")],
    report_metric: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Column to report of the network that is best by the metric. [default: the metric]"),
    ] = None,
    controllers: Annotated[str, typer.Option(help="Who proposes, with commas between.")] = DEFAULT_CONTROLLERS,
    trials: Annotated[int, typer.Option(help="Evaluations of a run.")] = 200,
    seeds: Annotated[int, typer.Option(help="Runs of each controller, with seeds from 0.")] = 100,
    minimize: Annotated[bool, typer.Option("--minimize", help="Smaller is better.")] = False,
    processes: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Processes to run in. [default: one per processor]"),
    ] = None,
    figure: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Chart of the regret to write: .svg, .png or .pdf."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Compare controllers on a table of measured networks, over many seeds.

    The table is a NumPy archive: `ops` (rows, decisions) holds option indices, every other array of one number
    a row is a column to search by or to report; `iso_id`, if there, says which rows are the same network.

    Example: nas bench table nasbench201.npz --metric valid_12 --report-metric valid_200 --seeds 100
    """
    from nas.benchmarking import bench_table
    from nas.evaluators.table import load_table

    console = Console(stderr=True)
    if figure is not None:
        _check_figure(figure)
    table = load_table(file)
    with _Display(console) as display:
        try:
            result = bench_table(
                table,
                metric=metric,
                report_metric=report_metric,
                controllers=[name.strip() for name in controllers.split(",") if name.strip()],
                trials=trials,
                seeds=seeds,
                minimize=minimize,
                processes=processes,
                on_run=display.on_run,
            )
        except KeyboardInterrupt:
            console.print("stopped; nothing was written", highlight=False)
            raise typer.Exit(1) from None
    if figure is not None:
        _write_figure(result, figure, metric=metric)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2))
        return
    heading = f"{seeds} runs of {trials} evaluations by {metric}; its optimum is {result.optimum:.6g}"
    _print_result(result, heading + _remarks(table, metric), report_metric or metric)
    if figure is not None:
        typer.echo(f"the chart: {figure}")


class _Display:
    """A bar of finished runs on a terminal; nothing elsewhere."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(24), MofNCompleteColumn(), TextColumn("runs"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=None)

    @property
    def on_run(self) -> OnRun:
        """What the comparison is to tell."""
        return lambda done, total: self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> _Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _check_figure(path: Path) -> None:
    """Refuse, before the work begins, a chart that could not be written behind it."""
    from nas.errors import InvalidInputError
    from nas.report.figures import SUFFIXES

    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(f"--figure takes a file {', '.join(SUFFIXES)}, got {path.name!r}.")
    if not path.parent.is_dir():
        raise InvalidInputError(f"--figure {path}: there is no folder {path.parent}: make it first.")


def _write_figure(result: BenchResult, path: Path, *, metric: str) -> None:
    from nas.errors import StorageError
    from nas.report.figures import save_figure
    from nas.report.regret_chart import draw_regret

    try:
        save_figure(draw_regret(result, metric=metric), path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.") from None


def _remarks(table: Table, metric: str) -> str:
    """Return what the table lacks, in words; empty when it lacks nothing."""
    space, unmeasured = table.space, table.num_unmeasured(metric)
    parts = []
    if space.num_rows < space.size:
        parts.append(f"{space.size - space.num_rows:,} of {space.size:,} points have no row and are infeasible")
    if unmeasured:
        parts.append(f"{unmeasured:,} of {space.num_rows:,} rows lack the metric and count as failed")
    return "".join(f"\n{part}" for part in parts)


def _print_result(result: BenchResult, heading: str, reported: str) -> None:
    from rich.table import Table as TextTable

    terminal = Console().is_terminal
    console = Console(markup=False, highlight=False, width=None if terminal else 1000)
    checkpoints = list(next(iter(result.controllers.values())).mean_regret())
    text = TextTable(box=None, pad_edge=False, header_style="bold")
    text.add_column("controller", no_wrap=True)
    for name in [*(f"regret@{trials}" for trials in checkpoints), "best", reported, "optimum found", "s a run"]:
        text.add_column(name, justify="right", no_wrap=not terminal or name in ("best", reported))
    for row in _rows(result):
        text.add_row(*row)
    console.print(heading, soft_wrap=True)
    console.print(text)


def _rows(result: BenchResult) -> list[list[str]]:
    """Return a line of text a controller, with as many decimals in every line."""
    found = {name: controller.to_json() for name, controller in result.controllers.items()}
    pairs = [pair for entry in found.values() for pair in (entry["best"], entry["reported"]) if pair]
    regret_decimals = _decimals([regret for entry in found.values() for regret in entry["regret"].values()])
    decimals = _decimals([sd for _, sd in pairs])
    return [
        [
            name,
            *(f"{regret:.{regret_decimals}f}" for regret in entry["regret"].values()),
            _spread(entry["best"], decimals),
            _spread(entry["reported"], decimals),
            f"{entry['found_optimum']:.0%}",
            f"{entry['seconds']:.2g}",
        ]
        for name, entry in found.items()
    ]


def _spread(pair: Sequence[float] | None, decimals: int) -> str:
    return "-" if pair is None else f"{pair[0]:.{decimals}f} ± {pair[1]:.{decimals}f}"


def _decimals(values: Sequence[float]) -> int:
    """Return how many decimals show the smallest of these numbers that is not 0 with two digits, within 2 to 5."""
    smallest = min((abs(value) for value in values if value), default=1.0)
    return min(5, max(2, 1 - math.floor(math.log10(smallest))))
