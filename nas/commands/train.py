"""`nas train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from nas.cli import app, parse_settings
from nas.commands.search_flags import Device, Folder, Number, Root, Text, Texts, Whole, option

if TYPE_CHECKING:
    from nas.training.runs.run import TrainedRun


@app.command()
def train(
    context: typer.Context,
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK|BLUEPRINT|RUN",
            help="A network's name, a blueprint's JSON file, a stored network's folder, a search's folder, whose best "
            "architecture is trained anew, or a training's folder, which goes on.",
        ),
    ],
    data: Annotated[Text, option("On what images; `nas list datasets`. [default: digits, or the search's]")] = None,
    data_root: Root = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if its files are missing.")] = False,
    train_limit: Annotated[Whole, option("Train on so many images only, classes even.")] = None,
    resolution: Annotated[
        Whole, option("Resize images to so many pixels a side. [default: a blueprint file's size, else the data's]")
    ] = None,
    classes: Annotated[Whole, option("Length of the logits. [default: the data's classes]")] = None,
    depth: Annotated[Number, option("N of a cell network; multiplies the repeats of others.")] = None,
    width: Annotated[Number, option("F of a cell network; multiplies the filters of others.")] = None,
    stem: Annotated[Text, option("tiny, cifar or imagenet. [default: by image size]")] = None,
    part: Annotated[
        Texts, option("Exchange a part of the network: activation=silu, normalization=group.", metavar="NAME=VALUE")
    ] = None,
    recipe: Annotated[Text, option("How to train; `nas list recipes`. [default: quick]")] = None,
    epochs: Annotated[Whole, option("Epochs. [default: the recipe's]")] = None,
    recipe_set: Annotated[Texts, option("Change the recipe: learning_rate=0.05.", metavar="NAME=VALUE")] = None,
    seed: Annotated[Whole, option("Every random draw derives from it. [default: 0]")] = None,
    device: Device = None,
    threads: Annotated[Whole, option("Torch threads. [default: torch's own]")] = None,
    weights: Annotated[
        Text, option("Begin with torchvision's weights (pretrained), or those of a file or folder.")
    ] = None,
    mode: Annotated[
        Text, option("With --weights: train a new classifier (features), or all (finetune). [default: finetune]")
    ] = None,
    old_rate: Annotated[Number, option("Share of the learning rate for given weights. [default: 0.1]")] = None,
    freeze_until: Annotated[Text, option("Layer up to which given weights are not trained.")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's logs as well.")] = False,
    out: Annotated[Folder, option("Folder of the training. [default: a new one under results/]")] = None,
) -> None:
    """Train one network to the end; leave it, tested, in a folder. Under torchrun, processes share every batch.

    Example: nas train resnet-18-cifar --data cifar-10 --recipe resnet-cifar --device cuda --out results/resnet
    """
    own = ("network", "out", "epochs", "recipe_set", "part")
    flags = context.params.items()
    given = {n: value for n, value in flags if n not in own and value is not None and value is not False}
    changes = parse_settings("--recipe-set", recipe_set or []) | ({"epochs": epochs} if epochs is not None else {})
    given |= {"recipe_changes": changes} if changes else {}
    given |= {"parts": parse_settings("--part", part)} if part else {}
    given |= {"data_root": str(data_root)} if data_root is not None else {}
    carry_out_training(network, given, out)


def carry_out_training(network: str, settings: dict[str, Any], out: Path | None) -> None:
    """Start a training or go on with one, with a progress display, then print the answer."""
    import os

    from nas.errors import InvalidInputError
    from nas.finalizing import TRAINING_FILE
    from nas.interrupts import load_training_libraries
    from nas.training.runs.progress import TrainDisplay
    from nas.training.runs.running import resume_training
    from nas.training.runs.running import train as train_anew

    load_training_libraries()
    first = os.environ.get("RANK", "0") == "0"
    with TrainDisplay(Console(stderr=True), silent=not first) as display:
        try:
            if (Path(network) / TRAINING_FILE).exists():
                if out is not None:
                    raise InvalidInputError(f"{network} is a training, which goes on where it is: leave out --out.")
                run = resume_training(network, watcher=display.watcher, **settings)
            else:
                run = train_anew(network, out=out, watcher=display.watcher, **settings)
        except KeyboardInterrupt:
            display.interrupted()
            raise typer.Exit(1) from None
    if first:
        _print_answer(run)


def _print_answer(run: TrainedRun) -> None:
    from nas.progress import short_count
    from nas.report.formatting import tested_images
    from nas.reporting import write_folder_report

    metrics = run.metrics
    typer.echo(
        f"test accuracy {metrics['test_accuracy']:.2%} ({tested_images(metrics)}), "
        f"{short_count(metrics['params'])} parameters, {short_count(metrics['macs'])} MACs\n"
        f"the network: {run.folder / 'best'}\n"
        f"the page: {write_folder_report(run.folder)}"
    )
