"""From a training's folder to what its page shows: reads files only."""

from __future__ import annotations

import fcntl
import os
import shlex
from pathlib import Path
from typing import Any

from nas.errors import NASError
from nas.finalizing import FOLDER, TRAINING_FILE
from nas.report.summary import RunStatus
from nas.report.training_page import EpochLine, TrainingSummary
from nas.training.recipe import Recipe
from nas.training.runs.config import TrainingConfig
from nas.training.runs.log import read_log
from nas.training.runs.run import TrainedRun, load_trained
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.graph import Cell
from search_spaces.local_file import is_local
from search_spaces.nasnet import CellSpace
from search_spaces.registry import get_space

UNNAMED = "an architecture of "  # begins the name of a network that was given from Python
# settings that a command says by flags of the same name
FLAGS = (
    *("data", "data_root", "train_limit", "resolution", "classes", "depth", "width", "stem", "recipe", "seed"),
    *("device", "threads", "weights", "mode", "old_rate", "freeze_until"),
)


def summarize_training(folder: Path) -> TrainingSummary:
    """Return what the page of a training shows.

    Raises:
        JournalError: the folder holds no training, or its log is damaged.
        InvalidInputError: its settings cannot be read.
    """
    run, header = load_trained(folder), read_log(folder)[0]
    config, recipe, images = run.config, run.config.full_recipe, header.get("data", {}).get("images", {})
    status: RunStatus = "running" if is_training(folder) else "finished" if run.metrics else "interrupted"
    return TrainingSummary(
        name=folder.resolve().name,
        network=_network_words(run),
        data=config.data,
        status=status,
        num_epochs=recipe.epochs,
        epochs=_epochs(run, recipe),
        metrics=run.metrics,
        settings=_settings(run, recipe, images),
        cells=_cells(run.blueprint),
        files=_files(folder),
        commands=_commands(run),
        versions=header.get("versions", {}),
        train_images=images.get("train"),
        notes=_notes(run, recipe),
    )


def is_training(folder: Path) -> bool:
    """Return whether a process trains in a folder."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _network_words(run: TrainedRun) -> str:
    asked = Path(run.config.network)
    return asked.parent.name if asked.name == FOLDER else asked.name


def _epochs(run: TrainedRun, recipe: Recipe) -> tuple[EpochLine, ...]:
    losses = [entry.get("val_loss") for entry in run.epochs]
    lines = []
    for i, entry in enumerate(run.epochs):
        done = [loss for loss in losses[:i] if loss is not None]
        rate = recipe.rate_at((i + 0.5) / recipe.epochs, losses=done)
        measured = entry.get("val_accuracy"), entry.get("val_loss")
        lines.append(EpochLine(entry["epoch"], entry["train_loss"], *measured, rate, entry["seconds"]))
    return tuple(lines)


def _settings(run: TrainedRun, recipe: Recipe, images: dict[str, int]) -> dict[str, str]:
    config, blueprint = run.config, run.blueprint
    sizes = {name: getattr(blueprint, name) for name in ("depth", "width")}
    changes = {name: str(value) for name, value in config.recipe_changes.items() if name != "epochs"}
    parts = {name.replace("_", " "): str(value) for name, value in config.parts.items()}
    words = {
        "Network": config.network,
        "Data set": config.data,
        "Images": ", ".join(f"{count:,} {split}" for split, count in images.items()),
        "Image size": f"{blueprint.channels} x {blueprint.resolution} x {blueprint.resolution}",
        "Recipe": recipe.name,
        "Epochs": str(recipe.epochs),
        "Batch size": f"{recipe.batch_size:,}",
        "Optimizer": recipe.optimizer,
        "Learning rate": f"{recipe.learning_rate:g}, {recipe.schedule}",
        **{name.capitalize(): f"{value:g}" for name, value in sizes.items() if value is not None},
        "Seed": str(config.seed),
        "Device": config.device,
        "Threads": str(config.threads),
        "Weights": config.weights or "",
        "Train limit": "" if config.train_limit is None else f"{config.train_limit:,}",
    }
    others = {name.replace("_", " ").capitalize(): value for name, value in {**parts, **changes}.items()}
    return {term: value for term, value in {**others, **words}.items() if value}


def _cells(blueprint: Blueprint) -> dict[str, Cell]:
    """Return the cells of a cell network; none of a user's own space, whose code is not run for a page."""
    network = blueprint.network
    if not isinstance(network, Architecture) or is_local(network.space):
        return {}
    try:
        space = get_space(network.space)
    except NASError:
        return {}
    return dict(space.cells(network)) if isinstance(space, CellSpace) else {}


def _files(folder: Path) -> dict[str, str]:
    files = {
        FOLDER: "the trained network: what it is, its weights, what it scored, how to load it",
        "config.toml": "every setting",
        TRAINING_FILE: "a line an epoch",
        "tensorboard": "TensorBoard's logs",
    }
    return {str(folder / name): what for name, what in files.items() if (folder / name).exists()}


def _commands(run: TrainedRun) -> dict[str, str]:
    again = {} if run.metrics else {"Go on with it": f"nas train {shlex.quote(str(run.folder))}"}
    command = training_command(run)
    return again | ({"Run it again": command} if command else {})


def training_command(run: TrainedRun) -> str:
    """Return the command that trains the same network in the same way; empty where no command can name it yet."""
    config, default = run.config, TrainingConfig("")
    network = config.network
    if network.startswith(UNNAMED):
        if not (run.folder / FOLDER).is_dir():
            return ""
        network = str(run.folder / FOLDER)
    # what decides the numbers is said even where it is the default here, which may be another one elsewhere
    said = ("data", "recipe", "seed", "threads")
    words: list[Any] = ["nas", "train", network]
    for name in FLAGS:
        value = getattr(config, name)
        if value is not None and (name in said or value != getattr(default, name)):
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else value]
    for flag, settings in (("--part", config.parts), ("--recipe-set", config.recipe_changes)):
        for name, value in settings.items():
            words += [flag, f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    words += ["--tensorboard"] if config.tensorboard else []
    return shlex.join([str(word) for word in [*words, "--out", "results/again"]])


def _notes(run: TrainedRun, recipe: Recipe) -> list[str]:
    notes = []
    if run.accumulation != recipe.accumulation:
        notes.append(f"Batches were computed in {run.accumulation} parts, for the memory there was")
    if run.metrics and len(run.epochs) < recipe.epochs:
        notes.append(f"It ended early: no better validation accuracy in {recipe.patience} epochs")
    return notes
