"""A trial's worth found by training it on the training split and looking at the validation split."""

from __future__ import annotations

import gc
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from controllers.trial import Measurement, Trial
from nas.building import count_architecture, exchange_parts, needs_sample
from nas.data.image_data import ImageData
from nas.errors import DivergedError, InvalidInputError
from nas.evaluators.evaluator import trial_seed
from nas.training.checkpoint import Checkpoints, Interim, interim_file
from nas.training.clock import NO_CLOCK, PhaseClock
from nas.training.memory import is_out_of_memory
from nas.training.recipe import Recipe
from nas.training.seeding import weights_from
from nas.training.training_loop import Epoch, Training, measure_accuracy
from search_spaces.architecture import Blueprint
from search_spaces.space import SearchSpace


@dataclass(frozen=True, slots=True)
class TrainingEvaluator:
    """Trains every trial in the same way, to its budget; a continued one goes on from its checkpoint.

    A budget stops early on the recipe's full schedule. So a network that is trained budget by budget ends with
    the weights that it gets in one go, whether its checkpoint was there or not.

    Attributes:
        space: builds the networks.
        blueprint: what to build, with any architecture in it: each trial's takes its place.
        data: training and validation images, without the test split.
        recipe: how to train; a trial's budget stops it early.
        seed: the run's seed.
        device: where to train.
        checkpoints: folder for what trials below the recipe's full length leave for those that continue them, on
            a disk that all workers see; None keeps nothing, and continued trials begin again.
        interim: folder inside the run's for what a trial in work leaves at the end of an epoch, so that it goes on
            from there if its worker is lost; on a machine without the run's folder it begins again. None for no such.
        interim_s: seconds of training between two such states; short trials leave none.
        timed: whether a measurement also says how long each phase of the trial took, as ``forward_s`` and so on; on a
            GPU that waits for the device at every phase, so it is for benchmarks.
    """

    space: SearchSpace
    blueprint: Blueprint
    data: ImageData
    recipe: Recipe
    seed: int
    device: str = "cpu"
    checkpoints: Path | None = None
    interim: Path | None = None
    interim_s: float = 30.0
    timed: bool = False

    def __post_init__(self) -> None:
        """Make the folders absolute, since a worker elsewhere has another current folder."""
        for name in ("checkpoints", "interim"):
            folder = getattr(self, name)
            if folder is not None:
                object.__setattr__(self, name, folder.absolute())

    def evaluate(self, trial: Trial) -> Measurement:
        """Return validation accuracy, losses, cost and times of the trained network.

        ``epochs`` are all that the network has behind it, ``epochs_spent`` what this trial added, and ``train_s`` what
        it took since it was last begun. Where memory does not suffice, the trial goes on once with every batch
        computed in twice as many parts: the batch that a step sees stays, batch normalisation sees fewer images at
        once, and ``accumulation`` says so.

        Raises:
            DivergedError: the training loss is not finite.
            InvalidInputError: a budget above the recipe's epochs.
            RuntimeError: a GPU's memory does not suffice for half the batch either, or the network cannot be trained.
            MemoryError: the machine's memory does not suffice for half the batch either.
        """
        try:
            return self._measure(trial, self.recipe)
        except (RuntimeError, MemoryError) as error:
            if not (is_out_of_memory(error) and self._can_halve()):
                raise
        gc.collect()  # only here is nothing left that refers to the network
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        halved = replace(self.recipe, accumulation=self.recipe.accumulation * 2)
        measured = self._measure(trial, halved)
        return replace(measured, metrics={**measured.metrics, "accumulation": halved.accumulation})

    def _can_halve(self) -> bool:
        return self.recipe.accumulation * 2 <= min(self.recipe.batch_size, len(self.data.train))

    def _measure(self, trial: Trial, recipe: Recipe) -> Measurement:
        budget, seed = self._budget(trial), trial_seed(self.seed, trial)
        blueprint = replace(self.blueprint, network=trial.architecture)
        cost = count_architecture(self.space, blueprint)
        stored = self._checkpoints(trial, blueprint, seed=seed)
        start = stored.latest(below=budget) if stored and trial.continues is not None else None
        begun = start.epochs if start else 0
        interim = self._interim(trial, blueprint, seed=seed, begun=begun)
        clock = PhaseClock(self.device) if self.timed else NO_CLOCK
        with clock.phase("building"):
            network = build_seeded(self.space, blueprint, data=self.data, recipe=recipe, seed=seed)
            training = Training(network, self.data, recipe=recipe, seed=seed, device=self.device, clock=clock)
        state = (interim.read() if interim else None) or start
        if state is not None:
            training.restore(state)
        epoch = self._train(training, interim, budget=budget)
        _keep(training, stored, last=budget == recipe.epochs)
        training.finish()
        with clock.phase("evaluation"):
            accuracy = measure_accuracy(network, self.data, self.data.validation, mirrored=recipe.flip_test)
        if not math.isfinite(accuracy.loss):
            raise DivergedError(f"the validation loss is {accuracy.loss} after training")
        metrics = {
            "val_accuracy": accuracy.share,
            "val_loss": accuracy.loss,
            "train_loss": epoch.train_loss,
            "params": cost.params,
            "macs": cost.macs,
            "epochs": budget,
            "epochs_spent": budget - begun,
            "train_s": epoch.seconds,
            **{f"{phase}_s": seconds for phase, seconds in clock.seconds.items()},
        }
        return Measurement("ok", metrics, seconds=epoch.seconds)

    def _train(self, training: Training, interim: Interim | None, *, budget: int) -> Epoch:
        """Train up to the budget, leaving the state behind every now and then; return the last epoch."""
        epoch, written_s = Epoch(training.done - 1, training.train_loss, 0.0), 0.0
        try:
            while training.done < budget and not training.is_stopped:
                epoch = training.run_epoch()
                if interim and training.done < budget and epoch.seconds - written_s >= self.interim_s:
                    interim.write(training.state())
                    written_s = epoch.seconds
        except DivergedError:
            _remove(interim)
            raise
        _remove(interim)
        return epoch

    def _budget(self, trial: Trial) -> int:
        if trial.budget is None:
            return self.recipe.epochs
        if trial.budget > self.recipe.epochs:
            raise InvalidInputError(
                f"a trial's budget must be at most the {self.recipe.epochs} epochs of recipe {self.recipe.name!r}, "
                f"got {trial.budget}: lower the budgets or lengthen the recipe."
            )
        return trial.budget

    def _checkpoints(self, trial: Trial, blueprint: Blueprint, *, seed: int) -> Checkpoints | None:
        if self.checkpoints is None:
            return None
        return Checkpoints(self.checkpoints, trial.root, json.dumps(self._identity(blueprint, seed)))

    def _interim(self, trial: Trial, blueprint: Blueprint, *, seed: int, begun: int) -> Interim | None:
        """Return where the trial leaves its state; None on a machine that does not see the run's folder."""
        if self.interim is None or not self.interim.parent.exists():
            return None
        identity = json.dumps([*self._identity(blueprint, seed), "from epoch", begun])
        return Interim(interim_file(self.interim, trial.number), identity)

    def _identity(self, blueprint: Blueprint, seed: int) -> list[Any]:
        return [seed, self.recipe.to_json(), blueprint.to_json(), self.data.fingerprint]


def _keep(training: Training, stored: Checkpoints | None, *, last: bool) -> None:
    """Write a training's state for the trial that continues it, or remove those before it when it was the last."""
    if stored and last:
        stored.remove()
    elif stored:
        stored.write(training.state())


def _remove(interim: Interim | None) -> None:
    if interim:
        interim.remove()


def build_seeded(space: SearchSpace, blueprint: Blueprint, *, data: ImageData, recipe: Recipe, seed: int) -> nn.Module:
    """Return the network that a recipe trains, auxiliary head included where it has one, drawn from a seed.

    Args:
        space: of the blueprint's architecture.
        blueprint: what to build; what looks at images first sees the first training images.
        data: what it will be trained on.
        recipe: how it will be trained.
        seed: weights derive from it.
    """
    sample = data.normalise(data.train.images[: recipe.batch_size]) if needs_sample(blueprint) else None
    with weights_from(seed):
        network = space.build(replace(blueprint, auxiliary=recipe.auxiliary_weight > 0))
        return exchange_parts(network, blueprint, sample=sample)
