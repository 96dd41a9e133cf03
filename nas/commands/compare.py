"""`nas compare`: networks side by side, trained alike, tested once."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

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
)
from nas.errors import InvalidInputError
from nas.report.formatting import printable

if TYPE_CHECKING:
    from controllers.trial import Record
    from nas.comparison.results import Comparison
    from nas.search_loop import Progress
    from nas.watching import Watcher

SETTINGS = (
    *("data_root", "download", "train_limit", "resolution", "recipe", "seed", "executor", "workers"),
    *("gpus_per_worker", "address", "threads", "device"),
)


@app.command()
def compare(
    networks: Annotated[
        list[str],
        typer.Argument(metavar="RUN|FOLDER|BLUEPRINT.json|NAME|timm:NAME...", help="What competes."),
    ],
    data: Annotated[str, typer.Option(help="On what images; `nas list datasets`.")] = "digits",
    data_root: Root = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if its files are missing.")] = False,
    train_limit: Annotated[Whole, option("Train on so many images only, classes even.")] = None,
    resolution: Annotated[Whole, option("Resize images to so many pixels a side.")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each network.")] = 3,
    recipe: Annotated[Text, option("How all are trained; `nas list recipes`. [default: quick]")] = None,
    epochs: Annotated[Whole, option("Epochs a training. [default: the recipe's]")] = None,
    recipe_set: Annotated[Texts, option("Change the recipe: learning_rate=0.05.", metavar="NAME=VALUE")] = None,
    budget_seconds: Annotated[Number, option("Train each for so many seconds, instead of epochs.")] = None,
    equal_macs: Annotated[Text, option("Scale all to so many MACs, like 20M, or to those of the `first`.")] = None,
    random: Annotated[int, typer.Option(help="Random architectures of each space that competes.")] = 3,
    random_search: Annotated[
        Whole, option("Trials of random search, where a run competes; 0 leaves it out. [default: the run's]")
    ] = None,
    include_smaller: Annotated[
        bool,
        typer.Option("--include-smaller", help="Add every hand-designed network of no more MACs than the first."),
    ] = False,
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Measure no latency.")] = False,
    sort: Annotated[Text, option("Column to sort the table by, such as macs. [default: top1]")] = None,
    seed: Annotated[Whole, option("Every random draw derives from it. [default: 0]")] = None,
    executor: ExecutorFlag = None,
    workers: Workers = None,
    gpus_per_worker: Gpus = None,
    address: Address = None,
    threads: Annotated[Whole, option("Torch threads a worker. [default: 1]")] = None,
    device: Device = None,
    out: Annotated[Folder, option("Folder of the comparison. [default: a new one under results/]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    context: typer.Context = None,  # type: ignore[assignment]  # typer gives it
) -> None:
    """Train networks alike, with several seeds, and say which is better and whether that could be chance.

    A stopped comparison goes on where it was with the same command and the same --out.

    Example: nas compare results/nasnet-digits-asha-predictor-1 lenet-5 cifar-resnet-20 --data digits --seeds 3
    """
    from nas.comparison.comparing import compare as carry_out
    from nas.comparison.tables import find_column

    if sort is not None:
        find_column(sort)
    given = {name: context.params[name] for name in SETTINGS if context.params[name] not in (None, False)}
    changes = parse_settings("--recipe-set", recipe_set or []) | ({"epochs": epochs} if epochs is not None else {})
    given |= {"recipe_changes": changes} if changes else {}
    if "data_root" in given:
        given["data_root"] = str(given["data_root"].absolute())
    comparison = watch_comparison(
        lambda watcher: carry_out(
            networks,
            data=data,
            seeds=seeds,
            budget_seconds=budget_seconds,
            equal_macs=_macs(equal_macs),
            random=random,
            random_search=random_search,
            include_smaller=include_smaller,
            measure=not no_measure,
            out=out,
            watcher=watcher,
            command=shlex.join(["nas", *sys.argv[1:]]),
            **given,
        )
    )
    print_comparison(comparison, sort=sort, as_json=as_json)


def _macs(text: str | None) -> float | str | None:
    if text is None or text == "first":
        return text
    try:
        return parse_count(text)
    except typer.BadParameter:
        raise InvalidInputError(f"--equal-macs takes a count like 20M, or 'first', got {text!r}.") from None


def watch_comparison(job: Callable[[Watcher], Comparison]) -> Comparison:
    """Compare with lines on what is done; Ctrl-C ends it cleanly."""
    from nas.interrupts import load_training_libraries
    from nas.watching import Watcher

    load_training_libraries()
    lines = _Lines(Console(stderr=True))
    try:
        return job(Watcher(lines.prepared, lines.progressed, said=lines.print))
    except KeyboardInterrupt:
        lines.print(lines.after_interruption())
        raise typer.Exit(1) from None


def resume_compared(folder: Path, changes: dict[str, Any]) -> None:
    """Go on with the comparison in a folder, and print it; see `nas.comparison.comparing.resume_comparison`."""
    from nas.comparison.comparing import resume_comparison

    print_comparison(watch_comparison(lambda watcher: resume_comparison(folder, watcher=watcher, **changes)))


class _Lines:
    """Writes a line for every training; those of a random search a few."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._folder: Path | None = None
        self._trials = self._done = self._here = 0
        self._start = time.monotonic()
        self._every = 1

    def print(self, text: str) -> None:
        """Print a line."""
        self._console.print(printable(text), highlight=False, markup=False, soft_wrap=True)

    def prepared(self, folder: Path, config: Any, lines: Any) -> None:
        """Take in what begins: the comparison, or a random search before it."""
        self._folder, self._trials, self._done, self._here = folder, config.trials, 0, 0
        searching = config.controller != "all"
        self._every = max(1, config.trials // 6) if searching else 1
        self._start = time.monotonic()
        if searching:
            self.print(f"random search: {config.trials} networks of {lines[0]}")

    def progressed(self, progress: Progress, record: Record | None) -> None:
        """Print what was trained, and how long the rest may take."""
        self._done = progress.evaluated + progress.failed
        if record is None:
            return
        self._here += 1
        if self._done % self._every == 0 or self._done >= self._trials:
            each = (time.monotonic() - self._start) / self._here
            left = max(0.0, each * (self._trials - self._done))
            measured = record.measurement
            found = f"{measured.seconds:.1f} s" if measured.ok else measured.status.replace("_", " ")
            self.print(f"{self._done}/{self._trials} trained; the last: {found}; {left:.0f} s left")

    def after_interruption(self) -> str:
        """Say what a stopped comparison keeps."""
        if self._folder is None or not self._folder.exists():
            return "stopped before anything was trained"
        folder = self._folder if (self._folder / "compare.json").exists() else self._folder.parent  # a random search's
        return f"stopped; what was trained is kept. Go on with: {shlex.join(['nas', 'resume', str(folder)])}"


def print_comparison(comparison: Comparison, *, sort: str | None = None, as_json: bool = False) -> None:
    """Print the table, what is to be known of it, and where everything lies."""
    from nas.comparison.comparing import SPREADSHEET
    from nas.comparison.page import PAGE
    from nas.comparison.tables import make_table, sort_rows

    if as_json:
        typer.echo(json.dumps(comparison.to_json()))
        return
    if Console().is_terminal:
        console = Console(markup=False, highlight=False)
        table, missing = make_table(sort_rows(comparison.rows, sort), width=console.width)
        console.print(table)
        if missing:
            console.print(f"{missing} columns more: {comparison.folder / SPREADSHEET}", soft_wrap=True)
    else:
        typer.echo(comparison.table(sort))
    for row in comparison.rows:
        for reason in row.failures:
            typer.echo(f"failed: {row.label}, {reason}" if row.networks == 1 else f"failed: {reason}")
    for note in comparison.notes:
        typer.echo(note)
    typer.echo(f"the comparison: {comparison.folder}\nthe page:       {comparison.folder / PAGE}")
