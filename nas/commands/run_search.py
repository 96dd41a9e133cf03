"""`nas search` and `nas resume`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.console import Console

from nas.cli import Count, app, parse_count, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from nas.run import Run
    from nas.searching import Watcher

# Typer reads these at run time; it takes Optional, not X | None, inside aliases on Python 3.11.
Text = Optional[str]  # noqa: UP045
Whole = Optional[int]  # noqa: UP045
Number = Optional[float]  # noqa: UP045
Texts = Optional[list[str]]  # noqa: UP045
Folder = Optional[Path]  # noqa: UP045

Trials = Annotated[Whole, typer.Option(help="Networks to evaluate. [default: 24]")]
ExecutorName = Annotated[Text, typer.Option(help="Where networks are trained: serial or ray. [default: serial]")]
Workers = Annotated[Whole, typer.Option(help="Ray workers. [default: one per processor]")]
Gpus = Annotated[Number, typer.Option(help="GPUs of each worker; 0.25 puts four on one card. [default: 0]")]
Address = Annotated[Text, typer.Option(help="A running Ray cluster: auto, or ray://host:port.")]
Device = Annotated[Text, typer.Option(help="Torch device: cpu, cuda, cuda:1. [default: cpu]")]
Seconds = Annotated[Number, typer.Option(help="Start nothing new after so many seconds.")]
Root = Annotated[Folder, typer.Option(help="Folder that holds the data set's files.")]


@app.command()
def search(
    space: Annotated[Text, typer.Option(help="What to search; see `nas list spaces`. [default: nasnet]")] = None,
    controller: Annotated[Text, typer.Option(help="Who proposes; `nas list controllers`. [default: evolution]")] = None,
    data: Annotated[Text, typer.Option(help="On what images; `nas list datasets`. [default: digits]")] = None,
    data_root: Root = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if its files are missing.")] = False,
    train_limit: Annotated[Whole, typer.Option(help="Train on so many images only, classes even.")] = None,
    resolution: Annotated[Whole, typer.Option(help="Resize images to so many pixels a side.")] = None,
    recipe: Annotated[Text, typer.Option(help="How networks are trained; `nas list recipes`. [default: proxy]")] = None,
    epochs: Annotated[Whole, typer.Option(help="Epochs a network. [default: the recipe's]")] = None,
    recipe_set: Annotated[
        Texts, typer.Option(metavar="NAME=VALUE", help="Change the recipe: learning_rate=0.05.")
    ] = None,
    controller_set: Annotated[
        Texts, typer.Option(metavar="NAME=VALUE", help="Change the controller: population=20.")
    ] = None,
    final_recipe: Annotated[Text, typer.Option(help="How the winner is retrained. [default: quick]")] = None,
    depth: Annotated[Whole, typer.Option(help="N, normal cells a stage. [default: by image size]")] = None,
    width: Annotated[Whole, typer.Option(help="F, filters of the first stage. [default: by image size]")] = None,
    stem: Annotated[Text, typer.Option(help="tiny, cifar or imagenet. [default: by image size]")] = None,
    trials: Trials = None,
    max_seconds: Seconds = None,
    seed: Annotated[Whole, typer.Option(help="Every random draw derives from it. [default: 0]")] = None,
    executor: ExecutorName = None,
    workers: Workers = None,
    gpus_per_worker: Gpus = None,
    address: Address = None,
    threads: Annotated[Whole, typer.Option(help="Torch threads a worker. [default: 1]")] = None,
    device: Device = None,
    min_params: Annotated[
        Count, typer.Option(parser=parse_count, metavar="COUNT", help="Fewest parameters, like 50k.")
    ] = None,
    max_params: Annotated[
        Count, typer.Option(parser=parse_count, metavar="COUNT", help="Most parameters, like 1.5M.")
    ] = None,
    min_macs: Annotated[Count, typer.Option(parser=parse_count, metavar="COUNT", help="Fewest MACs an image.")] = None,
    max_macs: Annotated[Count, typer.Option(parser=parse_count, metavar="COUNT", help="Most MACs an image.")] = None,
    target_macs: Annotated[
        Count,
        typer.Option(parser=parse_count, metavar="COUNT", help="Reward accuracy x (MACs / target)^-0.07, as MnasNet."),
    ] = None,
    config: Annotated[Folder, typer.Option(help="Settings from a TOML file, such as a run's; flags win.")] = None,
    out: Annotated[Folder, typer.Option(help="Folder of the run. [default: a new one under results/]")] = None,
) -> None:
    """Search a space; leave the best network, trained and tested, in a folder.

    Example: nas search --space nasnet --data digits --trials 24 --executor ray --workers 2
    """
    from dataclasses import replace

    from nas.config import SearchConfig
    from nas.searching import start

    base = SearchConfig.from_toml(config) if config else SearchConfig()
    bounds = {"min_params": min_params, "max_params": max_params, "min_macs": min_macs, "max_macs": max_macs}
    recipe_changes = parse_settings("--recipe-set", recipe_set or [])
    if epochs is not None:
        recipe_changes["epochs"] = epochs
    settings = base.with_changes(
        {
            "space": space,
            "controller": controller,
            "controller_options": parse_settings("--controller-set", controller_set or []) or None,
            "data": data,
            "data_root": str(data_root.resolve()) if data_root else None,
            "download": download or None,
            "train_limit": train_limit,
            "resolution": resolution,
            "recipe": recipe,
            "recipe_changes": recipe_changes or None,
            "final_recipe": final_recipe,
            "depth": depth,
            "width": width,
            "stem": stem,
            "trials": trials,
            "max_seconds": max_seconds,
            "seed": seed,
            "executor": executor,
            "workers": workers,
            "gpus_per_worker": gpus_per_worker,
            "address": address,
            "threads": threads,
            "device": device,
            "objective": replace(base.objective, target=float(target_macs)) if target_macs else None,
            "constraints": replace(base.constraints, **{k: v for k, v in bounds.items() if v is not None}),
        }
    )
    _carry_out(lambda watcher: start(settings, out=out, watcher=watcher))


@app.command()
def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    trials: Annotated[Whole, typer.Option(help="Networks in all, to extend the run. [default: as before]")] = None,
    max_seconds: Seconds = None,
    executor: ExecutorName = None,
    workers: Workers = None,
    gpus_per_worker: Gpus = None,
    address: Address = None,
    device: Device = None,
    data_root: Root = None,
) -> None:
    """Go on with a search exactly where it was; extend a finished one.

    Example: nas resume results/nasnet-digits-evolution-1 --trials 100
    """
    from nas.searching import resume as go_on

    changes: dict[str, Any] = {
        "trials": trials,
        "max_seconds": max_seconds,
        "executor": executor,
        "workers": workers,
        "gpus_per_worker": gpus_per_worker,
        "address": address,
        "device": device,
        "data_root": str(data_root.resolve()) if data_root else None,
    }
    _carry_out(lambda watcher: go_on(run, watcher=watcher, **changes))


def _carry_out(job: Callable[[Watcher], Run]) -> None:
    """Run a search with a progress display, then print the answer; Ctrl-C ends it cleanly."""
    from nas.interrupts import load_training_libraries
    from nas.progress import ProgressDisplay

    load_training_libraries()
    console = Console(stderr=True)
    with ProgressDisplay(console) as display:
        try:
            run = job(display.watcher)
        except KeyboardInterrupt:
            display.interrupted()
            raise typer.Exit(1) from None
    _print_answer(run)


def _print_answer(run: Run) -> None:
    from nas.progress import short_count
    from nas.reporting import write_run_report

    metrics = run.final
    page = write_run_report(run)
    lines = [
        f"best network: test accuracy {metrics['test_accuracy']:.2%} "
        f"({metrics['test_correct']:.0f} of {metrics['test_images']:.0f} images), "
        f"{short_count(metrics['params'])} parameters, {short_count(metrics['macs'])} MACs",
        f"the network: {run.folder / 'best'}",
        f"the page:    {page}",
    ]
    Console(soft_wrap=True, highlight=False, markup=False).print("\n".join(lines))
