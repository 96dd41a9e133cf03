"""`nas search` and `nas resume`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from nas.cli import Count, app
from nas.commands.search_flags import (
    PATHS,
    Address,
    Device,
    Epochs,
    ExecutorFlag,
    Failures,
    Folder,
    Gpus,
    MaxMemory,
    Number,
    Pin,
    Root,
    Seconds,
    TableFile,
    Text,
    Texts,
    TrialMemory,
    Trials,
    TrialSeconds,
    Whole,
    Workers,
    amount,
    changed_settings,
    count,
    given_flags,
    option,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from nas.run import Run
    from nas.watching import Watcher


@app.command()
def search(
    context: typer.Context,
    space: Annotated[Text, option("What to search; see `nas list spaces`. [default: nasnet]")] = None,
    controller: Annotated[
        Text,
        option(
            "Who proposes; `nas list controllers`. [default: asha:predictor from 8 epochs a network on, else predictor]"
        ),
    ] = None,
    data: Annotated[Text, option("On what images; `nas list datasets`. [default: digits]")] = None,
    data_root: Root = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if its files are missing.")] = False,
    train_limit: Annotated[Whole, option("Train on so many images only, classes even.")] = None,
    resolution: Annotated[Whole, option("Resize images to so many pixels a side.")] = None,
    recipe: Annotated[Text, option("How networks are trained; `nas list recipes`. [default: proxy]")] = None,
    epochs: Annotated[Whole, option("Epochs a network. [default: the recipe's]")] = None,
    recipe_set: Annotated[Texts, option("Change the recipe: learning_rate=0.05.", metavar="NAME=VALUE")] = None,
    controller_set: Annotated[Texts, option("Change the controller: population=20.", metavar="NAME=VALUE")] = None,
    final_recipe: Annotated[Text, option("How the winner is retrained. [default: quick]")] = None,
    evaluator: Annotated[
        Text, option("How networks are judged: training, or a training-free score such as naswot. [default: training]")
    ] = None,
    prior: Annotated[
        Text, option("A guess of every network for the predictor: a training-free score, or a table's column.")
    ] = None,
    depth: Annotated[Number, option("N, normal cells a stage; or a factor. [default: by image size]")] = None,
    width: Annotated[Number, option("F, filters of the first stage; or a factor. [default: by image size]")] = None,
    stem: Annotated[Text, option("tiny, cifar or imagenet. [default: by image size]")] = None,
    part: Annotated[Texts, option("Exchange a part in all networks: activation=silu.", metavar="NAME=VALUE")] = None,
    trials: Trials = None,
    max_seconds: Seconds = None,
    max_epochs: Epochs = None,
    max_failures: Failures = None,
    trial_seconds: TrialSeconds = None,
    trial_memory_bytes: TrialMemory = None,
    seed: Annotated[Whole, option("Every random draw derives from it. [default: 0]")] = None,
    executor: ExecutorFlag = None,
    workers: Workers = None,
    gpus_per_worker: Gpus = None,
    address: Address = None,
    threads: Annotated[Whole, option("Torch threads a worker. [default: 1]")] = None,
    pin: Pin = False,
    device: Device = None,
    metric: Annotated[Text, option("What is searched for; with a table, its column. [default: val_accuracy]")] = None,
    direction: Annotated[Text, option("maximize or minimize the metric. [default: maximize]")] = None,
    cost: Annotated[
        Texts, option("A metric to keep small as well, such as macs; give several for a front in them all.")
    ] = None,
    target: Annotated[
        Number, amount("Weigh the cost into the metric: metric x (cost / target)^weight, as MnasNet.")
    ] = None,
    weight: Annotated[Number, option("The exponent. [default: -0.07]")] = None,
    target_macs: Annotated[Number, amount("Short for --cost macs --target AMOUNT.")] = None,
    min_params: Annotated[Count, count("Fewest parameters, like 50k.")] = None,
    max_params: Annotated[Count, count("Most parameters, like 1.5M.")] = None,
    min_macs: Annotated[Count, count("Fewest MACs an image.")] = None,
    max_macs: Annotated[Count, count("Most MACs an image.")] = None,
    max_memory: MaxMemory = None,
    table: TableFile = None,
    report_metric: Annotated[Text, option("Column of the table to report of the chosen row.")] = None,
    fidelity: Annotated[
        Texts, option("Column of the metric after so many epochs, for asha and its like.", metavar="EPOCHS=COLUMN")
    ] = None,
    seconds_metric: Annotated[
        Text, option("Column that says how many seconds a training took, or a number for all.")
    ] = None,
    config: Annotated[Folder, option("Settings from a TOML file, such as a run's; flags win.")] = None,
    out: Annotated[Folder, option("Folder of the run. [default: a new one under results/]")] = None,
) -> None:
    """Search a space; leave the best network, trained and tested, in a folder.

    Example: nas search --space nasnet --data digits --trials 24 --executor ray --workers 2
    """
    from nas.config import SearchConfig
    from nas.searching import start

    base = SearchConfig.from_toml(config) if config else SearchConfig()
    settings = changed_settings(base, context.params)
    _carry_out(lambda watcher: start(settings, out=out, watcher=watcher))


@app.command()
def resume(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    trials: Annotated[Whole, option("Networks in all, to extend the run. [default: as before]")] = None,
    max_seconds: Seconds = None,
    max_epochs: Epochs = None,
    max_failures: Failures = None,
    trial_seconds: TrialSeconds = None,
    trial_memory_bytes: TrialMemory = None,
    executor: ExecutorFlag = None,
    workers: Workers = None,
    gpus_per_worker: Gpus = None,
    address: Address = None,
    pin: Pin = False,
    device: Device = None,
    data_root: Root = None,
    table: Annotated[Folder, option("The run's table, if it lies elsewhere now.")] = None,
) -> None:
    """Go on with a search, a training or a comparison exactly where it was; extend a finished search.

    Example: nas resume results/nasnet-digits-asha-predictor-1 --trials 100
    """
    from nas.commands.compare import resume_compared
    from nas.comparison.plan import is_comparison
    from nas.finalizing import TRAINING_FILE
    from nas.searching import resume as go_on

    if (run / TRAINING_FILE).exists():
        _resume_training(run, context.params)
        return
    changes = {name: value for name, value in given_flags(context.params).items() if name != "run"}
    changes |= {name: str(changes[name].absolute()) for name in PATHS if name in changes}
    if is_comparison(run):
        resume_compared(run, changes)
        return
    _carry_out(lambda watcher: go_on(run, watcher=watcher, **changes))


def _resume_training(run: Path, given: dict[str, Any]) -> None:
    """Go on with a single network's training, to which little of a search applies."""
    from nas.commands.train import carry_out_training
    from nas.config_rules import flag
    from nas.errors import InvalidInputError

    taken = ("run", "device", "data_root")
    for name in given_flags(given):
        if name not in taken:
            raise InvalidInputError(f"{run} is a training, which takes no {flag(name)}: leave it out.")
    root = given["data_root"]
    settings = {"device": given["device"], "data_root": str(root.absolute()) if root else None}
    carry_out_training(str(run), settings, None)


def _carry_out(job: Callable[[Watcher], Run]) -> None:
    """Run a search with a progress display, then print the answer; Ctrl-C ends it cleanly."""
    from nas.commands.search_answer import print_answer
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
    print_answer(run)
