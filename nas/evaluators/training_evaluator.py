"""A trial's worth found by training it on the training split and looking at the validation split."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from controllers.trial import Measurement, Trial
from nas.building import count_architecture, exchange_parts
from nas.data.image_data import ImageData
from nas.errors import DivergedError, InvalidInputError
from nas.evaluators.evaluator import trial_seed
from nas.training.checkpoint import Checkpoints, TrainingState
from nas.training.recipe import Recipe
from nas.training.seeding import seeded
from nas.training.training_loop import Stretch, measure_accuracy, train
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
    """

    space: SearchSpace
    blueprint: Blueprint
    data: ImageData
    recipe: Recipe
    seed: int
    device: str = "cpu"
    checkpoints: Path | None = None

    def __post_init__(self) -> None:
        """Make the folder absolute, since a worker elsewhere has another current folder."""
        if self.checkpoints is not None:
            object.__setattr__(self, "checkpoints", self.checkpoints.absolute())

    def evaluate(self, trial: Trial) -> Measurement:
        """Return validation accuracy, losses, cost and times of the trained network.

        ``epochs`` are all that the network has behind it, ``epochs_spent`` and ``train_s`` what this trial took.

        Raises:
            DivergedError: the training loss is not finite.
            InvalidInputError: a budget above the recipe's epochs.
        """
        budget = self._budget(trial)
        seed = trial_seed(self.seed, trial)
        blueprint = replace(self.blueprint, network=trial.architecture)
        cost = count_architecture(self.space, blueprint)
        stored = self._checkpoints(trial, blueprint, seed=seed)
        start = stored.latest(below=budget) if stored and trial.continues is not None else None
        network = build_seeded(self.space, blueprint, recipe=self.recipe, seed=seed)
        stretch = Stretch(start, budget, _keeper(stored, last=budget == self.recipe.epochs))
        epoch = train(network, self.data, recipe=self.recipe, seed=seed, device=self.device, stretch=stretch)
        accuracy = measure_accuracy(network, self.data, self.data.validation, mirrored=self.recipe.flip_test)
        if not math.isfinite(accuracy.loss):
            raise DivergedError(f"the validation loss is {accuracy.loss} after training")
        metrics = {
            "val_accuracy": accuracy.share,
            "val_loss": accuracy.loss,
            "train_loss": epoch.train_loss,
            "params": cost.params,
            "macs": cost.macs,
            "epochs": budget,
            "epochs_spent": budget - (start.epochs if start else 0),
            "train_s": epoch.seconds,
        }
        return Measurement("ok", metrics, seconds=epoch.seconds)

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
        identity = [seed, self.recipe.to_json(), blueprint.to_json(), self.data.fingerprint]
        return Checkpoints(self.checkpoints, trial.root, json.dumps(identity))


def _keeper(stored: Checkpoints | None, *, last: bool) -> Callable[[TrainingState], None]:
    """Return what is done with a training's state: write it, or remove those before it when it was the last."""

    def keep(state: TrainingState) -> None:
        if stored and last:
            stored.remove()
        elif stored:
            stored.write(state)

    return keep


def build_seeded(space: SearchSpace, blueprint: Blueprint, *, recipe: Recipe, seed: int) -> nn.Module:
    """Return the network that a recipe trains, auxiliary head included where it has one, drawn from a seed."""
    with seeded(seed), torch.device("cpu"):
        return exchange_parts(space.build(replace(blueprint, auxiliary=recipe.auxiliary_weight > 0)), blueprint)
