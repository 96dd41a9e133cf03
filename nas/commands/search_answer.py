"""What `nas search` and `nas resume` print at the end: the best network, the front, and where everything lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from controllers.trial import Record
    from nas.run import Run

LONGEST_FRONT = 12  # networks that are printed; the page shows them all


def print_answer(run: Run) -> None:
    """Write the page and print where it lies, below the answer."""
    from nas.reporting import write_run_report

    page = write_run_report(run)
    kind = "network" if run.config.table is None else "chosen row"
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(_row_answer(run) if run.config.table is not None else _network_answer(run))
    if run.config.costs:
        _print_front(run)
    console.print(f"the {kind}: {run.folder / 'best'}\nthe page:{' ' * (len(kind) - 3)}{page}")


def _network_answer(run: Run) -> str:
    from nas.progress import short_count
    from nas.report.formatting import tested_images

    metrics = run.final
    return (
        f"best network: test accuracy {metrics['test_accuracy']:.2%} "
        f"({tested_images(metrics)}), "
        f"{short_count(metrics['params'])} parameters, {short_count(metrics['macs'])} MACs"
    )


def _row_answer(run: Run) -> str:
    from nas.finalizing import FOLDER
    from nas.progress import short_time
    from nas.report.analysis import simulated_seconds
    from nas.table_answer import load_chosen

    config, metrics, chosen = run.config, run.final, load_chosen(run.folder / FOLDER)
    names = [config.objective.metric, *config.costs, config.report_metric]
    names += [config.objective.cost] if config.objective.target is not None else []
    numbers = [f"{name} {metrics[name]:.6g}" for name in dict.fromkeys(names) if name in metrics]
    rows = run.header["table"]["rows"]
    lines = [
        f"best row: {', '.join(numbers)} (trial {metrics['trial']:.0f})",
        f"choices: {', '.join(f'{name} {value}' for name, value in chosen.options.items())}",
    ]
    if "rank" in metrics:
        weighed = "" if config.objective.target is None else " of the weighed objective"
        distance = f"{metrics['distance_from_optimum']:.4g} from the table's optimum{weighed}"
        lines.append(f"rank {metrics['rank']:.0f} of {rows:,} rows; {distance} {metrics['table_optimum']:.6g}")
    seconds = simulated_seconds(run.records)
    return "\n".join(lines + ([f"simulated time: {short_time(seconds)}"] if seconds is not None else []))


def _print_front(run: Run) -> None:
    from nas.report.analysis import front_records
    from nas.report.formatting import format_metric

    front = front_records(run.records, objectives=run.config.objectives)
    names = [objective.metric for objective in run.config.objectives]
    terminal = Console().is_terminal
    console = Console(markup=False, highlight=False, width=None if terminal else 1000)
    shown = "" if len(front) <= LONGEST_FRONT else f", {LONGEST_FRONT} of them here, all on the page"
    console.print(f"Pareto front: {len(front)} networks{shown}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(name, justify="right", no_wrap=not terminal)
    for record in _spread(front, LONGEST_FRONT):
        values = [format_metric(name, record.measurement.metrics[name]) for name in names]
        table.add_row(str(record.trial.number), *values)
    console.print(table)


def _spread(items: list[Record], count: int) -> list[Record]:
    """Return so many of these at even steps, the first and the last among them."""
    if len(items) <= count:
        return items
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]
