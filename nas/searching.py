"""Starting a search, and going on with one: settings in, a run's folder out."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from controllers import make_controller
from controllers.trial import Record
from nas.config import SearchConfig
from nas.data import ImageData, load_data
from nas.errors import InvalidInputError, NASError
from nas.evaluators.evaluator import Evaluator
from nas.evaluators.training_evaluator import TrainingEvaluator
from nas.executors.executor import Executor
from nas.executors.serial_executor import SerialExecutor
from nas.finalizing import FOLDER, finalize, load_stored
from nas.journal import Event, Journal
from nas.run import Run, load
from nas.screening import Preview, Screen
from nas.search_loop import Limits, Progress, SearchLoop
from nas.training.recipe import get_recipe
from nas.training.training_loop import Epoch
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.randomness import derive_generator
from search_spaces.registry import get_space

RESULTS = Path("results")
# What may change when a run goes on: how much, and where it runs. All else decides what is found.
CHANGEABLE = ("trials", "max_seconds", "executor", "workers", "gpus_per_worker", "address", "device", "data_root")


@dataclass(slots=True)
class Watcher:
    """What is told while a search runs; every part may be left out.

    Attributes:
        prepared: once before the first trial, with the run's folder and settings, the data, a preview of the space.
        progressed: after every record, and now and then while waiting.
        retrained: after every epoch of the winner's retraining, with the number of epochs in all.
        said: a line worth reading.
    """

    prepared: Callable[[Path, SearchConfig, ImageData, Preview], None] = lambda folder, config, data, preview: None
    progressed: Callable[[Progress, Record | None], None] = lambda progress, record: None
    retrained: Callable[[Epoch, int], None] = lambda epoch, epochs: None
    said: Callable[[str], None] = lambda text: None


def search(*, out: str | Path | None = None, watcher: Watcher | None = None, **settings: Any) -> Run:
    """Search a space and leave the best network, trained, in a folder.

    Args:
        out: the run's folder, which must not hold a run; by default a new one under ``results/``.
        watcher: told about progress.
        **settings: fields of `nas.config.SearchConfig`: space, controller, data, trials, seed and so on.

    Returns:
        The finished run; ``run.best`` is the network.

    Raises:
        NASError: a setting that cannot be, in words that say what to do. Nothing that was measured is lost.
    """
    known = SearchConfig.__dataclass_fields__
    for name in settings:
        if name not in known:
            raise TypeError(f"search() has no argument {name!r}; it takes out, watcher and {', '.join(known)}")
    return start(SearchConfig(**settings), out=out, watcher=watcher)


def start(config: SearchConfig, *, out: str | Path | None = None, watcher: Watcher | None = None) -> Run:
    """Run a new search from settings; see `search`."""
    folder = Path(out) if out is not None else _new_folder(config)
    session = _Session.prepare(config, folder, watcher or Watcher())
    header = {
        "config": config.to_json(),
        "versions": versions(),
        "data": session.data.summary(),
        "time": time.time(),
    }
    executor = session.make_executor()  # before anything is written: a pool that cannot be leaves no folder
    try:
        journal = Journal.create(folder, header)
    except BaseException:
        executor.close()
        raise
    (folder / "config.toml").write_text(config.to_toml())
    return session.carry_out(journal, (), executor)


def resume(folder: str | Path, *, watcher: Watcher | None = None, **changes: Any) -> Run:
    """Go on with a search exactly where it was, or extend a finished one.

    Args:
        folder: the run's folder.
        watcher: told about progress.
        **changes: new values for `CHANGEABLE` settings, such as ``trials`` and ``workers``; None changes nothing.

    Raises:
        JournalError: no run, a damaged one, one that another process is writing, or one of another version.
        InvalidInputError: a change to a setting that decides what is found, or other data than the run's.
    """
    for name in changes:
        if name not in CHANGEABLE:
            raise InvalidInputError(f"a run goes on with its own {name}; only {', '.join(CHANGEABLE)} may change.")
    path = Path(folder)
    journal, content = Journal.reopen(path)
    try:
        watcher = watcher or Watcher()
        if content.repair:
            watcher.said(content.repair)
        config = SearchConfig.from_json(content.header["config"]).with_changes(changes)
        if changes.get("executor") == "serial":
            config = replace(config, workers=changes.get("workers"))
        session = _Session.prepare(config, path, watcher)
        if session.data.fingerprint != content.header["data"]["fingerprint"]:
            raise InvalidInputError(
                f"the images of {config.data!r} are not those that {path} was started with: their contents differ."
            )
    except BaseException:
        journal.close()
        raise
    return session.carry_out(journal, content.events, None)


def versions() -> dict[str, str]:
    """Return the versions that decide what a run finds."""
    packages = ("torch", "numpy", "optuna", "ray", "neural-architecture-search")
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(slots=True)
class _Session:
    """One process's work on a run."""

    config: SearchConfig
    folder: Path
    watcher: Watcher
    data: ImageData
    screen: Screen

    @classmethod
    def prepare(cls, config: SearchConfig, folder: Path, watcher: Watcher) -> _Session:
        """Check all that can be checked before anything is written."""
        space = get_space(config.space)
        get_recipe(config.final_recipe), config.search_recipe  # an unknown name is said before the data is read
        make_controller(config.controller, space, [config.objective], config.seed, config.controller_options)
        data = load_data(
            config.data,
            root=config.data_root,
            download=config.download,
            resolution=config.resolution,
            train_limit=config.train_limit,
        )
        channels, resolution, _ = data.input_shape

        def blueprint(architecture: Architecture) -> Blueprint:
            return config.blueprint(architecture, resolution=resolution, channels=channels, classes=data.classes)

        _check_device(config.device)
        screen = Screen(space, config.constraints, blueprint)
        watcher.prepared(folder, config, data, screen.preview(config.seed))
        return cls(config, folder, watcher, data, screen)

    def carry_out(self, journal: Journal, events: Sequence[Event], executor: Executor | None) -> Run:
        """Replay, search, retrain; journal and executor are closed in any case.

        Args:
            journal: open for appending.
            events: what the run went through so far.
            executor: None to make one when there is something to evaluate.
        """
        config = self.config
        try:
            controller = make_controller(
                config.controller, self.screen.space, [config.objective], config.seed, config.controller_options
            )
            loop = SearchLoop(controller, journal, self.screen, self.watcher.progressed)
            loop.replay(events)
            complete = loop.progress.evaluated >= config.trials and any(event.kind == "final" for event in events)
            if not complete:
                executor = executor or self.make_executor()
                self.watcher.said(loop.run(executor, Limits(config.trials, config.max_seconds)))
                executor.close()  # the workers' memory is free for the retraining
            if loop.progress.best is None:
                raise NASError(
                    f"no network could be evaluated, so there is no best one; last failure: "
                    f"{loop.progress.last_failure or 'none'}. The journal in {self.folder} holds every reason."
                )
            if complete and _is_stored(self.folder / FOLDER):
                self.watcher.said(f"{self.folder} is finished; `--trials N` extends it.")
            else:
                self._finalize(loop.progress.best, journal)
        finally:
            if executor is not None:
                executor.close()
            journal.close()
        return load(self.folder)

    def make_executor(self) -> Executor:
        """Start what evaluates the trials."""
        config = self.config
        if config.executor == "serial":
            if (config.workers or 1) > 1:
                raise InvalidInputError(
                    f"the serial executor has one worker, got --workers {config.workers}: use --executor ray."
                )
            torch.set_num_threads(config.threads)
            return SerialExecutor(self._evaluator())
        from nas.executors.ray_executor import RayExecutor, RayOptions

        options = RayOptions(config.workers, config.gpus_per_worker, config.address, config.threads)
        return RayExecutor(self._evaluator(), options)

    def _evaluator(self) -> Evaluator:
        space = self.screen.space
        any_architecture = space.sample(derive_generator(self.config.seed, 0, "placeholder"))
        return TrainingEvaluator(
            space,
            self.screen.blueprint(any_architecture),
            self.data.for_search(),
            self.config.search_recipe,
            self.config.seed,
            self.config.device,
        )

    def _finalize(self, best: Record, journal: Journal) -> None:
        recipe = get_recipe(self.config.final_recipe)
        self.watcher.said(f"retraining trial {best.trial.number} by recipe {recipe.name!r}")
        stored = finalize(
            best,
            self.screen.blueprint(best.trial.architecture),
            self.data,
            recipe=recipe,
            run_seed=self.config.seed,
            device=self.config.device,
            folder=self.folder,
            on_epoch=lambda epoch: self.watcher.retrained(epoch, recipe.epochs),
        )
        journal.append("final", {"trial": best.trial.number, "metrics": stored.metrics})


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise InvalidInputError(f"--device is cpu, cuda or cuda:N, got {device!r}.") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise InvalidInputError(f"--device {device} needs a GPU, and torch sees none here: use --device cpu.")


def _is_stored(folder: Path) -> bool:
    try:
        load_stored(folder)
    except InvalidInputError:
        return False
    return True


def _new_folder(config: SearchConfig) -> Path:
    """Return the first free name under ``results/``: space-data-controller, then a number."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{config.space}-{config.data}-{config.controller}").strip("-")
    number = 1
    while (RESULTS / f"{name}-{number}").exists():
        number += 1
    return RESULTS / f"{name}-{number}"
