"""Training one network to the end, and going on with a training: settings in, a folder out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nas.building import get_blueprint, space_of
from nas.data import ImageData, load_data
from nas.errors import InvalidInputError, StorageError
from nas.parts import Parts
from nas.searching import RESULTS, versions
from nas.training.processes import join_processes, leave_processes
from nas.training.runs.config import PRETRAINED, TrainingConfig
from nas.training.runs.log import TrainingLog, read_log
from nas.training.runs.run import TrainedRun, load_trained
from nas.training.runs.session import CHECKPOINT, TrainSession, TrainWatcher
from nas.training.runs.source import Source, Trainable, find_source
from nas.training.runs.weights import weights_normalisation
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.local_file import save_source

CHANGEABLE = ("device", "data_root", "threads", "tensorboard")  # all else decides what is trained


def train(
    network: Trainable, *, out: str | Path | None = None, watcher: TrainWatcher | None = None, **settings: Any
) -> TrainedRun:
    """Train a network by a recipe and leave it, measured once on the test images, in a folder.

    Args:
        network: a name, an architecture, a blueprint or its JSON file, a stored network, or the folder of a search,
            whose best architecture is then trained anew.
        out: the training's folder; by default a new one under ``results/``.
        watcher: told about progress.
        **settings: fields of `nas.training.runs.config.TrainingConfig`: data, recipe, recipe_changes, seed and so on.

    Returns:
        The finished training; ``.network()`` is the network, ``.metrics`` what it scores.

    Raises:
        NASError: a setting that cannot be, in words that say what to do.
    """
    known = [name for name in TrainingConfig.__dataclass_fields__ if name != "network"]
    for name in settings:
        if name not in known:
            raise TypeError(f"train() has no argument {name!r}; it takes network, out, watcher and {', '.join(known)}")
    source = find_source(network)
    return start(source, configured(source, settings), out=out, watcher=watcher)


def configured(source: Source, settings: dict[str, Any]) -> TrainingConfig:
    """Return settings; unless told, a search's network is trained on its images by its final recipe.

    A blueprint's file is trained on images of its own size, as in a comparison.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if source.resolution is not None:
        given = {"resolution": source.resolution, **given}
    if source.search is not None:
        found = source.search
        inherited = {name: getattr(found, name) for name in ("data", "data_root", "train_limit", "resolution", "seed")}
        if given.get("data", found.data) != found.data:
            inherited = {"seed": found.seed}
        given = {"recipe": found.final_recipe, **inherited, **given}
    weights = given.get("weights")
    if weights is not None and weights != PRETRAINED:
        given["weights"] = str(Path(weights).absolute())
    if given.get("data_root") is not None:
        given["data_root"] = str(Path(given["data_root"]).absolute())
    return TrainingConfig.from_json({"network": source.text, **given})


def start(
    source: Source, config: TrainingConfig, *, out: str | Path | None = None, watcher: TrainWatcher | None = None
) -> TrainedRun:
    """Run a new training from settings; see `train`."""
    data = _load(config)
    blueprint = _blueprint(source, config, data)
    data = _normalised(config, blueprint, data)
    processes, device = join_processes(config.device)
    try:
        folder = Path(out) if out is not None else Path(processes.agree(str(_new_folder(config))))
        session = TrainSession(
            config,
            folder,
            blueprint,
            data,
            config.full_recipe,
            source.folder,
            device,
            processes,
            watcher or TrainWatcher(),
        )
        session.check()
        log = _create(session) if processes.first else None
        _carry_out(session, log, fresh=True)
    finally:
        leave_processes()
    return load_trained(folder)


def resume_training(folder: str | Path, *, watcher: TrainWatcher | None = None, **changes: Any) -> TrainedRun:
    """Go on with a training where its last whole epoch ended; the result is that of an undisturbed one.

    Args:
        folder: the training's folder.
        watcher: told about progress.
        **changes: new values for `CHANGEABLE` settings; None changes nothing.

    Raises:
        JournalError: no training, a damaged one, or one that another process is writing.
        InvalidInputError: a change to a setting that decides what is trained, or other images than the training's.
    """
    for name, value in changes.items():
        if value is not None and name not in CHANGEABLE:
            raise InvalidInputError(
                f"a training goes on with its own {name}; only {', '.join(CHANGEABLE)} may change. For another "
                "training choose another --out."
            )
    run = load_trained(folder)
    watcher = watcher or TrainWatcher()
    if run.repair:
        watcher.said(run.repair)
    if run.is_complete:
        watcher.said(f"{run.folder} is finished.")
        return run
    config = run.config.with_changes(changes)
    data = _normalised(config, run.blueprint, _load(config))
    header = read_log(run.folder)[0]
    if header["data"]["fingerprint"] != data.fingerprint:
        raise InvalidInputError(
            f"the images of {config.data!r} are not those that {run.folder} was started with: their contents differ."
        )
    recipe = replace(config.full_recipe, accumulation=run.accumulation)
    processes, device = join_processes(config.device)
    try:
        session = TrainSession(config, run.folder, run.blueprint, data, recipe, run.folder, device, processes, watcher)
        epochs = _epochs_to_keep(session, run)
        log = TrainingLog.reopen(run.folder, epochs=epochs) if processes.first else None
        _carry_out(session, log, fresh=False)
    finally:
        leave_processes()
    return load_trained(run.folder)


def _epochs_to_keep(session: TrainSession, run: TrainedRun) -> int:
    """Return how many epochs a training goes on after; a checkpoint of epochs that the log lost is given up.

    Training from the beginning gives the same weights, and then the log is whole again.
    """
    state = session.latest()
    if state is None or state.epochs <= len(run.epochs):
        return state.epochs if state else 0
    session.processes.wait()  # until all have looked at it
    if session.processes.first:
        (run.folder / CHECKPOINT).unlink()
    session.processes.wait()
    return 0


def _carry_out(session: TrainSession, log: TrainingLog | None, *, fresh: bool) -> None:
    torch.set_num_threads(session.config.threads)
    try:
        session.processes.wait()
        session.watcher.prepared(session.folder, session.describe(), session.recipe.epochs)
        state = None if fresh else session.latest()
        if state is not None:
            session.watcher.said(f"going on after epoch {state.epochs}")
        session.carry_out(log, state)
        session.processes.wait()
    finally:
        if log:
            log.close()


def _load(config: TrainingConfig) -> ImageData:
    return load_data(
        config.data,
        root=config.data_root,
        download=config.download,
        resolution=config.resolution,
        train_limit=config.train_limit,
    )


def _normalised(config: TrainingConfig, blueprint: Blueprint, data: ImageData) -> ImageData:
    return data if config.weights is None else weights_normalisation(config.weights, blueprint, data)


def _blueprint(source: Source, config: TrainingConfig, data: ImageData) -> Blueprint:
    """Return what is trained: the network for these images and classes, in the size that was asked for."""
    classes = config.classes or data.classes
    if classes < data.classes:
        raise InvalidInputError(f"--classes must be at least the {data.classes} of {data.name}, got {classes}.")
    network = source.network
    if source.search is not None and isinstance(network, Architecture):
        channels, resolution, _ = data.input_shape
        proxy_sizes = space_of(Blueprint(network, resolution), folder=source.folder).proxy_sizes
        network = source.search.blueprint(
            network, resolution=resolution, channels=channels, classes=classes, proxy_sizes=proxy_sizes
        )
    if isinstance(network, Architecture | Blueprint) and source.folder is not None:
        of = network if isinstance(network, Architecture) else network.network
        if isinstance(of, Architecture):
            space_of(Blueprint(of, data.input_shape[1]), folder=source.folder)  # runs a user's own file, if need be
    return get_blueprint(
        network,
        classes=classes,
        input_shape=data.input_shape,
        depth=config.depth,
        width=config.width,
        stem=config.stem,
        parts=Parts.from_json(config.parts) if config.parts else None,
    )


def _create(session: TrainSession) -> TrainingLog:
    header = {
        "config": session.config.to_json(),
        "blueprint": session.blueprint.to_json(),
        "data": session.data.summary(),
        "versions": versions(),
    }
    log = TrainingLog.create(session.folder, header)
    try:
        (session.folder / "config.toml").write_text(session.config.to_toml(), encoding="utf-8")
        if isinstance(session.blueprint.network, Architecture):
            save_source(space_of(session.blueprint, folder=session.source), session.folder)
    except OSError as error:
        log.close()
        raise StorageError(
            f"cannot write into {session.folder}: {error.strerror}. Make room, then start again."
        ) from None
    return log


def _new_folder(config: TrainingConfig) -> Path:
    """Return the first free name under ``results/``: train-network-data, then a number."""
    network = Path(config.network).stem if "/" in config.network else config.network
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"train-{network}-{config.data}").strip("-")
    number = 1
    while (RESULTS / f"{name}-{number}").exists():
        number += 1
    return RESULTS / f"{name}-{number}"


__all__ = ["CHANGEABLE", "configured", "resume_training", "start", "train"]
