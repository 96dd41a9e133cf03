"""One process's work on a training: set up, train epoch by epoch with a checkpoint after each, leave the network."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nas.baselines.airbench import Whitening
from nas.building import build_blueprint, complexity, space_of
from nas.data.image_data import ImageData
from nas.errors import InvalidInputError, MissingDependencyError, NASError, StorageError
from nas.finalizing import FOLDER, StoredNetwork, measure_test, store_network
from nas.scaling.counting import why_refused
from nas.training.checkpoint import TrainingState, read_state, write_state
from nas.training.measuring import measure_accuracy
from nas.training.memory import halve_parts, is_out_of_memory, release_memory
from nas.training.processes import ALONE, Processes
from nas.training.recipe import Recipe
from nas.training.runs.config import TrainingConfig
from nas.training.runs.log import TrainingLog
from nas.training.runs.weights import given_weights
from nas.training.seeding import weights_from
from nas.training.training_loop import Epoch, Training
from nas.training.transfer import take_over
from search_spaces.architecture import Blueprint, Complexity
from search_spaces.randomness import derive_seed

WHITENED = 5000  # training images whose patches are looked at, as in airbench
CHECKPOINT = Path("checkpoints") / "latest.pt"


@dataclass(slots=True)
class TrainWatcher:
    """Whoever watches a training; every part may be left out.

    Attributes:
        prepared: once before the first epoch, with the folder, lines on what is trained, and the number of epochs.
        trained: after every epoch, with the number of epochs in all.
        said: a line worth reading.
    """

    prepared: Callable[[Path, list[str], int], None] = lambda folder, lines, epochs: None
    trained: Callable[[Epoch, int], None] = lambda epoch, epochs: None
    said: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class TrainSession:
    """Everything that a process needs to work on a training.

    Attributes:
        config: the settings.
        folder: the training's.
        blueprint: the network.
        data: all three splits, normalised as the weights that it begins with want it.
        recipe: how to train.
        source: folder that keeps the file of a user's own space.
        device: this process' own.
        processes: those that train together.
        watcher: told about progress.
    """

    config: TrainingConfig
    folder: Path
    blueprint: Blueprint
    data: ImageData
    recipe: Recipe
    source: Path | None = None
    device: str = "cpu"
    processes: Processes = ALONE
    watcher: TrainWatcher = field(default_factory=TrainWatcher)

    @property
    def _checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def check(self) -> None:
        """Refuse images that the network cannot take, and weights of another one, before anything is written.

        Raises:
            InvalidInputError: it cannot, or they are, or it lacks a layer named; the message says which tensors differ.
            NASError: weights cannot be fetched.
        """
        refusal = why_refused(self.blueprint, self.source)
        if refusal:
            raise InvalidInputError(f"{self.config.network} cannot be trained on {self.data.name}: {refusal}")
        if self.config.transfer is not None:
            self.config.transfer.rates(self._initial_network())

    def latest(self) -> TrainingState | None:
        """Return what the training goes on from; None to begin."""
        return read_state(self._checkpoint, identity=self._identity())

    def carry_out(self, log: TrainingLog | None, state: TrainingState | None) -> None:
        """Train to the end of the recipe, measure once, and store the network.

        Where a batch does not fit into memory it is computed in twice as many parts: the batch that a step sees stays
        as it is, only batch normalisation sees fewer images at once.

        Args:
            log: open for appending; None in processes that do not write.
            state: where to begin.

        Raises:
            NASError: a single image does not fit into memory; the loss is not a number; a disk is full.
        """
        recipe = self.recipe
        while True:
            try:
                training, network = self._set_up(recipe, state)
                self._train(training, log, recipe)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).splitlines()[0] if str(error) else "out of memory"
            training = network = None  # type: ignore[assignment]  # the memory is free before it is asked for again
            release_memory()
            recipe = self._smaller_parts(recipe, log, reason)
            state = self.latest()
        training.finish()
        self._conclude(network, log)

    def _set_up(self, recipe: Recipe, state: TrainingState | None) -> tuple[Training, nn.Module]:
        network = self._initial_network()
        transfer = self.config.transfer
        training = Training(
            network,
            self.data,
            recipe=recipe,
            seed=derive_seed(self.config.seed, 0, "training"),
            device=self.device,
            rates=transfer.rates(network) if transfer else None,
            processes=self.processes,
            validates=True,
        )
        if state is not None:
            training.restore(state)
        return training, network

    def _train(self, training: Training, log: TrainingLog | None, recipe: Recipe) -> None:
        before, board = 0.0, self._tensorboard(training.done) if log else None
        while training.done < recipe.epochs and not training.is_stopped:
            epoch = training.run_epoch()
            entry = _entry(epoch, seconds=epoch.seconds - before)
            before = epoch.seconds
            if log:
                log.append(entry)
                self._write(training.state())
            if board:
                for name in entry.keys() - {"epoch"}:
                    board.add_scalar(name, entry[name], entry["epoch"])
                board.flush()
            self.watcher.trained(epoch, recipe.epochs)
        if training.is_stopped:
            self.watcher.said(
                f"no better validation accuracy in {recipe.patience} epochs: stopped after {training.done}"
            )

    def _write(self, state: TrainingState) -> None:
        try:
            write_state(self._checkpoint, state, identity=self._identity())
        except OSError as error:
            raise StorageError(
                f"cannot write {self._checkpoint}: {error.strerror}. The epochs before are kept: make room, then "
                f"`{shlex.join(['nas', 'train', str(self.folder)])}`."
            ) from None

    def _smaller_parts(self, recipe: Recipe, log: TrainingLog | None, reason: str) -> Recipe:
        if self.processes.count > 1:
            raise NASError(f"{reason}: start again with --recipe-set accumulation={recipe.accumulation * 2}.")
        batch = min(recipe.batch_size, len(self.data.train))
        smaller = halve_parts(recipe, images=len(self.data.train))
        if smaller is None:
            raise NASError(f"{reason}: the network does not fit into memory even with a batch of 1 image.")
        part = -(-batch // smaller.accumulation)
        self.watcher.said(f"out of memory: batches of {batch} images are computed in parts of {part} from now on")
        if log:
            log.append({"accumulation": smaller.accumulation, "reason": reason})
        return smaller

    def _conclude(self, network: nn.Module, log: TrainingLog | None) -> None:
        if log is None:
            return
        cost = self._cost()
        validation = measure_accuracy(network, self.data, self.data.validation, mirrored=self.recipe.flip_test)
        metrics = {
            **measure_test(network, self.data, self.recipe),
            "val_accuracy": validation.share,
            "params": cost.params,
            "macs": cost.macs,
        }
        mean, std, names = self.data.mean, self.data.std, self.data.class_names
        stored = StoredNetwork(self.folder / FOLDER, self.blueprint, mean, std, names, metrics)
        store_network(stored, network, source=self.source)
        log.append({"final": metrics})

    def _identity(self) -> str:
        recipe = replace(self.recipe, accumulation=1).to_json()
        config = self.config
        weights = [config.weights, config.mode, config.old_rate, config.freeze_until]
        return json.dumps([config.seed, recipe, self.blueprint.to_json(), self.data.fingerprint, weights])

    def _initial_network(self) -> nn.Module:
        with weights_from(derive_seed(self.config.seed, 0, "weights")):
            blueprint = replace(self.blueprint, auxiliary=self.recipe.auxiliary_weight > 0)
            network = build_blueprint(blueprint, folder=self.source, sample=self._sample())
        transfer = self.config.transfer
        if self.config.weights is not None and transfer is not None:
            weights = given_weights(self.config.weights, self.blueprint)
            take_over(network, weights, keep_classifier=transfer.mode == "finetune")
        else:
            _whiten(network, self.data)
        return network

    def _sample(self) -> Tensor:
        return self.data.normalise(self.data.train.images[: self.recipe.batch_size])

    def _cost(self) -> Complexity:
        if isinstance(self.blueprint.network, str) or self.blueprint.parts:
            return complexity(self.blueprint)
        return space_of(self.blueprint, folder=self.source).complexity(self.blueprint)

    def _tensorboard(self, done: int) -> Any:
        return open_tensorboard(self.folder / "tensorboard", done) if self.config.tensorboard else None

    def describe(self) -> list[str]:
        """Return lines on what is trained, the first one fit to follow the word "training"."""
        from nas.progress import short_count

        cost, data, recipe = self._cost(), self.data, self.recipe
        sizes = f"{len(data.train):,} train, {len(data.validation):,} validation, {len(data.test):,} test images"
        params, macs = short_count(cost.params), short_count(cost.macs)
        lines = [
            f"{self.config.network} on {data.name}: {recipe.epochs} epochs by recipe {recipe.name!r}",
            f"{params} parameters, {macs} MACs at {self.blueprint.resolution} pixels; {sizes}",
        ]
        if self.processes.count > 1:
            lines.append(f"{self.processes.count} processes share every batch of {recipe.batch_size} images")
        return lines


def _whiten(network: nn.Module, data: ImageData) -> None:
    """Give layers that whiten patches the weights that do so for the training images (airbench, Jordan 2024)."""
    for module in network.modules():
        if isinstance(module, Whitening):
            module.whiten(data.normalise(data.train.images[:WHITENED]))


def _entry(epoch: Epoch, *, seconds: float) -> dict[str, Any]:
    """Return an epoch's line; its number counts from 1, and its seconds are its own."""
    measured = {"val_accuracy": epoch.val_accuracy, "val_loss": epoch.val_loss}  # a loss may have become infinite
    return {
        "epoch": epoch.index + 1,
        "train_loss": epoch.train_loss,
        **{name: value for name, value in measured.items() if value is not None and math.isfinite(value)},
        "seconds": round(seconds, 3),
    }


def open_tensorboard(folder: Path, done: int) -> Any:
    """Return a writer of TensorBoard's logs that goes on after so many epochs.

    Raises:
        MissingDependencyError: no package that writes them is installed.
    """
    for package in ("torch.utils.tensorboard", "tensorboardX"):  # the second one comes with Ray Tune
        try:
            return import_module(package).SummaryWriter(str(folder), purge_step=done + 1)
        except ImportError:
            continue
    raise MissingDependencyError("--tensorboard needs a package: `pip install tensorboard`.")
