"""`nas bench`, and `nas bench table`: controllers compared where every result is known beforehand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.console import Console

from nas.cli import app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.benchmarking import BenchResult, BenchRules, OnRun

bench = typer.Typer(
    help="Compare controllers on known results, and measure how fast networks are trained.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(bench, name="bench")

DEFAULT_CONTROLLERS = "random,local,evolution,ppo,reinforce,predictor,optuna:tpe"
FRONT_CONTROLLERS = "random,nsga2,optuna:nsga2"  # of several objectives, each in seconds


@bench.command("table")
def table_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Table of measured networks, .npz.")],
    metric: Annotated[str, typer.Option(help="Column to search by.")],
    report_metric: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Column to report of the network that is best by the metric. [default: the metric]"),
    ] = None,
    controllers: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Who proposes, with commas between; options in brackets: evolution(population=50). "
            f"[default: {DEFAULT_CONTROLLERS}; with costs and no target: {FRONT_CONTROLLERS}]",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[int, typer.Option(help="Evaluations of a run.")] = 200,
    seeds: Annotated[int, typer.Option(help="Runs of each controller, with seeds from 0.")] = 100,
    minimize: Annotated[bool, typer.Option("--minimize", help="Smaller is better.")] = False,
    cost: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="COLUMN", help="Column to keep small, as one more objective; may be given again."),
    ] = None,
    target: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Search by metric x (cost / target)^weight instead of several objectives."),
    ] = None,
    weight: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="The exponent. [default: -0.07, or 0.07 with --minimize]", show_default=False),
    ] = None,
    reference: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Where hypervolumes start: median, nadir or worst. [default: the first with a volume]"),
    ] = None,
    prior: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Column that is known before, for the controllers that can use one."),
    ] = None,
    fidelity: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="EPOCHS=COLUMN", help="Column of the metric after so many epochs; may be given again."),
    ] = None,
    epochs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="End a run when so many epochs are spent, however many trials that is."),
    ] = None,
    processes: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Processes to run in. [default: one per processor]"),
    ] = None,
    figure: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Chart of the regret, or of the missing hypervolume, to write: .svg, .png or .pdf."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Compare controllers on a table of measured networks, over many seeds.

    The table is a NumPy archive: `ops` (rows, decisions) holds option indices, every other array of one number
    a row is a column to search by or to report; `iso_id`, if there, says which rows are the same network.

    Example: nas bench table nasbench201.npz --metric valid_12 --report-metric valid_200 --seeds 100

    Example: nas bench table nasbench201.npz --metric valid_200 --cost latency_ms --controllers random,nsga2
    """
    from nas.benchmarking import BenchRules, bench_table
    from nas.benchmarking.controllers import split_controllers
    from nas.evaluators.table import load_table

    console = Console(stderr=True)
    if figure is not None:
        _check_figure(figure)
    rules = BenchRules(
        costs=tuple(cost or ()),
        target=target,
        weight=weight,
        reference=reference,  # type: ignore[arg-type]
        prior=prior,
        fidelities=_read_fidelities(fidelity or ()),
        epochs=epochs,
    )
    of_front = bool(rules.costs) and target is None
    table = load_table(file)
    with BenchDisplay(console) as display:
        try:
            result = bench_table(
                table,
                metric=metric,
                report_metric=report_metric,
                controllers=split_controllers(
                    (FRONT_CONTROLLERS if of_front else DEFAULT_CONTROLLERS) if controllers is None else controllers
                ),
                trials=trials,
                seeds=seeds,
                minimize=minimize,
                rules=rules,
                processes=processes,
                on_run=display.on_run,
            )
        except KeyboardInterrupt:
            console.print("stopped; nothing was written", highlight=False)
            raise typer.Exit(1) from None
    if figure is not None:
        _write_figure(result, figure, metric=metric, of_front=of_front)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2))
        return
    from nas.benchmarking.text import describe_runs, remarks

    lines = remarks(result, rules, table=table, metric=metric, trials=trials)
    heading = describe_runs(result, rules, metric=metric, seeds=seeds, trials=trials)
    _print_result(result, rules, heading="\n".join([heading, *lines]), metric=metric, report_metric=report_metric)
    if figure is not None:
        typer.echo(f"the chart: {figure}")


def _read_fidelities(texts: Sequence[str]) -> dict[int, str]:
    """Return columns by their epochs, of texts such as ``12=valid_12``."""
    from nas.errors import InvalidInputError

    found: dict[int, str] = {}
    for text in texts:
        epochs, _, column = text.partition("=")
        if not (epochs.strip().isdecimal() and column.strip()):
            raise InvalidInputError(f"--fidelity takes EPOCHS=COLUMN, such as 12=valid_12, got {text!r}.")
        if int(epochs) in found:
            raise InvalidInputError(f"--fidelity takes one column for {int(epochs)} epochs, got two: name one.")
        found[int(epochs)] = column.strip()
    return found


class BenchDisplay:
    """A bar of what is finished, on a terminal; nothing elsewhere."""

    def __init__(self, console: Console, *, unit: str = "runs") -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(24), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=None)

    @property
    def on_run(self) -> OnRun:
        """What the comparison is to tell."""
        return lambda done, total: self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> BenchDisplay:
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


def _write_figure(result: BenchResult, path: Path, *, metric: str, of_front: bool) -> None:
    from nas.errors import StorageError
    from nas.report.figures import save_figure
    from nas.report.regret_chart import draw_regret

    try:
        save_figure(draw_regret(result, metric=metric, of_front=of_front), path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.") from None


def _print_result(
    result: BenchResult, rules: BenchRules, *, heading: str, metric: str, report_metric: str | None
) -> None:
    from rich.table import Table as TextTable

    from nas.benchmarking.text import columns_of, rows_of

    terminal = Console().is_terminal
    console = Console(markup=False, highlight=False, width=None if terminal else 1000)
    names: dict[str, Any] = {"metric": metric, "report_metric": report_metric or metric}
    text = TextTable(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(columns_of(result, rules, **names)):
        no_wrap = not terminal or i == 0 or name in ("best", report_metric)
        text.add_column(name, justify="right" if i else "left", no_wrap=no_wrap)
    for row in rows_of(result, rules, **names):
        text.add_row(*row)
    console.print(heading, soft_wrap=True)
    console.print(text)
